"""Hostile specs: chain text and JSON from elsewhere, each a SpecError of one sentence."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfdecode as tfd
from tfdecode.codecs.registry import CODECS as CODECS_BY_NAME
from tfdecode.schema import MAX_BYTES

HUGE = 2**31 - 1

TEXTS = [
    "", " ", "|", "raw|", "|raw", "raw||zlib", "png2", "Raw", "raw;zlib", "raw raw", "raw\0",
    "raw|raw", "zlib|raw|astype:uint8", "zlib|transpose:0,1", "raw|transpose:1,0", "seal|raw",
    "zlib:13", "zlib:-1", "zlib:true", "zlib:null", "zlib:6.0", "zlib:NaN", "zlib:Infinity",
    "zlib:1e400", "zlib:nine", 'zlib:"9"', "zlib:9,9", "zlib:9,level=1", "zlib:level=1,level=1",
    "zlib:level", "zlib:speed=9", "zlib:name=raw", "zlib:version=2", "zlib:version=true",
    "zlib:max_packed=0", "zlib:max_packed=7", "zlib:max_packed=true", "zlib:max_packed=1e9",
    "zlib:max_packed=-8", "zlib:" + "[" * 100_000, "zlib:" + "9" * 5000, 'zlib:"', 'raw|"zlib',
    "raw:1", "raw:little", "seal:1", "seal:key=1", "raw:version=0",
    "transpose", "transpose:", "transpose:0", "transpose:0,0", "transpose:0,2", "transpose:1,0,2",
    "transpose:-1,0", "transpose:true,false", "transpose:1.0,0", "transpose:a,b",
    "transpose:order=1", "transpose:[1,0],0", "transpose:NaN,0",
    "astype", "astype:", "astype:float8", "astype:object", "astype:str", "astype:V4",
    "astype:complex64", "astype:f4;f4", "astype:null", "astype:uint8,uint8", "astype:(2,",
    "astype:datetime64", "astype:[]", "astype:{}", "astype:O", "astype:M8[ns]",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:30])
def test_a_chain_text_that_cannot_be(text: str) -> None:
    with pytest.raises(tfd.SpecError):
        tfd.ArraySpec((2, 3), "float32", text)


CODECS: list[Any] = [
    None, 1, True, 1.5, {}, {"name": "raw"}, b"raw", [1], [None], [[]], [["raw"]], [{}],
    [{"name": None}], [{"name": ["raw"]}], [{"name": {}}], [{"codec": "raw"}], [b"raw"],
    [{"name": "raw", "endian": "big"}], [{"name": "raw", "version": 2}],
    [{"name": "raw", "version": True}], [{"name": "raw", "version": "1"}],
    [{"name": "raw", "version": 1.0}], [{"name": "raw", "version": None}],
    [{"name": "zlib", "level": [6]}], [{"name": "zlib", "level": {"a": 1}}],
    [{"name": "zlib", "level": float("nan")}], [{"name": "zlib", "level": 2**70}],
    [{"name": "zlib", "max_packed": "60"}], [{"name": "seal", "key": "00"}],
    [{"name": "transpose"}], [{"name": "transpose", "order": None}],
    [{"name": "transpose", "order": 5}], [{"name": "transpose", "order": "10"}],
    [{"name": "transpose", "order": [1, "0"]}], [{"name": "transpose", "order": [None, 0]}],
    [{"name": "transpose", "order": [[1], [0]]}], [{"name": "transpose", "order": {"1": 0}}],
    [{"name": "transpose", "order": [1, 0] * 100_000}],
    [{"name": "astype", "dtype": None}], [{"name": "astype", "dtype": 4}],
    [{"name": "astype", "dtype": ["float32"]}], [{"name": "astype", "dtype": {}}],
    [{"name": "astype", "dtype": {"names": ["a"], "formats": ["f4"]}}],
    ["raw"] * 2, ["raw", "raw|zlib"],
]  # fmt: skip


@pytest.mark.parametrize("codecs", CODECS, ids=lambda codecs: str(codecs)[:40])
def test_codecs_that_cannot_be(codecs: Any) -> None:
    with pytest.raises(tfd.SpecError):
        tfd.ArraySpec((2, 3), "float32", codecs)


SHAPES: list[Any] = [
    None, 5, "", "23", b"", {}, 1.5, True, [True], [False], [-1], [2.0], [float("nan")], ["2"],
    [[2]], [2**31], [2**63], [10**400], [HUGE, HUGE], [0, HUGE, HUGE, HUGE], [1] * 33,
    [50_000, 50_000], [None, None], [None], ["None"],
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape)[:40])
def test_a_shape_that_cannot_be(shape: Any) -> None:
    with pytest.raises(tfd.SpecError):
        tfd.ArraySpec(shape, "float32")


BOUNDS: list[Any] = [
    None, [], [4], [4, 4], [None, 3], [4, None], [-1, 3], [True, 3], [HUGE, 3], "43", [4.0, 3],
]  # fmt: skip


@pytest.mark.parametrize("bound", BOUNDS, ids=str)
def test_a_max_shape_that_cannot_be(bound: Any) -> None:
    with pytest.raises(tfd.SpecError):
        tfd.ArraySpec((None, 3), "float32", max_shape=bound)


DTYPES: list[Any] = [
    None, 5, [], {}, "", " ", "float8", "float128", "str", "object", "O", "V4", "M8[ns]", "f4,f4",
    "f4,,", "(2,", "2f4", "float32 ", "float32\n", "float32\0", "bytes", b"", ["float32"], object(),
    "a" * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: repr(dtype)[:30])
def test_a_dtype_that_cannot_be(dtype: Any) -> None:
    with pytest.raises(tfd.SpecError):
        tfd.ArraySpec((2, 3), dtype)


GOOD = {"version": 1, "shape": [2], "dtype": "float32", "codecs": [{"name": "raw"}]}
CHANGES: list[dict[str, Any]] = [
    {"version": None}, {"version": 0}, {"version": 2}, {"version": "1"}, {"version": True},
    {"version": 1.0}, {"version": [1]}, {"shape": None}, {"dtype": None}, {"codecs": None},
    {"codecs": []} | {"dtype": 1}, {"label": None}, {"label": 1}, {"label": ["a"]},
    {"max_shape": [3]}, {"max_shape": []}, {"max_shape": "2"}, {"fingerprint": ""},
    {"fingerprint": None}, {"fingerprint": "0" * 64}, {"unknown": 1}, {"seal": True},
    {"one_of": []}, {"": 0},
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_spec_of_json_that_cannot_be(change: dict[str, Any]) -> None:
    tfd.ArraySpec.from_json(json.dumps(GOOD))
    with pytest.raises(tfd.SpecError):
        tfd.ArraySpec.from_json(json.dumps({**GOOD, **change}))


@pytest.mark.parametrize("key", GOOD)
def test_a_spec_of_json_without_one_of_its_keys(key: str) -> None:
    with pytest.raises(tfd.SpecError, match=key):
        tfd.ArraySpec.from_dict({k: v for k, v in GOOD.items() if k != key})


DOCUMENTS = [
    "", "null", "1", "[]", '"raw"', "{", "NaN", "{}", "[" * 100_000, '{"a":' * 100_000,
    "9" * 10_000, b"\xff\xfe", b"\0", '{"version": 1}', '{"inputs": []}',
    '{"version": 1, "inputs": null}', '{"version": 1, "inputs": {}, "more": 1}',
    '{"version": true, "inputs": {}}', '{"version": 2, "inputs": {}}',
    '{"version": 1, "inputs": {"a": null}}', '{"version": 1, "inputs": {"a": []}}',
    json.dumps({"version": 1, "inputs": {"\x1b[2J": GOOD}}),
    json.dumps({"version": 1, "inputs": {"": GOOD}}),
    json.dumps({"version": 1, "inputs": {"a\n": GOOD}}),
    json.dumps({"version": 1, "inputs": {"a" * 129: GOOD}}),
    json.dumps({"version": 1, "inputs": {"a\u202eb": GOOD}}),
    json.dumps({"version": 1, "inputs": {"a": GOOD, "a_bytes": GOOD}}),
    json.dumps({"version": 1, "inputs": {}}) + " " * MAX_BYTES,
]  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda text: str(text[:40]))
@pytest.mark.parametrize("read", [tfd.ArraySpec.from_json, tfd.Schema.from_json])
def test_a_document_that_cannot_be(document: Any, read: Any) -> None:
    with pytest.raises(tfd.SpecError):
        read(document)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("astyp:uint8", "did you mean 'astype'"), ("zlip", "did you mean 'zlib'"),
        ("gzip", "did you mean 'zlib'"), ("Zlib", "did you mean 'zlib'"),
        ("pickle", "did you mean 'pkl'"), ("zlib(9)", "follow a colon.*'zlib:9'"),
        ("raw;zlib", "join steps by '|'"), ("one_of(raw, zlib)", "join chains by ' or '"),
        ("raw OR zlib", "join chains by ' or '"), ("raw|", "with no step on one side"),
        ("raw or", "with no chain on one side"), ("zlib:levl=9", "did you mean 'level'"),
        ("astype:unit8", "did you mean 'uint8'"),
    ],
)  # fmt: skip
def test_a_slip_in_chain_text_is_told_with_what_was_meant(text: str, advice: str) -> None:
    with pytest.raises(tfd.SpecError, match=advice):
        tfd.ArraySpec((2, 3), "float32", text)


MANY = {f"a{i}": {**GOOD, "shape": [i]} for i in range(1025)}
HEAD = base64.b64encode(
    b"\x93NUMPY\1\0v\0"
    + b"{'descr': '|u1', 'fortran_order': False, 'shape': (67108864,), }".ljust(117)
    + b"\n"
).decode()
SAMPLED = {
    "version": 1,
    "shape": [2**26],
    "dtype": "uint8",
    "codecs": [{"name": "npy", "head": HEAD}],
}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (MANY, "1025 chains in all, at most 1024"),
        (
            {f"a{i}": {**SAMPLED, "label": str(i)} for i in range(9)},
            r"samples .* 603979776 bytes in all, at most 536870912",
        ),
    ],
)
def test_a_schema_that_takes_long_to_read_is_refused(
    inputs: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a single spec is made."""
    monkeypatch.setattr(tfd.ArraySpec, "from_dict", lambda spec: pytest.fail("a spec was made"))
    with pytest.raises(tfd.SpecError, match=message):
        tfd.Schema.from_json(json.dumps({"version": 1, "inputs": inputs}))


HOSTILE_NUMBERS = [
    10**310, -(10**310), 10**5000, 2**64, -(2**63), 0, -1, True, None, "9", 1.5, -0.0, 1e308,
    float("inf"), float("nan"), 1e-320, [10**400], [], {},
]  # fmt: skip


@pytest.mark.parametrize("codec", CODECS_BY_NAME)
def test_any_number_in_any_option_is_taken_or_a_spec_error(codec: str) -> None:
    """In each option of each codec; NumPy's own errors of huge numbers must not come through."""
    known = {"key": "a", "dtype": "int32", "order": [0, 1], "axes": [0], "scale": [10]}
    names = [option.name for option in CODECS_BY_NAME[codec].options()]
    tried = taken = 0
    for option in names:
        for number in HOSTILE_NUMBERS:
            good = {name: known[name] for name in names if name in known}
            for dtype in ("float32", "int64", "uint8", "bool"):
                tried += 1
                with suppress(tfd.SpecError):
                    tfd.ArraySpec((2, 3), dtype, [{"name": codec, **good, option: number}])
                    taken += 1
    assert taken < tried or not names


@given(st.text('zlibrawseltp:=,|0123456789"[]{}.- ', max_size=40))
def test_any_text_is_a_chain_or_a_spec_error(text: str) -> None:
    try:
        spec = tfd.ArraySpec((2, 3), "float32", text)
    except tfd.SpecError:
        return
    sealed = "seal" in spec.chain.text
    assert tfd.ArraySpec((2, 3), "float32", spec.chain.text, seal=sealed) == spec


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["raw", "zlib", "seal", "name", "order", "float32"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "level", "order", "dtype", "version"]), inner)
    ),
    max_leaves=6,
)


@given(st.sampled_from([*GOOD, "label", "max_shape"]), values)
def test_any_value_in_the_json_is_a_spec_or_a_spec_error(key: str, value: Any) -> None:
    try:
        spec = tfd.ArraySpec.from_json(json.dumps({**GOOD, key: value}))
    except tfd.SpecError:
        return
    assert tfd.ArraySpec.from_json(spec.to_json()) == spec
