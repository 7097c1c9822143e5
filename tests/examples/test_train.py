"""examples/train.py: it runs as it stands, and says what it checked."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "examples" / "train.py"


def test_one_step_is_trained_on_the_arrays_themselves(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    packed, step, verdict = done.stdout.splitlines()
    assert ": 8 examples of labels_bytes, float64 [256,192] by " in packed
    (loss,) = re.findall(r"loss of one step: ([0-9.]+)", step)
    assert 0 < float(loss) < 2 * math.log(23)
    assert verdict == "the decoded batch [8, 256, 192] equals the arrays, bit for bit"
