"""What the tests of several commands share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tfdecode as tfd
from tfdecode.cli import main

#: What the files pose.pkl and maps.npz of the fixture ``folder`` hold.
POSE = np.arange(24, dtype="float32").reshape(2, 3, 4)
#: Arrays whose bits are easily lost.
EXACT = [
    np.array([-0.0, np.nan, np.inf, 5e-324]),
    np.frombuffer(b"\x01\x00\xa0\x7f\xff\xff\xff\xff", "f4"),
    np.arange(6, dtype=">i4").reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.zeros((0, 3), "uint8"),
    np.array(7, "int16"),
    np.array([1 + 2j], "complex64"),
    np.array([True, False]),
]


def put(name: str, spec: tfd.ArraySpec, array: np.ndarray) -> None:
    """Write what pack writes."""
    Path(name).write_bytes(spec.encode(array))
    Path(f"{name}.json").write_text(spec.to_json())


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def failure(capsys) -> str:
    """The one line on stderr; nothing on stdout."""
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1
    return str(err.rstrip("\n"))


def pack(*arguments: str, status: int = 0) -> None:
    assert main(["pack", *arguments]) == status


def packed(path: str) -> np.ndarray:
    """The array of a payload, by the spec next to it."""
    spec = tfd.ArraySpec.from_json(Path(f"{path}.json").read_text())
    return spec.decode(Path(path).read_bytes())
