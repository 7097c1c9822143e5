"""The cost model: what is counted of each codec."""

from __future__ import annotations

import numpy as np

from tfdecode.choose.costs import trial
from tfdecode.codecs import Zlib
from tfdecode.codecs.registry import CODECS
from tfdecode.formats.zlib_stream import compress, compress_with_stored_blocks
from tfdecode.spec import ArraySpec


def test_filters_cost_by_element_and_others_by_byte() -> None:
    x = np.ones((64, 64), "f4")

    def seconds(chain: str) -> float:
        return trial(ArraySpec(x.shape, "float32", chain).chains[0], x)[2]

    step = seconds("raw") - 1e-9 * CODECS["raw"].decode_cost.per_output * x.nbytes
    sortable = seconds("sortable|raw") - seconds("raw") - step
    shuffle = seconds("shuffle|raw") - seconds("raw") - step
    assert np.isclose(sortable, 1e-9 * CODECS["sortable"].decode_cost.per_output * x.size)
    assert np.isclose(shuffle, 1e-9 * CODECS["shuffle"].decode_cost.per_output * x.nbytes)


def test_bytes_that_are_stored_are_not_counted_as_codes() -> None:
    noise = np.random.default_rng(0).bytes(2**16)
    data = noise + bytes(2**16)
    assert Zlib.packed_nbytes(compress_with_stored_blocks(data, 3), len(data)) < 1000
    # Of noise as many as there are bytes, of what shrinks well in proportion to the payload.
    codes = bytes(byte & 127 for byte in noise)
    assert Zlib.packed_nbytes(compress(codes, 1), len(codes)) == len(codes)
    few = compress(bytes(2**16), 6)
    assert Zlib.packed_nbytes(few, 2**16) == len(few) * 3 // 2
    assert CODECS["png"].packed_nbytes(few, 2**16) == len(few)
