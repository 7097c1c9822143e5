"""A server without Python decodes every case of the table to the same bits."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.codecs.cases import CASES
from tests.common import Case, assert_same, one_hot
from tfdecode.dtypes import numpy_dtype


def saved(cases: Sequence[Case], directory: Path) -> Path:
    """A SavedModel with one signature, ``every_case``, that decodes all of them."""
    keys = {case.key: f"{case.key}_bytes" for case in cases}

    @tf.function(autograph=False)
    def every_case(**payloads: Any) -> Any:
        return {
            case.key: case.spec.decode_tensor(payloads[keys[case.key]], name=keys[case.key])
            for case in cases
        }

    inputs = {key: tf.TensorSpec([None], tf.string, key) for key in keys.values()}
    module = tf.Module()
    module.every_case = every_case
    signature = every_case.get_concrete_function(**inputs)
    tf.saved_model.save(module, str(directory), {"every_case": signature})
    return directory


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


def test_every_case_is_decoded_to_the_same_bits(program: Path, tmp_path: Path) -> None:
    model = saved(CASES, tmp_path / "model")
    done = run(program, model, payloads(CASES, tmp_path), tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for case in CASES:
        decoded = np.load(tmp_path / "out" / f"{case.key}.npy")
        if case.dtype == "bfloat16":
            decoded = decoded.view(numpy_dtype("bfloat16"))
        assert_same(decoded, np.stack(case.arrays(3, length=2)))


@pytest.mark.parametrize("codecs", ["raw", "astype:uint8|zlib", "onehot|png", "npy", "pkl"])
def test_a_bad_payload_is_an_error_that_names_input_and_row(
    codecs: str, program: Path, tmp_path: Path
) -> None:
    cases = [Case(codecs, (4, 5), "float32", one_hot), Case("raw", (2,), "bool")]
    files = payloads(cases, tmp_path)
    row = files[f"{cases[0].key}_bytes"][1]
    row.write_bytes(row.read_bytes() + b"\xffSECRET")
    done = run(program, saved(cases, tmp_path / "model"), files, tmp_path / "out")
    assert done.returncode == 1
    assert f"{cases[0].key}_bytes: row 1 has " in done.stderr
    assert "SECRET" not in done.stderr
