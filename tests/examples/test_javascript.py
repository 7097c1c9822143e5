"""examples/js: what a browser packs is, for numpy and for a saved model, the array it had."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64decode, b64encode
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.codecs.cases import CASES
from tests.common import Case, any_bits, assert_same, integers
from tests.reloaded import Decoders, save
from tfdecode.dtypes import little_endian

FOLDER = Path(__file__).parents[2] / "examples" / "js"
CODECS = {"transpose", "astype", "raw", "png", "zlib", "zlib_bounded", "seal"}

#: Packs what comes on standard input, each a spec and the bytes of an array.
DRIVER = """
import { readFileSync } from "node:fs";
const { encode } = await import(process.argv[1]);
const ARRAYS = {
  bool: Uint8Array, uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array,
  uint32: Uint32Array, int32: Int32Array, uint64: BigUint64Array, int64: BigInt64Array,
  float16: Uint16Array, bfloat16: Uint16Array, float32: Float32Array, float64: Float64Array,
  complex64: Float32Array, complex128: Float64Array,
};
const results = [];
for (const { spec, array, shape } of JSON.parse(readFileSync(0))) {
  const typed = new ARRAYS[spec.dtype](Uint8Array.from(Buffer.from(array, "base64")).buffer);
  if (shape) typed.shape = shape;
  try {
    results.push({ payload: Buffer.from(await encode(spec, typed)).toString("base64") });
  } catch (error) {
    results.push({ error: error.constructor.name, message: error.message });
  }
}
console.log(JSON.stringify(results));
"""


@cache
def node() -> str:
    """The program; where there is none, tests are skipped, but not in CI."""
    found = shutil.which("node")
    if found is None and os.environ.get("CI"):
        pytest.fail("no node on PATH, and CI is set: examples/js must be tested")
    if found is None:
        pytest.skip("no node on PATH: EXAMPLES/JS WAS NOT TESTED")
    return found


def run(arguments: list[Any], text: str = "") -> str:
    command = [node(), *map(str, arguments)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def packed(case: Case, arrays: list[np.ndarray]) -> list[dict[str, str]]:
    """What the module makes of each array: its payload, or its error and message."""
    spec = json.loads(case.spec.to_json())
    inputs: list[dict[str, Any]] = [
        {"spec": spec, "array": b64encode(little_endian(array).tobytes()).decode()}
        for array in arrays
    ]
    if not case.spec.chain.form.sides_follow:
        for one, array in zip(inputs, arrays, strict=True):
            one["shape"] = array.shape
    module = (FOLDER / "tfdecode.js").as_uri()
    results: list[dict[str, str]] = json.loads(
        run(["--input-type=module", "-e", DRIVER, module], json.dumps(inputs))
    )
    return results


def payloads(case: Case, arrays: list[np.ndarray]) -> list[bytes]:
    results = packed(case, arrays)
    assert all("payload" in result for result in results), results
    return [b64decode(result["payload"]) for result in results]


def can_pack(case: Case) -> bool:
    """Whether the module has the codecs of ``case``, and the numbers that it casts."""
    steps = [step for chain in case.spec.chains for step in chain.codecs]
    cast = [step.dtype for step in steps if step.name == "astype"]
    numbers = " ".join({case.dtype, *cast}) if cast else ""
    short = "float16" in numbers or "complex" in numbers
    return CODECS.issuperset(step.name for step in steps) and not short


TABLE = [case for case in CASES if can_pack(case)]

#: Of the size and in the layouts that such a client sends.
MAPS = [
    Case("raw|seal", (64, 48, 5), "float32"),
    Case("raw", (64, 48), "float16"),
    Case("zlib", (64, 48, 5), "float64"),
    Case("zlib_bounded", (64, 48, 5), "float64"),
    Case("astype:uint8|zlib_bounded:3,store_incompressible=true", (64, 48), "f4", integers(0, 9)),
    Case("png", (64, 48, 5), "uint8", integers(0, 3)),
    Case("png", (64, 48, 5), "uint16"),
    Case("png|seal", (64, 48, 5), "float32"),
    Case("png:interleaved", (64, 48, 3), "uint8"),
    Case("png:interleaved|seal", (64, 48, 4), "uint8", integers(0, 9)),
    Case("png:interleaved", (64, 48), "uint16", integers(0, 9)),
    Case("transpose:2,0,1|raw|seal", (64, 48, 5), "float64"),
    Case("transpose:1,2,0|astype:uint8|png|seal", (64, 48, 5), "float32", integers(0, 255)),
    Case("astype:int32|transpose:1,0|zlib|zlib", (64, 48), "int64", integers(-(2**31), 2**31 - 1)),
]


def test_the_tests_of_the_module_pass() -> None:
    run(["--test", FOLDER / "tfdecode.test.js"])


@pytest.mark.parametrize("case", TABLE, ids=str)
def test_what_it_packs_is_the_array(case: Case, reloaded: Any) -> None:
    """One length for the rows of a batch, where it may differ."""
    arrays = [*case.arrays(3, seed=3, length=2), *case.arrays(1, seed=4, length=2)]
    made = payloads(case, arrays)
    for payload, array in zip(made, arrays, strict=True):
        assert_same(case.spec.decode(payload), array)
    assert_same(reloaded.tensor[case.key](tf.constant(made)), np.stack(arrays))


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Any:
    specs = {case.key: case.spec for case in MAPS}
    return save(Decoders(specs, checked=()), tmp_path_factory.mktemp("javascript"))


@pytest.mark.parametrize("case", MAPS, ids=str)
def test_maps_of_many_values_are_packed(case: Case, maps: Any) -> None:
    arrays = [*case.arrays(2), np.zeros_like(case.arrays(1)[0])]
    made = payloads(case, arrays)
    for payload, array in zip(made, arrays, strict=True):
        assert_same(case.spec.decode(payload), array)
    assert_same(maps.tensor[case.key](tf.constant(made)), np.stack(arrays))


@pytest.mark.parametrize("case", [case for case in TABLE if case.refused], ids=str)
def test_what_is_outside_the_domain_is_refused(case: Case) -> None:
    arrays = [array for array, _ in case.refused if array.dtype.name == case.dtype]
    fits = [array for array in arrays if array.shape == case.shape]
    assert [result.get("error") for result in packed(case, fits)] == ["EncodeError"] * len(fits)


def test_the_table_has_every_codec_and_dtype_that_the_module_knows() -> None:
    assert {
        step.name for case in TABLE for chain in case.spec.chains for step in chain.codecs
    } == CODECS
    dtypes = {case.dtype for case in (*TABLE, *MAPS) if case.make is any_bits}
    assert dtypes >= {"float16", "complex128"}


def test_without_node_it_is_skipped_but_not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception):
        node.__wrapped__()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        node.__wrapped__()
