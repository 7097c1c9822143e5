"""Bombs: what a payload claims or inflates to costs a bounded amount of memory, measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.memory import MIB, pytestmark, run

__all__ = ["pytestmark"]


def test_numpy_does_not_inflate_a_bomb() -> None:
    outcome, peak = run(
        """
bomb = zlib.compress(bytes(300_000_000), 9)
spec = tfd.ArraySpec((300_000,), "uint8", "zlib", seal=False)
assert len(bomb) < 300_000
def attack(name):
    try:
        spec.decode(bomb if name == "attack" else spec.encode(np.zeros(300_000, "u1")))
    except tfd.DecodeError as error:
        assert "inflates to more than 300000 bytes" in str(error)
        return "refused"
measure(attack)
""",
        tensorflow=False,
    )
    assert outcome == "refused"
    assert peak < 8 * MIB


GRAPH_BOMB = """
zeros = np.zeros(100_000, "u1")
spec = tfd.ArraySpec((100_000,), "uint8", {codecs!r}, seal={seal})
{bomb}
decode = graph(spec.decode_tensor)
def attack(name):
    rows = [spec.encode(zeros)] * 3 + [bomb if name == "attack" else spec.encode(zeros)]
    try:
        decode(tf.constant(rows))
    except tf.errors.InvalidArgumentError as error:
        assert "row 3" in error.message
        return "refused"
measure(attack)
"""


@pytest.mark.parametrize(
    "codecs, seal, bomb, bound",
    [
        # Sealed: refused before anything is inflated.
        ("zlib", None, "bomb = zlib.compress(bytes(90_000_000), 9)", 16 * MIB),
        # Longer than incompressible data needs: refused by its length.
        ("zlib", False, "bomb = zlib.compress(bytes(200_000_000), 9)", 16 * MIB),
        # max_packed bounds what a row may cost: 1032 times itself.
        ("zlib:max_packed=1000", False, "bomb = zlib.compress(bytes(1_000_000), 9)", 16 * MIB),
        # Without either, the row may cost what is documented: 1032 times the array, and while the
        # op's buffer grows twice that. Its checksum must not cost more.
        ("zlib", False, "bomb = zlib.compress(bytes(90_000_000), 9)", 2 * 103_200_000 + 16 * MIB),
        (
            "zlib",
            False,
            "inner = zlib.compress(bytes(90_000_000), 9)\n"
            "bomb = inner[:-4] + zlib.adler32(bytes(100_000)).to_bytes(4, 'big')",
            2 * 103_200_000 + 16 * MIB,
        ),
    ],
    ids=["sealed", "too long", "max_packed", "worst case", "worst case, forged trailer"],
)
def test_a_graph_bounds_a_bomb(codecs: str, seal: bool | None, bomb: str, bound: int) -> None:
    outcome, peak = run(GRAPH_BOMB.format(codecs=codecs, seal=seal, bomb=bomb), tensorflow=True)
    assert outcome == "refused"
    assert peak < bound


@pytest.mark.parametrize("seal", [True, False])
def test_small_rows_of_zlib_are_bounded_whatever_they_inflate_to(seal: bool) -> None:
    """A hundred bombs of 32 KiB, by someone who has the spec: 3.4 GB, were they all inflated."""
    outcome, peak = run(
        f"""
spec = tfd.ArraySpec((2**15,), "uint8", "zlib", seal={seal})
assert spec.bounded
good = np.random.default_rng(1).integers(0, 256, 2**15, np.uint8)
coder, bomb = zlib.compressobj(9), b""
while len(bomb) < 2**15 - 4096:
    bomb += coder.compress(bytes(2**20)) + coder.flush(zlib.Z_SYNC_FLUSH)
bomb += coder.flush()
*_, codec = spec.chain.codecs
sealed = codec.encode(bomb, spec.chain.forms[-2]) if {seal} else bomb
decode = graph(spec.decode_checked)
def attack(name):
    rows = ([sealed] * 100 if name == "attack" else []) + [spec.encode(good)] * 100
    x, status = decode(tf.constant(rows))
    assert np.array_equal(x[-100:], [good] * 100)
    assert set(status.numpy()[:-100]) <= {{1, 2}} and not status.numpy()[-100:].any()
    return "masked"
measure(attack)
""",
        tensorflow=True,
    )
    assert outcome == "masked"
    assert peak < 100 * MIB


@pytest.mark.parametrize("method", ["decode_tensor", "decode_checked"])
def test_a_batch_of_too_many_rows_is_refused_before_it_is_decoded(method: str) -> None:
    """Five thousand sealed rows of a megabyte, each under two kilobytes on the wire."""
    outcome, peak = run(
        f"""
spec = tfd.ArraySpec((2**20,), "uint8", "zlib:9")
assert spec.max_batch_size == 4096
good = spec.encode(np.zeros(2**20, "u1"))
decode = graph(spec.{method})
def attack(name):
    rows = tf.fill([5000 if name == "attack" else 4], good)
    try:
        decode(rows)
    except tf.errors.InvalidArgumentError as error:
        assert "payload: batch has 5000 rows, the model takes at most 4096" in error.message
        return "refused"
measure(attack)
""",
        tensorflow=True,
    )
    assert outcome == "refused"
    assert peak < 32 * MIB


def test_an_npz_whose_header_claims_to_be_huge_is_not_inflated(tmp_path: Path) -> None:
    outcome, peak = run(
        f"""
import io, zipfile
def npz(claim):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        head = b"\\x93NUMPY\\x02\\x00" + claim.to_bytes(4, "little")
        archive.writestr("a.npy", head + b" " * claim)
    return file.getvalue()
path = {str(tmp_path / "a.npz")!r}
def attack(name):
    open(path, "wb").write(small if name == "warm up" else big)
    try:
        tfd.load(path, max_bytes=1000)
    except tfd.FileError as error:
        assert "member a is damaged" in str(error)
        return "refused"
small, big = npz(1000), npz(200_000_000)
measure(attack)
""",
        tensorflow=False,
    )
    assert outcome == "refused" and peak < 20 * MIB


@pytest.mark.parametrize(
    ("shape", "dtype", "chain", "multiple"),
    [
        ((None,), "bool", "raw", 8),
        ((None, 4), "uint8", "transpose:1,0|zlib", 8),
        ((4, 2**20), "bool", "raw", 8),
        ((4, 2**20), "float32", "astype:float64|raw", 14),
    ],
)
def test_what_decoding_takes_is_a_small_multiple_of_what_it_gives(
    shape: tuple[int | None, ...], dtype: str, chain: str, multiple: int
) -> None:
    outcome, peak = run(
        f"""
most = [2**20 if side is None else side for side in {shape}]
spec = tfd.ArraySpec({shape}, {dtype!r}, {chain!r}, max_shape=most)
payload = spec.encode(np.ones(most, {dtype!r}))
decode = graph(spec.decode_tensor)
def attack(name):
    return len(decode(tf.constant([payload] * (16 if name == "attack" else 1))))
measure(attack)
""",
        tensorflow=True,
    )
    decoded = 16 * 4 * MIB * {"float32": 4}.get(dtype, 1) // (4 if shape == (None,) else 1)
    assert outcome == "16" and peak < multiple * decoded


@pytest.mark.parametrize(
    ("dtype", "codecs", "item"),
    [("float32", "sparse", 4), ("uint8", "sparse|seal", 1), ("int64", "sparse:palette=true", 8)],
)
def test_a_row_of_as_many_records_as_can_be_takes_what_its_codec_says(
    dtype: str, codecs: str, item: int
) -> None:
    outcome, peak = run(
        f"""
spec = tfd.ArraySpec((2**20,), {dtype!r}, {codecs!r})
few = np.zeros(2**20, {dtype!r})
many = (np.arange(2**20) % 4 == 0) * (1 + np.arange(2**20) // 4 % 250)
rows = {{"warm up": spec.encode(few), "attack": spec.encode(many.astype({dtype!r}))}}
decode = graph(spec.decode_checked)
def attack(name):
    return len(decode(tf.constant([rows[name]] * 16))[0])
measure(attack)
""",
        tensorflow=True,
    )
    assert outcome == "16" and peak < 16 * (item * MIB + 60 * (MIB // 4 + 17))


def test_a_png_inflates_to_its_spec_and_not_further() -> None:
    outcome, peak = run(
        """
from tfdecode.formats.png import END, chunk
spec = tfd.ArraySpec((600, 500), "uint8", "png")
good = spec.encode(np.zeros((600, 500), "u1"))
bomb = good[:33] + chunk(b"IDAT", zlib.compress(bytes(250_000_000), 9)) + END
decode = graph(spec.decode_tensor)
def attack(name):
    try:
        return decode([good if name == "warm up" else bomb]).shape[0]
    except tf.errors.InvalidArgumentError:
        return "refused"
measure(attack)
""",
        tensorflow=True,
    )
    assert outcome in ("1", "refused") and peak < 20 * MIB


@pytest.mark.parametrize("shape", [(300_000,), (None,)], ids=["fixed", "varying"])
def test_deflate_inflates_to_its_spec_and_not_further(shape: tuple[int | None]) -> None:
    """However much is in the stream, and however much the row claims."""
    outcome, peak = run(
        f"""
spec = tfd.ArraySpec({shape}, "uint8", "zlib_bounded", max_shape=[300_000], seal=False)
good = spec.encode(np.zeros(300_000, "u1"))
stream = zlib.compress(bytes(250_000_000), 9)
packed = stream + zlib.crc32(b"IDAT" + stream).to_bytes(4, "big")
bomb = (good[:8] if spec.max_shape else b"") + packed
claim = (2**31 - 1).to_bytes(4, "little") + good[4:]
decode = graph(spec.decode_tensor)
def attack(name):
    for row in ([good] if name == "warm up" else [bomb, claim]):
        try:
            decode([row]).shape[0]
        except tf.errors.InvalidArgumentError as error:
            if row is claim and spec.max_shape:
                assert "row 0 states 2147483647 bytes, needs 0 to 300000" in error.message
    return "bounded"
measure(attack)
""",
        tensorflow=True,
    )
    assert outcome == "bounded" and peak < 20 * MIB


#: What a frame may say of itself to cost more than its spec: all of them end the process, or did,
#: where the op sees them.
ZSTD_BOMBS = """
MAGIC = bytes.fromhex("28b52ffd")
def frame(descriptor, *claims, blocks=b"\\x01\\0\\0"):
    return MAGIC + bytes([descriptor]) + b"".join(claims) + blocks
def le(number, size):
    return number.to_bytes(size, "little")
N = 300_000
spec = tfd.ArraySpec({shape}, "uint8", {chain!r}, max_shape=[N], seal="seal" in {chain!r})
sealed = spec.chain.codecs[-1]
seal = (lambda y: sealed.encode(y, None)) if sealed.name == "seal" else (lambda y: y)
good = spec.encode(np.zeros(N, "u1"))
bare = good[:-8] if sealed.name == "seal" else good
repeated = b"".join((2**17 << 3 | 2).to_bytes(3, "little") + b"a" for _ in range(2000))
skip = bytes.fromhex("532a4d18") + le(5, 4) + b"skip!"
bombs = {{
    "1e11": frame(0xE0, le(10**11, 8)),
    "2**62": frame(0xE0, le(2**62, 8)),
    "2**63": frame(0xC0, bytes([0x58]), le(2**63, 8)),
    "2**31": frame(0xA0, le(2**31, 4)),
    "2**32 - 1": frame(0xA0, le(2**32 - 1, 4)),
    "one more": frame(0xA0, le(N + 1, 4), blocks=bare[9:]),
    "of a window": frame(0x80, bytes([0xFF]), le(N, 4), blocks=bare[9:]),
    "without a size": frame(0x00, bytes([0xA0]), blocks=repeated),
    "of another head": frame(0xE0, le(N, 8), blocks=bare[9:]),
    "with a dictionary": frame(0xA3, bytes(4), le(N, 4), blocks=bare[9:]),
    "with a checksum": frame(0xA4, le(N, 4), blocks=bare[9:] + bytes(4)),
    "with more than it claims": frame(0xA0, le(N, 4), blocks=repeated),
    "behind one to skip": skip + bare,
    "two frames": bare + bare,
    "bytes behind it": bare + b"\\0",
    "cut in its head": bare[:7],
    "cut": bare[:-2],
}}
assert all(len(bomb) < 2 * N for bomb in bombs.values())
"""
ZSTD_CHAINS = pytest.mark.parametrize(
    ("shape", "chain"),
    [((300_000,), "zstd"), ((None,), "zstd"), ((300_000,), "zstd|seal"), ((None,), "zstd|seal")],
)


@ZSTD_CHAINS
def test_zstd_makes_no_room_for_what_a_frame_claims(shape: tuple[int | None], chain: str) -> None:
    """Whoever holds the spec can seal such a frame too."""
    outcome, peak = run(
        ZSTD_BOMBS.format(shape=shape, chain=chain)
        + """
decode = graph(spec.decode_checked)
def attack(name):
    for kind, bomb in {"good": bare, **bombs}.items():
        try:
            array, status = decode([good, seal(bomb)])
        except tf.errors.InvalidArgumentError as error:
            assert "Failed to decompress zstd" in error.message, (kind, error.message)
            assert kind in THROWN, kind
        else:
            assert status.numpy()[0] == 0 and bool(status.numpy()[1]) == (kind != "good"), kind
            assert array.shape == (2, N)
    return "refused"
THROWN = ("with more than it claims", "two frames", "bytes behind it", "cut")
measure(attack)
""",
        tensorflow=True,
    )
    assert outcome == "refused" and peak < 20 * MIB


@ZSTD_CHAINS
def test_numpy_makes_no_room_for_what_a_frame_claims(shape: tuple[int | None], chain: str) -> None:
    outcome, peak = run(
        ZSTD_BOMBS.format(shape=shape, chain=chain)
        + """
def attack(name):
    for kind, bomb in bombs.items():
        try:
            spec.decode(seal(bomb))
        except tfd.DecodeError as error:
            assert "skip!" not in str(error)
        else:
            raise AssertionError(kind)
    return "refused"
measure(attack)
""",
        tensorflow=False,
    )
    assert outcome == "refused" and peak < 8 * MIB


#: MAT-files with a compressed variable, of which nothing but its size can be known.
MAT_BOMBS = """
import struct
N = 100_000
spec = tfd.ArraySpec((N,), "uint8", "mat:S")
good = spec.encode(np.ones(N, "u1"))

def packed(name, nbytes):
    element = good[128:].replace(b"\\1\\0\\1\\0S", b"\\1\\0\\1\\0" + name, 1)
    stream = zlib.compress(element + bytes(nbytes), 9)
    return struct.pack("<II", 15, len(stream)) + stream

head = good[:128]
"""


@pytest.mark.parametrize(
    ("rows", "bound"),
    [
        # Longer than the variable can be compressed: not inflated at all.
        ("[head + packed(b'S', 200_000_000)]", 16 * MIB),
        # Another variable: 1 KiB of it is inflated, for its name.
        ("[head + packed(b'T', 90_000_000) + good[128:] + good[128:]]", 16 * MIB),
        # No longer than it can be: at worst 1032 times that, and twice while the op's buffer grows,
        # but of one row at a time.
        ("[head + packed(b'S', 90_000_000)]", 2 * 103_200_000 + 16 * MIB),
        ("[head + packed(b'S', 90_000_000)] * 30", 2 * 103_200_000 + 16 * MIB),
    ],
    ids=["too long", "another variable", "worst case", "many"],
)
def test_a_compressed_variable_costs_no_more_than_is_told(rows: str, bound: int) -> None:
    outcome, peak = run(
        MAT_BOMBS
        + f"""
bombs = {rows}
plain = head + packed(b"S", 0)
decode = graph(spec.decode_checked)
def attack(name):
    rows = [good, plain, *(bombs if name == "attack" else [plain])]
    array, status = decode(rows)
    assert (array.numpy()[:2] == 1).all()
    assert (status.numpy() > 0).tolist() == [False, False] + [name == "attack"] * (len(rows) - 2)
    return "refused"
measure(attack)
""",
        tensorflow=True,
    )
    assert outcome == "refused"
    assert peak < bound


def test_numpy_inflates_no_more_of_a_variable_than_its_dimensions_need() -> None:
    outcome, peak = run(
        MAT_BOMBS
        + """
bomb = head + packed(b"S", 90_000_000)
def attack(name):
    try:
        spec.decode(bomb if name == "attack" else head + packed(b"S", 1))
    except tfd.DecodeError as error:
        assert "is not 100048 bytes long as it claims" in str(error)
        return "refused"
measure(attack)
""",
        tensorflow=False,
    )
    assert outcome == "refused"
    assert peak < 8 * MIB


#: Archives whose member is not what its directory says.
NPZ_BOMBS = """
import io, struct, zipfile, zlib
N = 100_000
spec = tfd.ArraySpec((N,), "uint8", "npz:a")
good = np.arange(N, dtype="u1")

def archive(nbytes, told=None):
    file, member = io.BytesIO(), io.BytesIO()
    np.save(member, good)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as writer:
        writer.writestr("a.npy", member.getvalue() + bytes(nbytes))
    data = bytearray(file.getvalue())
    if told:
        at = data.rindex(b"PK\\1\\2")
        data[at + 24 : at + 28] = struct.pack("<I", told)
    return bytes(data)

def of_two(nbytes):
    # A gzip file of zeros, whole, and then one of the array: the op reads them as one.
    from tfdecode.codecs.native.npz import archive as written
    header = b"\\x1f\\x8b\\x08\\0\\0\\0\\0\\0\\0\\xff"
    def packed(data):
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(data) + packer.flush()
    file = io.BytesIO()
    np.save(file, good)
    zeros, member = bytes(nbytes), file.getvalue()
    ending = struct.pack("<II", zlib.crc32(zeros), nbytes)
    both = packed(zeros) + ending + header + packed(member)
    return written(b"a.npy", member, both, 8, zlib.crc32(member))

plain = archive(0)
size = len(good) + 128
"""


@pytest.mark.parametrize(
    ("bombs", "outcome", "per_row"),
    [
        # Of another size than the array needs, or too long for it: not inflated at all.
        ("[archive(90_000_000)] * 8", "refused", 0),
        ("[archive(250_000_000, told=size)] * 8", "refused", 0),
        # At worst 1032 times the array, and twice that while the op's buffer grows, of one row.
        ("[archive(90_000_000, told=size)] * 30", "refused", 2 * 103_200_000),
        # Without an error: each is cut before the next one is inflated.
        ("[of_two(60_000_000)] * 30", "refused", 2 * 103_200_000),
    ],
    ids=["another size", "too long", "worst case", "two streams"],
)
def test_a_member_costs_no_more_than_is_told(bombs: str, outcome: str, per_row: int) -> None:
    what, peak = run(
        NPZ_BOMBS
        + f"""
bombs = {bombs}
decode = graph(spec.decode_checked)
def attack(name):
    rows = [plain, *(bombs if name == "attack" else [plain])]
    array, status = decode(tf.constant(rows))
    assert (array.numpy()[0] == good).all()
    assert (status.numpy() > 0).tolist() == [False] + [name == "attack"] * (len(rows) - 1)
    return "refused"
measure(attack)
""",
        tensorflow=True,
    )
    assert what == outcome
    assert peak < per_row + 16 * MIB


def test_a_member_is_inflated_by_numpy_no_further_than_its_spec_says() -> None:
    outcome, peak = run(
        NPZ_BOMBS
        + """
bomb = archive(90_000_000, told=size)
def attack(name):
    try:
        spec.decode(plain if name == "warm up" else bomb)
    except tfd.DecodeError as error:
        assert "CRC or size is wrong" in str(error)
    return "refused"
measure(attack)
""",
        tensorflow=False,
    )
    assert outcome == "refused" and peak < 4 * MIB


@pytest.mark.parametrize(
    "bomb", [r"b'\n'", "b'0,'", r"b'0\n'", r"b'#\n'", "b' '", r"b'0' * 100 + b'\n'"]
)
def test_a_text_is_not_cut_into_more_pieces_than_its_array_has(bomb: str) -> None:
    outcome, peak = run(
        f"""
spec = tfd.ArraySpec((300, 100), "float32", "csv")
good = spec.encode(np.ones((300, 100), "f4"))
most = spec.chain.payload.max_nbytes
piece = {bomb}
bomb = piece * (most // len(piece))
decode = graph(spec.decode_checked)
def attack(name):
    status = decode(tf.constant([good, bomb if name == "attack" else good] * 8))[1].numpy()
    assert (status > 0).tolist() == [False, name == "attack"] * 8
    return spec.row_nbytes
measure(attack)
""",
        tensorflow=True,
    )
    assert peak < 16 * int(outcome) + 16 * MIB
