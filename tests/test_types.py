"""The types of the public names, as a type checker sees them in a program of a user."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import tfdecode

PROGRAM = """
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_type

import tfdecode as tfd
from tfdecode.client import InProcess

Array = npt.NDArray[Any]

array = np.zeros((2, 3), np.float32)
spec = tfd.infer(array, prefer="smallest")
assert_type(spec, tfd.ArraySpec)
assert_type(spec.encode(array), bytes)
assert_type(spec.decode(b""), Array)
assert_type(tfd.load("a.npz", "x", max_bytes=9), Array)
assert_type(tfd.load_all(Path("a.npz")), dict[str, Array])
assert_type(tfd.load(b"bytes"), Array)
assert_type(tfd.Schema({"x": spec})["x"], tfd.ArraySpec)
assert_type(tfd.Schema.load("m"), tfd.Schema)
assert_type(tfd.check("m").ok, bool)
assert_type(tfd.ArraySpec((2, None), "bool", tfd.one_of("raw", "zlib")).to_json(), str)
tfd.export(lambda x: x, "m", inputs={"x": spec})
with InProcess("m") as model:
    assert_type(model.predict({"x": array}), dict[str, Array])
try:
    tfd.load("none")
except tfd.FileError as error:
    assert_type(error, tfd.FileError)
# Both checkers must find that these are wrong; an unused comment is an error, too.
tfd.infer(array, prefre="smallest")  # type: ignore
tfd.load(3)  # type: ignore
tfd.check("m").okay  # type: ignore
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program next to an environment in which tfdecode is installed by ``pip install -e``."""
    folder = tmp_path_factory.mktemp("user")
    venv.create(folder / "env", symlinks=True)
    (packages,) = (folder / "env").glob("lib/python*/site-packages")
    installed = next(path for path in sys.path if path.endswith("site-packages"))
    root = Path(tfdecode.__file__).parent.parent
    (packages / "user.pth").write_text(f"{root}\n{installed}\n")
    (folder / "user.py").write_text(PROGRAM)
    return folder / "user.py"


def check(program: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=program.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_accepts_a_program_of_a_user(program: Path) -> None:
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file="]
    check(program, *mypy, "--python-executable=env/bin/python", program.name)


@pytest.mark.skipif(shutil.which("pyright") is None, reason="pyright is not installed")
def test_pyright_accepts_a_program_of_a_user(program: Path) -> None:
    options = '{"reportUnnecessaryTypeIgnoreComment": "error"}'
    (program.parent / "pyrightconfig.json").write_text(options)
    check(program, "pyright", "--pythonpath=env/bin/python", program.name)
