"""A server without Python decodes every case of the table to the same bits."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.codecs.cases import CASES
from tests.common import assert_same
from tfdecode.dtypes import numpy_dtype


@pytest.fixture
def payloads(tmp_path: Path) -> dict[str, list[Path]]:
    """Three payload files for each input."""
    files: dict[str, list[Path]] = {}
    for case in CASES:
        files[f"{case.key}_bytes"] = rows = []
        for row, array in enumerate(case.arrays(3, length=2)):
            rows.append(tmp_path / f"{case.key}.{row}.bin")
            rows[-1].write_bytes(case.spec.encode(array))
    return files


def run(program: Path, model: Path, payloads: dict[str, list[Path]], out: Path) -> Any:
    out.mkdir()
    inputs = [f"{key}={','.join(map(str, files))}" for key, files in payloads.items()]
    command = [str(program), "run", str(model), "every_case", "-o", str(out), *inputs]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def test_every_case_is_decoded_to_the_same_bits(
    program: Path,
    reloaded: Any,
    model_directory: Path,
    payloads: dict[str, list[Path]],
    tmp_path: Path,
) -> None:
    done = run(program, model_directory, payloads, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for case in CASES:
        decoded = np.load(tmp_path / "out" / f"{case.key}.npy")
        if case.dtype == "bfloat16":
            decoded = decoded.view(numpy_dtype("bfloat16"))
        assert_same(decoded, np.stack(case.arrays(3, length=2)))


@pytest.mark.parametrize("case", CASES[::60], ids=str)
def test_a_bad_payload_is_an_error_that_names_input_and_row(
    case: Any,
    program: Path,
    reloaded: Any,
    model_directory: Path,
    payloads: dict[str, list[Path]],
    tmp_path: Path,
) -> None:
    rows = payloads[f"{case.key}_bytes"]
    rows[1].write_bytes(rows[1].read_bytes() + b"\xffSECRET")
    done = run(program, model_directory, payloads, tmp_path / "out")
    assert done.returncode == 1
    assert f"{case.key}_bytes: row 1 has " in done.stderr
    assert "SECRET" not in done.stderr
