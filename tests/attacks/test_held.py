"""What decoding holds beside the arrays: for many tiny rows, and for rows of different lengths."""

from __future__ import annotations

from tests.attacks.memory import MIB, pytestmark, run

__all__ = ["pytestmark"]


def test_a_tiny_row_holds_no_more_than_its_spec_counts() -> None:
    """Rows of 16 bytes of several writers and damaged ones: their number is what takes memory."""
    outcome, _ = run(
        """
import pickle
count, over = 20_000, []
x = np.zeros(4, "f4")
for chain in ("zlib_bounded", "png", "pkl"):
    spec = tfd.ArraySpec((4,), "float32", chain)
    good = spec.encode(x)
    odd = pickle.dumps(x, 3) if chain == "pkl" else good[:-1]
    rows = [good, odd, good[:-1] + bytes([good[-1] ^ 255]), b""] * (count // 4)
    decode = graph(spec.decode_checked)
    decode(tf.constant(rows[:4]))
    rows = tf.constant(rows)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = resident("VmRSS")
    decode(rows)
    if resident("VmHWM") - before > count * spec.held_nbytes:
        over.append(chain)
    assert spec.max_rows * spec.held_nbytes <= 2**30
print(",".join(over) or "none", 0)
""",
        tensorflow=True,
    )
    assert outcome == "none"


def test_rows_of_different_lengths_hold_no_index_of_each_element() -> None:
    outcome, peak = run(
        """
spec = tfd.ArraySpec((None,), "bool", "raw", max_shape=(2**20,))
decode = graph(spec.decode_checked)
def attack(name):
    nbytes = 2**20 if name == "attack" else 2
    rows = [b"\\1" * nbytes, b"\\2" * nbytes, b"\\1" * (nbytes // 2), b""] * 8
    array, status = decode(tf.constant(rows))
    assert status.numpy().tolist() == [0, 4, 0, 0] * 8
    assert array.shape == (32, nbytes)
    counts = [np.count_nonzero(row) for row in array.numpy()]
    assert counts == [nbytes, 0, nbytes // 2, 0] * 8
    return "right"
measure(attack)
""",
        tensorflow=True,
    )
    assert outcome == "right"
    assert peak < 5 * 32 * MIB
