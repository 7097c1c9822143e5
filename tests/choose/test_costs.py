"""The cost model: what is counted, of calibration and of choices alike."""

from __future__ import annotations

import numpy as np
import pytest

from tfdecode.choose.calibrate import Decoder
from tfdecode.choose.costs import size_of
from tfdecode.codecs.registry import CODECS


@pytest.mark.parametrize(
    ("chain", "sizes"),
    [
        ("raw", (48, 48, 0)),
        ("ordered|raw", (12, 0, 48)),
        ("shuffle|raw", (48, 0, 48)),
        ("bitshuffle|raw", (48, 0, 64)),
        ("delta:0|raw", None),
    ],
)
def test_calibration_counts_as_choices_do(chain: str, sizes: tuple[int, int, int] | None) -> None:
    array = np.zeros((3, 4), "i4" if "delta" in chain else "f4")
    made, taken, raw = Decoder(chain, array).sizes
    assert made == size_of(array, CODECS[chain.partition("|")[0].partition(":")[0]])
    assert sizes is None or (made, taken, raw) == sizes
