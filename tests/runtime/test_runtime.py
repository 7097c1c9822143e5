"""A server without Python decodes every case of the table to the same bits."""

from __future__ import annotations

import base64
import io
import json
import pickle
import re
import subprocess
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import scipy.io

import tfdecode as tfd
from tests.codecs.cases import GROUPS
from tests.common import Case, assert_same, one_hot
from tests.reloaded import Decoders, saved
from tfdecode.dtypes import numpy_dtype


def model_of(specs: Mapping[str, tfd.ArraySpec], directory: Path) -> Path:
    """A SavedModel with one signature, ``every_case``, that decodes all of them."""
    decoders = Decoders(specs, checked=())
    return saved(decoders, directory, {"every_case": decoders.every_case()})


def specs_of(cases: Sequence[Case]) -> dict[str, tfd.ArraySpec]:
    return {case.key: case.spec for case in cases}


def payloads(cases: Sequence[Case], directory: Path) -> dict[str, list[Path]]:
    """Three payload files for each input."""
    files: dict[str, list[Path]] = {}
    for case in cases:
        files[f"{case.key}_bytes"] = rows = []
        for row, array in enumerate(case.arrays(3, length=2)):
            rows.append(directory / f"{case.key}.{row}.bin")
            rows[-1].write_bytes(case.spec.encode(array))
    return files


def run(program: Path, model: Path, payloads: dict[str, list[Path]], out: Path) -> Any:
    out.mkdir()
    inputs = [f"{key}={','.join(map(str, files))}" for key, files in payloads.items()]
    command = [str(program), "run", str(model), "every_case", "-o", str(out), *inputs]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


@pytest.mark.parametrize("name", GROUPS)
def test_every_case_is_decoded_to_the_same_bits(
    name: str, group_saved: Any, program: Path, tmp_path: Path
) -> None:
    cases = GROUPS[name]
    done = run(program, group_saved(name), payloads(cases, tmp_path), tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for case in cases:
        decoded = np.load(tmp_path / "out" / f"{case.key}.npy")
        if case.dtype == "bfloat16":
            decoded = decoded.view(numpy_dtype("bfloat16"))
        assert_same(decoded, np.stack(case.arrays(3, length=2)))
    oldest = "2.20" if any("zstd" in case.codecs for case in cases) else "2.9"
    assert tfd.check(group_saved(name), oldest).problems == ()


@pytest.mark.parametrize("codecs", ["raw", "astype:uint8|zlib", "onehot|png", "npy", "pkl"])
def test_a_bad_payload_is_an_error_that_names_input_and_row(
    codecs: str, program: Path, tmp_path: Path
) -> None:
    cases = [Case(codecs, (4, 5), "float32", one_hot), Case("raw", (2,), "bool")]
    files = payloads(cases, tmp_path)
    row = files[f"{cases[0].key}_bytes"][1]
    row.write_bytes(row.read_bytes() + b"\xffSECRET")
    done = run(program, model_of(specs_of(cases), tmp_path / "model"), files, tmp_path / "out")
    assert done.returncode == 1
    assert re.search(rf"{cases[0].key}: row 1 (has|\(\d+ bytes\) is not) ", done.stderr)
    assert "SECRET" not in done.stderr


FIXTURES = Path(__file__).parents[1] / "fixtures"


def foreign_files() -> Iterator[tuple[str, tfd.ArraySpec, list[bytes], np.ndarray]]:
    """Key, spec, files of other programs that are one array, and this array."""
    rng = np.random.default_rng(8)
    for dtype in ("float32", "bool"):
        x = (rng.normal(size=(5, 4)) * 9).astype(dtype)
        fortran, swapped = np.asfortranarray(x), x.astype(x.dtype.newbyteorder(">"))
        arrays = [x, fortran, swapped] if dtype != "bool" else [x, fortran]
        yield f"npy_{dtype}", tfd.ArraySpec(x.shape, dtype, "npy"), list(map(npy, arrays)), x
        members = [
            written(save, x=array, other=np.arange(9))
            for array in arrays
            for save in (np.savez, np.savez_compressed)
        ]
        yield f"npz_{dtype}", tfd.ArraySpec(x.shape, dtype, "npz:x"), members, x
        pickles = [pickle.dumps(array, protocol) for array in arrays for protocol in (3, 4, 5)]
        yield f"pkl_{dtype}", tfd.ArraySpec(x.shape, dtype, "pkl"), pickles, x
        tensors = [
            safetensors.numpy.save({"x": x}, metadata) for metadata in (None, {"format": "pt"})
        ]
        yield f"st_{dtype}", tfd.ArraySpec(x.shape, dtype, "safetensors:x"), tensors, x
        variables = {"first": np.arange(3.0), "x": x, "text": "abc"}
        mats = [
            written(scipy.io.savemat, held, do_compression=deflated)
            for deflated in (False, True)
            for held in ({"x": x}, variables)
        ]
        yield f"mat_{dtype}", tfd.ArraySpec(x.shape, dtype, "mat:x"), mats, x
        mixed = [npy(fortran), members[-1], pickles[0], mats[1], x.tobytes()]
        formats = tfd.ArraySpec(x.shape, dtype, tfd.one_of("npy", "npz:x", "pkl", "mat:x", "raw"))
        yield f"mixed_{dtype}", formats, mixed, x
    x = rng.normal(size=(5, 4))
    texts = [written(np.savetxt, x, "%.17g", ","), written(np.savetxt, x, "%.18e", ",", "\r\n")]
    yield "csv", tfd.ArraySpec(x.shape, "float64", "csv"), texts, x
    yield from by_matlab()
    for place, sample in enumerate(json.loads((FIXTURES / "pickles.json").read_text())[::9]):
        shape, dtype, key = tuple(sample["shape"]), sample["dtype"], sample["key"]
        x = np.frombuffer(bytes.fromhex(sample["array"]), dtype)
        spec = tfd.ArraySpec(shape, dtype, "pkl" if key is None else f"pkl:{key}")
        x = x.reshape(shape) if x.size else np.zeros(shape, dtype)
        yield f"old_{place}", spec, [zlib.decompress(base64.b64decode(sample["pickle"]))], x


def by_matlab() -> Iterator[tuple[str, tfd.ArraySpec, list[bytes], np.ndarray]]:
    """A matrix as MATLAB 6 to 7 wrote it, narrowed; a graph reads little-endian files only."""
    folder = Path(scipy.io.matlab.__file__).parent / "tests" / "data"
    files = [f for f in folder.glob("testmatrix_[67]*.mat") if f.read_bytes()[126:128] == b"IM"]
    assert len(files) >= 2
    x = scipy.io.loadmat(files[0])["testmatrix"].astype(np.float64)
    for dtype, codecs in (
        ("float64", "mat:testmatrix"),
        ("int32", "astype:float64|mat:testmatrix"),
    ):
        spec = tfd.ArraySpec(x.shape, dtype, codecs)
        yield f"matlab_{dtype}", spec, [file.read_bytes() for file in files], x.astype(dtype)


def written(function: Any, *values: Any, **named: Any) -> bytes:
    """What a function that saves to a file writes."""
    file = io.BytesIO()
    function(file, *values, **named)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    return written(np.save, array)


def test_files_of_other_programs_are_decoded_to_the_same_bits(
    program: Path, tmp_path: Path
) -> None:
    specs, files, arrays = {}, {}, {}
    for key, spec, datas, array in foreign_files():
        specs[key], arrays[key] = spec, array
        files[f"{key}_bytes"] = rows = []
        for row, data in enumerate(datas):
            rows.append(tmp_path / f"{key}.{row}.bin")
            rows[-1].write_bytes(data)
    # One batch size for all inputs: the files of each begin anew.
    most = max(map(len, files.values()))
    files = {name: [rows[i % len(rows)] for i in range(most)] for name, rows in files.items()}
    done = run(program, model_of(specs, tmp_path / "model"), files, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for key, array in arrays.items():
        assert_same(np.load(tmp_path / "out" / f"{key}.npy"), np.stack([array] * most))
