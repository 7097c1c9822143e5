"""Run exports of this TensorFlow in older ones, and compare what happens with what `check` says.

    python -m tests.versions [VERSION ...]

It installs the wheels of these versions, by default of all, into ``build/versions``. Each export is
run as it is and, if `check` finds a fault, as ``min_tensorflow`` writes it. The exit status is 1 if
something ran that `check` refuses, or did not run although `check` finds no fault.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

import tfdecode as tfd
from tests.versions.exports import Export, exports
from tests.versions.wheels import BUILD, PYTHONS, program
from tfdecode.saved_models.backport import rewrite

SAME, CLOSE = "the same bits", "numbers that differ by rounding"


def outcome(binary: Path, export: Export, model: Path) -> str:
    """What a version answers: ``SAME``, ``CLOSE``, or what is wrong."""
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        out = Path(folder)
        inputs = []
        for key, payloads in export.payloads.items():
            files = [out / f"{key}.{row}.bin" for row in range(len(payloads))]
            for file, payload in zip(files, payloads, strict=True):
                file.write_bytes(payload)
            inputs.append(f"{key}={','.join(map(str, files))}")
        command = [str(binary), "run", str(model), export.signature, "-o", str(out), *inputs]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode:
            return " ".join(done.stderr.split())[:200] or f"exit status {done.returncode}"
        got = np.load(out / f"{export.output}.npy")
    expected = export.expected
    if got.shape == expected.shape and got.tobytes() == expected.tobytes():
        return SAME
    if not export.exact and np.allclose(got, expected, 1e-5, 1e-6):
        return CLOSE
    return f"other numbers: {got.ravel()[:3]} and not {expected.ravel()[:3]}"


def tried(version: str, binary: Path, export: Export) -> list[tuple[str, str, bool, str]]:
    """How it was written, what `check` finds, whether that was right, and what happened."""
    attempts = []
    for how in ("as it is", "for this version"):
        model = export.path
        if how != "as it is":
            model = BUILD / f"{version}-models" / export.path.parent.name
            shutil.copytree(export.path, model, dirs_exist_ok=True)
            rewrite(model, version)
        problems = tfd.check(model, version).problems
        happened = outcome(binary, export, model)
        fine = happened in (SAME, CLOSE)
        attempts.append((how, "; ".join(problems[:1]), fine == (not problems), happened))
        if not problems:
            break
    return attempts


def main(versions: list[str]) -> int:
    """Print the table, and what `check` did not predict."""
    shutil.rmtree(BUILD / "exports", ignore_errors=True)
    given = list(exports(BUILD / "exports"))
    count = Counter(export.exact for export in given)
    print(f"{count[True]} decoders, {count[False]} models with variables", flush=True)
    print("| TensorFlow | decoders, as they are | `min_tensorflow` | models, as they are | "
          "`min_tensorflow` | refused |")  # fmt: skip
    wrong = []
    for version in versions:
        binary = program(version)
        ran = Counter[tuple[bool, str]]()
        refused: dict[str, None] = {}
        with ThreadPoolExecutor(2) as pool:
            results = pool.map(partial(tried, version, binary), given)
            for export, attempts in zip(given, results, strict=True):
                for how, problem, right, happened in attempts:
                    fine = happened in (SAME, CLOSE)
                    ran[export.exact, how] += fine
                    if not right:
                        wrong.append((version, export.name, how, problem, happened))
                ran[export.exact, "in the end"] += fine
                if not fine:
                    refused[export.name] = None
        cells = [ran[kind, how] for kind in (True, False) for how in ("as it is", "in the end")]
        row = [version, *map(str, cells), ", ".join(refused)]
        print("| " + " | ".join(row) + " |", flush=True)
    for version, name, how, problem, happened in wrong:
        print(f"{version}: {name} {how}: {happened}; check: {problem or 'no fault'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    BUILD.mkdir(parents=True, exist_ok=True)
    sys.exit(main(sys.argv[1:] or list(PYTHONS)))
