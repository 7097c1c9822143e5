"""The cost model: what is counted, of calibration and of choices alike."""

from __future__ import annotations

import numpy as np
import pytest

from tfdecode.choose.calibrate import Decoder
from tfdecode.choose.costs import size_of, taken_by
from tfdecode.codecs.registry import CODECS
from tfdecode.formats.zlib_stream import compress, compress_with_stored_blocks


@pytest.mark.parametrize(
    ("chain", "sizes"),
    [
        ("raw", (48, 48, 0)),
        ("sortable|raw", (12, 0, 48)),
        ("shuffle|raw", (48, 0, 48)),
        ("delta:0|raw", None),
    ],
)
def test_calibration_counts_as_choices_do(chain: str, sizes: tuple[int, int, int] | None) -> None:
    array = np.zeros((3, 4), "i4" if "delta" in chain else "f4")
    made, taken, raw = Decoder(chain, array).sizes
    assert made == size_of(array, CODECS[chain.partition("|")[0].partition(":")[0]])
    assert sizes is None or (made, taken, raw) == sizes


def test_bytes_that_are_stored_are_not_counted_as_codes() -> None:
    noise = np.random.default_rng(0).bytes(2**16)
    data = noise + bytes(2**16)
    assert taken_by("zlib", compress_with_stored_blocks(data, 3), len(data)) < 1000
    # Of noise as many as there are bytes, of what shrinks well in proportion to the payload.
    codes = bytes(byte & 127 for byte in noise)
    assert taken_by("zlib", compress(codes, 1), len(codes)) == len(codes)
    few = compress(bytes(2**16), 6)
    assert taken_by("zlib", few, 2**16) == len(few) * 3 // 2
    assert taken_by("png", few, 2**16) == len(few)
