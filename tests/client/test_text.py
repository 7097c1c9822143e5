"""JSON and base64 of requests are exact, with the fast libraries and with the standard ones."""

from __future__ import annotations

import base64
import binascii
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfdecode.client import text

NUMBERS = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
NUMBERS += ["bool", "float16", "float32", "float64", ">f4", ">i8"]


@pytest.fixture(params=["fast", "standard"], autouse=True, scope="module")
def libraries(request):
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "standard":
            patch.setattr(text, "orjson", None)
            patch.setattr(text, "pybase64", base64)
        else:
            pytest.importorskip("orjson")
        yield


@given(st.sampled_from(NUMBERS).flatmap(lambda t: hnp.arrays(t, hnp.array_shapes(min_dims=0))))
def test_every_number_arrives(array) -> None:
    for one in (array, array.T):
        for read in (text.from_json, json.loads):
            got = np.asarray(read(text.to_json(one)), array.dtype)
            np.testing.assert_array_equal(got, one)
            zeros = one == 0
            np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(one[zeros]))


def test_no_elements() -> None:
    assert json.loads(text.to_json(np.zeros((2, 0, 3), "float32"))) == [[], []]


@given(st.binary())
def test_base64(data: bytes) -> None:
    encoded = text.to_base64(data)
    assert encoded == base64.b64encode(data) and text.from_base64(encoded.decode()) == data


@pytest.mark.parametrize("bad", ["a", "YQ=", "YQ==\n", "_-__", "Y Q="])
def test_base64_of_another_form_is_refused(bad: str) -> None:
    with pytest.raises(binascii.Error):
        text.from_base64(bad)


@pytest.mark.parametrize("bad", [b"", b"{", b"\xff", b'{"a": 1,}'])
def test_json_of_another_form_is_refused(bad: bytes) -> None:
    with pytest.raises(ValueError):
        text.from_json(bad)


def test_hostile_json() -> None:
    with pytest.raises((ValueError, RecursionError)):
        text.from_json(b"[" * 10**6)
    assert text.from_json(b"[NaN, -Infinity, 18446744073709551615]")[2] == 2**64 - 1
