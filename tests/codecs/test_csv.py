"""csv: text by NumPy, spreadsheets and others, in a saved and reloaded model."""

from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import assert_same, file_by
from tests.reloaded import Decoders, save
from tfdecode.formats import csv

MATRICES = {
    "matrix": tfd.ArraySpec((4, 3), "float32", "csv"),
    "wide": tfd.ArraySpec((4, 3), "float64", "csv"),
    "header": tfd.ArraySpec((4, 3), "float64", "csv:header=2"),
    "semicolon": tfd.ArraySpec((4, 3), "float64", "csv:;"),
    "tab": tfd.ArraySpec((4, 3), "float32", 'csv:"\\t"'),
    "blanks": tfd.ArraySpec((4, 3), "float64", 'csv:" ",header=1'),
}
SPECS = {
    **MATRICES,
    "column": tfd.ArraySpec((4,), "float64", "csv"),
    "cells": tfd.ArraySpec((None,), "float64", "csv", max_shape=(200_000,)),
    "cells32": tfd.ArraySpec((None,), "float32", "csv", max_shape=(200_000,)),
    "rows": tfd.ArraySpec((None, 3), "float32", "csv", max_shape=(6, 3)),
    "nothing": tfd.ArraySpec((0, 3), "float32", "csv"),
    "narrow": tfd.ArraySpec((2, 0), "float32", "csv"),
    "integers": tfd.ArraySpec((4, 3), "int64", "astype:float64|csv|seal"),
    "either": tfd.ArraySpec((4, 3), "float32", tfd.one_of("npy", "csv", "raw")),
}
SEPARATORS = {"semicolon": ";", "tab": "\t", "blanks": " "}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    checked = (*MATRICES, "rows", "nothing", "narrow")
    module = Decoders(SPECS, checked, tensor=SPECS.keys() - {"rows"})
    return save(module, tmp_path_factory.mktemp("csv"))


def array_of(name: str) -> np.ndarray:
    spec = SPECS[name]
    array = np.random.default_rng(7).normal(size=spec.shape).astype(spec.dtype)
    array[:, 1] = [-0.0, np.nan, np.inf, -np.inf]
    array[0, 0] = np.finfo(spec.dtype).smallest_subnormal
    array[1, 0] = np.finfo(spec.dtype).max
    return array


def saved(array: np.ndarray, **options: Any) -> bytes:
    return file_by(np.savetxt, array, **options)


def files(name: str) -> Iterator[tuple[bytes, np.ndarray]]:
    """Texts of other programs, and what they hold."""
    array, mark = array_of(name), SEPARATORS.get(name, ",")
    header = SPECS[name].codecs[0].header
    top = b'"a text";b,c\xff\n' * header
    exact = "%.18e" if array.dtype == "f8" else "%.9g"
    for lines in ({}, {"newline": "\r\n"}, {"newline": " \n"}):
        text = saved(array, delimiter=mark, fmt=exact, **lines)
        yield top + text, array
        yield top + text.rstrip(), array
        yield top + b"# x y z\n" + text.upper() + b"\n# end\r\n\n", array
    spaced = saved(array, delimiter=f" {mark} ", fmt=exact)
    yield top + spaced, array
    yield top + saved(array, delimiter=mark, fmt=exact, header="x y z\nin metres"), array
    for fmt in ("%.3f", "%+.2e", "%d", "%5.1f"):
        finite = np.nan_to_num(array, posinf=3e5, neginf=-17) if fmt == "%d" else array.copy()
        finite[1, 0] = 12.5
        text = saved(finite, delimiter=mark, fmt=fmt)
        read = np.loadtxt(io.BytesIO(text), delimiter=None if mark == " " else mark)
        yield top + text, read.astype(array.dtype)


@pytest.mark.parametrize("name", MATRICES)
def test_texts_of_other_programs_are_read_bit_for_bit(model: Any, name: str) -> None:
    payloads, arrays = zip(*files(name), strict=True)
    for payload, array in zip(payloads, arrays, strict=True):
        assert_same(SPECS[name].decode(payload), array)
        assert_same(model.tensor[name](tf.constant([payload]))[0], array)
    assert_same(model.tensor[name](tf.constant(payloads)), np.stack(arrays))


@pytest.mark.parametrize("name", MATRICES)
def test_what_is_written_is_read_by_numpy(model: Any, name: str) -> None:
    spec, array = SPECS[name], array_of(name)
    payload = spec.encode(array)
    assert_same(spec.decode(payload), array)
    assert_same(model.tensor[name](tf.constant([payload]))[0], array)
    mark = SEPARATORS.get(name, ",")
    header = spec.codecs[0].header
    read = np.loadtxt(io.BytesIO(payload), array.dtype, delimiter=mark, skiprows=header)
    assert_same(read, array)
    if header < 2:
        assert_same(csv.contents(payload).read().astype(array.dtype), array)


def numbers(rng: np.random.Generator, count: int) -> Iterator[str]:
    """Decimals that are hard to round: any, of many digits, and between two neighbours."""
    some = rng.integers(0, 2**63, count, np.int64).view("f8")
    some = some[np.isfinite(some)]
    tiny = rng.integers(0, 2**52, count // 4, np.int64).view("f8")
    near = rng.integers(0, 0x7F800000, count, np.int64).astype("u4").view("f4").astype("f8")
    for x in (*some, *tiny, *near):
        yield repr(float(x))
        yield f"{x:+.18E}"
    for lower in np.concatenate([some[:300], tiny[:300], near[:300]]):
        upper = np.nextafter(lower, np.inf, dtype=lower.dtype)
        between = (Decimal(float(lower)) + Decimal(float(upper))) / 2
        yield f"{between:.23e}"
        yield f"{between:.16e}"
    for whole in (1, 2**23 - 1, 2**24 + 1, 2**24 + 3, 2**52 + 1, 2**53):
        yield f"{whole}"
        yield f"-{whole}.500000000001"
        yield f"{whole}.4999999999999"
    for odd in (1, 3, 5, 1001):  # halfway between two float64
        yield from (f"{2**53 + odd}.0", f"-{2**53 + odd}.00000001", f"{2**54 + 2 * odd}e0")
    yield from ["0", "-0", "-.0e9", "+00.0", "5.", ".5", "1e400", "-1e-400", "1e0000000001"]
    yield from ["1e99999999999999999999", "0e99999999999999999999", "1e-99999999999999999999"]
    yield from [
        "nan",
        "NaN",
        "inf",
        "-INF",
        "+Inf",
        "9007199254740994",
        "2.2250738585072011e-308",
    ]


def test_every_number_is_the_one_that_python_reads(model: Any) -> None:
    texts = list(numbers(np.random.default_rng(3), 20_000))
    assert len(texts) > 80_000
    expected = np.array([float(text) for text in texts])
    payload = "\n".join(texts).encode()
    assert_same(model.tensor["cells"](tf.constant([payload]))[0], expected)
    assert_same(SPECS["cells"].decode(payload), expected)
    with np.errstate(over="ignore"):
        narrow = expected.astype("f4")
    held = ~(np.isinf(narrow) & np.isfinite(expected))
    payload = "\n".join(np.array(texts)[held].tolist()).encode()
    assert_same(model.tensor["cells32"](tf.constant([payload]))[0], narrow[held])
    assert_same(SPECS["cells32"].decode(payload), narrow[held])


def test_any_float_is_written_and_read_back(model: Any) -> None:
    rng = np.random.default_rng(5)
    for name, dtype, bits in (("cells", "f8", "u8"), ("cells32", "f4", "u4")):
        array = np.frombuffer(rng.bytes(60_000 * int(bits[1])), dtype).copy()
        array[np.isnan(array)] = np.nan
        array[:9000].view(bits)[:] >>= 9 if dtype == "f4" else 12  # subnormal numbers
        array[9000:12000] = np.arange(3000) * 3e12 + 9e15
        payload = SPECS[name].encode(array)
        assert_same(SPECS[name].decode(payload), array)
        assert_same(model.tensor[name](tf.constant([payload]))[0], array)


def test_a_vector_is_a_number_a_line(model: Any) -> None:
    array = np.array([1.5, -0.0, 3e300, np.nan])
    assert SPECS["column"].encode(array) == b"1.5\n-0\n3e+300\nnan\n"
    for payload in (SPECS["column"].encode(array), saved(array), saved(array, fmt="%.17g")):
        assert_same(SPECS["column"].decode(payload), array)
        assert_same(model.tensor["column"](tf.constant([payload]))[0], array)


def test_rows_of_any_number(model: Any) -> None:
    arrays = [np.full((n, 3), n, "f4") for n in (0, 6, 1, 3)]
    payloads = [SPECS["rows"].encode(array) for array in arrays]
    ragged = model.ragged["rows"](tf.constant(payloads))
    assert ragged.row_lengths().numpy().tolist() == [0, 6, 1, 3]
    assert_same(ragged.flat_values, np.concatenate(arrays).reshape(-1, 3))
    more = b"1,2,3\n" * 7
    assert model.checked["rows"](tf.constant([more, payloads[1]]))[1].numpy().tolist() == [5, 0]
    with pytest.raises(tfd.DecodeError, match="7 lines of numbers"):
        SPECS["rows"].decode(more)


def test_no_number_is_dropped_with_lines_that_are_too_many(model: Any) -> None:
    hidden = b"1,2,3\n" + b"\n" * 69 + b"# x\n4,5,6\n"
    empty = hidden.replace(b"# x\n4,5,6\n", b"\n\n\n")
    status = model.checked["rows"](tf.constant([hidden, empty]))[1]
    assert status.numpy().tolist() == [5, 0]
    with pytest.raises(tfd.DecodeError, match="more than 70 lines"):
        SPECS["rows"].decode(hidden)
    assert SPECS["rows"].decode(empty).tolist() == [[1, 2, 3]]
    assert agree(model, "matrix", [b"1,2,3\n" * 4 + b"#\n" * 65 + b"7,8,9\n"]) == 0


@pytest.mark.parametrize("name", ["nothing", "narrow"])
def test_no_numbers_are_no_lines(model: Any, name: str) -> None:
    array = np.zeros(SPECS[name].shape, "f4")
    assert SPECS[name].encode(array) == b""
    for payload in (b"", b"\n\n", b"# nothing\r\n"):
        assert_same(SPECS[name].decode(payload), array)
        assert_same(model.tensor[name](tf.constant([payload]))[0], array)
    assert model.checked[name](tf.constant([b"1"]))[1].numpy()[0] == 5


def test_whole_numbers_are_taken_by_astype(model: Any) -> None:
    array = np.arange(-6, 6).reshape(4, 3)
    array[0] = [2**53, -(2**53), 0]
    payload = SPECS["integers"].encode(array)
    assert payload[:-8].startswith(b"9007199254740992,-9007199254740992,0\n-3,-2,-1\n")
    assert_same(model.tensor["integers"](tf.constant([payload]))[0], array)
    plain = tfd.ArraySpec((1, 2), "int32", "astype:float64|csv")
    assert plain.decode_checked([b"1,2.0", b"1,2.5"])[1].numpy().tolist() == [0, 4]


def test_a_batch_may_mix_containers(model: Any) -> None:
    arrays = [np.roll(array_of("matrix"), n) for n in (1, 2, 3)]
    specs = SPECS["either"].alternatives
    payloads = [specs[n].encode(array) for n, array in enumerate(arrays)]
    payloads[1] = bytes([0xA1]) + payloads[1]
    assert_same(model.tensor["either"](tf.constant(payloads)), np.stack(arrays))


# -- hostile rows -----------------------------------------------------------------------------


def agree(model: Any, name: str, payloads: list[bytes]) -> int:
    """How many are taken: the same ones by both sides, as the same array."""
    spec = SPECS[name]
    good = array_of(name)
    got, status = model.checked[name](tf.constant([spec.encode(good), *payloads]))
    assert status.numpy()[0] == 0
    assert_same(got[0], good)
    taken = 0
    for payload, code, row in zip(payloads, status.numpy()[1:], got.numpy()[1:], strict=True):
        try:
            expected = spec.decode(payload)
        except tfd.DecodeError:
            assert code, payload
            assert_same(row, np.zeros_like(good))
        else:
            taken += 1
            assert not code, payload
            assert_same(row, expected)
    return taken


@pytest.mark.parametrize("name", MATRICES)
def test_thousands_of_changed_texts_are_refused_or_read_alike(model: Any, name: str) -> None:
    payload, rng = SPECS[name].encode(array_of(name)), np.random.default_rng(1)
    rows = [payload[:end] for end in range(len(payload))]
    rows += [payload[start:] for start in range(len(payload))]
    signs = b"0123456789+-.eE,; \t\n\r#nNaAiIfFxX_\"'\0\x85\xa0\xff"
    for place in range(len(payload)):
        for sign in rng.choice(list(signs), 6).tolist():
            rows.append(payload[:place] + bytes([sign]) + payload[place + 1 :])
            rows.append(payload[:place] + bytes([sign]) + payload[place:])
        rows.append(payload[:place] + payload[place + 1 :])
    assert len(rows) > 1400
    assert 100 < agree(model, name, rows) < 0.8 * len(rows)


@pytest.mark.parametrize(
    "cell",
    [
        *(
            "",
            " ",
            "x",
            "1_0",
            "0x10",
            "0b1",
            "1e",
            "e5",
            ".",
            "+",
            "--1",
            "1-",
            "1 2",
            "1d5",
            "1f",
        ),
        *(
            "\u0661",
            "1\u00a0",
            "\ufeff1",
            "nan(1)",
            "-nan",
            "infinity",
            "0.1" + "0" * 29,
            "1e5.0",
            "1,5",
            '"1"',
            "#",
        ),
        *("9007199254740993", "-9007199254740993", "1" * 40, "1" + "0" * 309, "True", "None"),
    ],
)
def test_a_cell_that_is_no_number_is_refused(model: Any, cell: str) -> None:
    payload = f"1,2,3\n4,{cell},6\n7,8,9\n1,2,3\n".encode()
    assert agree(model, "wide", [payload, payload.replace(b",", b" ,")]) == 0


def test_the_value_of_a_failed_formula_is_no_comment(model: Any) -> None:
    failed = [b"#N/A,2,3\n1,2,3\n", b"1,2,3\n #DIV/0!,2,3\n", b"#NAME?\n"]
    comments = [b"#N,2,3\n1,2,3\n", b"1,2,3\n # DIV/0!,2,3\n", b"1,2,3\n#NAMES\n"]
    status = model.checked["rows"](tf.constant(failed + comments))[1].numpy().tolist()
    assert status == [5, 5, 5, 0, 0, 0]
    for payload, code in zip(failed + comments, status, strict=True):
        if code:
            with pytest.raises(tfd.DecodeError, match="has a line of"):
                SPECS["rows"].decode(payload)
        else:
            assert SPECS["rows"].decode(payload).tolist() == [[1, 2, 3]]


def test_a_number_beyond_float32_is_refused(model: Any) -> None:
    payload = b"1,2,3\n4,3.5e38,6\n7,8,9\n1,2,3\n"
    assert agree(model, "wide", [payload]) == 1
    assert agree(model, "matrix", [payload]) == 0
    with pytest.raises(tfd.DecodeError, match="a number beyond float32"):
        SPECS["matrix"].decode(payload)


def test_other_shapes_are_refused(model: Any) -> None:
    array = array_of("matrix")
    others = [array[:3], array.T, np.vstack([array, array[:1]]), array[:, :2]]
    payloads = [saved(other, delimiter=",", fmt="%.9g") for other in others]
    payloads += [saved(array, delimiter=mark) for mark in ";\t "]
    payloads += [b"1,2\n3\n4,5,6\n7,8,9\n1,2,3\n", b"1,2,3,4\n5,6\n7,8,9\n1,2,3\n"]
    payloads += [b"\n" * 200, b"#\n" * 70 + b"1,2,3\n" * 4, b"," * 300, b"1," * 300, b"a,b,c\n" * 5]
    payloads += [b"1,2,3," + b"\n1,2,3" * 3, b"1,2,3\r1,2,3\r1,2,3\r1,2,3\r"]
    assert agree(model, "matrix", payloads) == 0
    assert agree(model, "matrix", [b"#\n" * 60 + b"1,2,3\n" * 4]) == 1


def test_the_message_says_what_came_and_what_was_needed() -> None:
    spec = MATRICES["matrix"]
    good = spec.encode(np.zeros((4, 3), "f4"))
    with pytest.raises(tf.errors.InvalidArgumentError) as failure:
        spec.decode_tensor([good, good.replace(b",", b";")], input_name="pose_bytes")
    message = "pose_bytes: row 1 has 24 bytes, not a text of float32 [4, 3] with commas between"
    assert message in failure.value.message
    with pytest.raises(tfd.DecodeError, match="has 3 lines of numbers, not a text of float32"):
        spec.decode(good[:18] + b"#12345")


@pytest.mark.parametrize("bits", [0x7FC00001, 0xFFC00000, 0x7F800001])
def test_nans_that_text_does_not_tell_apart_are_refused(bits: int) -> None:
    array = np.zeros((4, 3), "f4")
    array.view("u4")[2, 1] = bits
    with pytest.raises(tfd.EncodeError, match=rf"NaN with bits {bits:#x} at index \[2, 1\]"):
        MATRICES["matrix"].encode(array)


@pytest.mark.parametrize(
    ("codecs", "dtype", "shape", "message"),
    [
        ("csv", "int64", (2, 2), "not int64: use astype:float64.csv"),
        ("csv", "bool", (2, 2), "not bool: use astype:float64.csv"),
        ("csv", "complex64", (2, 2), "not complex64: use npy"),
        ("csv", "float32", (), "needs rank 1 or 2; use npy"),
        ("csv", "float32", (2, 2, 2), "needs rank 1 or 2; use npy"),
        ("csv", "float32", (2, None), "needs a fixed number of columns; only the first dim"),
        ("csv", "float32", (2000, 2000), "has 4000000 cells, too many for text; use npy"),
        ("csv:|", "float32", (2, 2), "."),
        ("csv:x", "float32", (2, 2), "separator is 'x', needs a comma, a semicolon"),
        ("csv:header=-1", "float32", (2, 2), "header is -1, needs a number of lines, 0 to 64"),
        ("csv:header=true", "float32", (2, 2), "header is True"),
    ],
)
def test_what_no_text_can_be_is_a_spec_error(
    codecs: str, dtype: str, shape: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(tfd.SpecError, match=message):
        tfd.ArraySpec(shape, dtype, codecs, max_shape=(2, 5) if None in shape else None)
