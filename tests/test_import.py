"""Importing tfdecode is light: NumPy and heavier libraries are imported when used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.extras import missing_extra

PACK = "from tfdecode.cli import main; main(['pack', 'x.npy', '--codec', 'png'])"
#: What needs time to import, and which of it a program must not import.
HEAVY = ("tensorflow", "scipy", "keras", "rich", "h5py", "ml_dtypes", "matplotlib", "numpy.ma")
FOR_FILES = ("tfdecode.files", "tfdecode.formats.contents", "tfdecode.formats.sniff")
TO_CHOOSE = ("tfdecode.choose", "tfdecode.statistics", "tfdecode.saved_models")
TO_EXPLAIN = ("tfdecode.cli.explain", "tfdecode.cli.tfrecord", "subprocess", "asyncio")


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("pass", ("numpy", "tfdecode.spec", *HEAVY, *TO_CHOOSE)),
        ("from tfdecode.cli import main; main(['pack', '--help'])", HEAVY),
        ("tfdecode.Schema", (*HEAVY, *FOR_FILES, *TO_CHOOSE)),
        ("tfdecode.ArraySpec((3,), 'uint8').decode(b'123')", (*HEAVY, *FOR_FILES, *TO_CHOOSE)),
        ("tfdecode.load('x.npy')", (*HEAVY, *TO_CHOOSE)),
        (PACK, (*HEAVY, *TO_CHOOSE, *TO_EXPLAIN)),
    ],
)
def test_what_is_not_needed_is_not_imported(
    program: str, absent: tuple[str, ...], tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3), "uint8"))
    code = (
        "import sys, tfdecode\n"
        f"try: {program}\n"
        "except SystemExit: pass\n"
        f"print('imported:', *({set(absent)} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == ["imported:"]


def test_every_public_name_is_there() -> None:
    for name in tfd.__all__:
        assert getattr(tfd, name).__name__.rpartition(".")[2] == name
        assert name in dir(tfd)
    with pytest.raises(AttributeError, match="no attribute 'exprot'"):
        tfd.exprot  # noqa: B018


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("PIL.Image", "pillow"),
        ("google.protobuf", "protobuf"),
        ("google_crc32c", "google_crc32c"),
        ("backports.zstd", "backports.zstd"),
    ],
)
def test_a_missing_library_is_called_as_pip_calls_it(module: str, package: str) -> None:
    assert str(missing_extra(module, "x")).startswith(f"{package} is not installed; install tfd")
