"""npz: archives by NumPy and others, untouched, in a saved and reloaded model."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import any_bits, assert_same, file_by
from tests.reloaded import Decoders, save
from tfdecode.codecs.native.npz import archive
from tfdecode.codecs.native.zip_member import MAX_MEMBERS, STORED, find
from tfdecode.formats import npz
from tfdecode.graph.rows import Status

FILES = Path(__file__).parents[1] / "fixtures" / "files"
#: Each dtype in one shape, each shape in one dtype.
MATRIX = [
    *((dtype, (2, 3)) for dtype in ("bool", "uint16", "uint64", "float32", "complex128")),
    *(("float32", shape) for shape in ((), (0, 2), (2, 1, 3, 2), (130, 1, 90))),
]
#: Names that savez takes too.
KEYS = {"a/b c": '"a/b c"', "dépth": '"dépth"', "x" * 256: "x" * 256}
REAL = ("scale", "part")
each = pytest.mark.parametrize(("dtype", "shape"), MATRIX)


def key_of(dtype: str, shape: tuple[int, ...]) -> str:
    return f"{dtype}_{'x'.join(map(str, shape))}"


def spec_of(dtype: str, shape: tuple[int, ...]) -> tfd.ArraySpec:
    return tfd.ArraySpec(shape, dtype, "npz:pose")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    specs = {key_of(*row): spec_of(*row) for row in MATRIX}
    for index, text in enumerate(KEYS.values()):
        specs[f"key_{index}"] = tfd.ArraySpec((2, 3), "float32", f"npz:{text}")
    for name in REAL:
        specs[name] = real(name)[0]
    specs["mixed"] = MIXED
    specs["converted"] = CONVERTED
    checked = ["bool_2x3", "float32_2x3", *(f"key_{index}" for index in range(len(KEYS)))]
    return save(Decoders(specs, checked), tmp_path_factory.mktemp("npz"))


MIXED = tfd.ArraySpec((4, 5), "float32", tfd.one_of("npz:pose", "npy", "raw"))
CONVERTED = tfd.ArraySpec((2, 3), "float32", "astype:float64|npz:pose|seal")


def real(name: str) -> tuple[tfd.ArraySpec, np.ndarray]:
    array = np.load(FILES / "h36m_body3d.npz")[name]
    return tfd.ArraySpec(array.shape, array.dtype, f"npz:{name}"), np.ascontiguousarray(array)


def array_of(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    return any_bits(np.random.default_rng([len(dtype), *shape]), shape, dtype)


class Pipe(io.RawIOBase):
    """What cannot be sought, so that sizes and CRC stand behind the data."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += bytes(data)
        return len(data)


def zipped(members: dict[str, bytes], method: int, to: Any = None, **options: Any) -> bytes:
    file = io.BytesIO() if to is None else to
    with zipfile.ZipFile(file, "w", method, **options) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 5, 6, 7, 8, 9)), data, method)
    return bytes(file.written) if isinstance(file, Pipe) else file.getvalue()


def npy(array: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    return file_by(np.lib.format.write_array, array, version)


def saved(compressed: bool, arrays: dict[str, np.ndarray], to: Any = None) -> bytes:
    file = io.BytesIO() if to is None else to
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return bytes(file.written) if isinstance(file, Pipe) else file.getvalue()


def swapped(array: np.ndarray) -> np.ndarray:
    other = np.empty_like(array, array.dtype.newbyteorder(">"))
    other[...] = array
    return other


def files(array: np.ndarray, key: str = "pose") -> Iterator[bytes]:
    """Archives with ``array``, by NumPy to a file and to a pipe, and by zipfile."""
    others = {"a": np.arange(3), "b": np.zeros((20, 30))}
    for compressed in (False, True):
        yield saved(compressed, {key: array})
        yield saved(compressed, {key: swapped(array)})
        yield saved(compressed, {**others, key: np.asfortranarray(array) if array.ndim else array})
        yield saved(compressed, {key: array, **others, key + "s": array})
        yield saved(compressed, {key: array, **others}, Pipe())
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        member = {f"{key}.npy": npy(array, (2, 0))}
        yield zipped(member, method)
        yield zipped(member, method, Pipe())
        yield zipped({"readme.txt": b"no array", **member, "x/": b""}, method, allowZip64=False)
    yield zipped({f"{key}.npy": npy(array)}, zipfile.ZIP_DEFLATED, compresslevel=9)


@each
def test_archives_of_every_writer_are_read_bit_for_bit(
    model: Any, dtype: str, shape: tuple[int, ...]
) -> None:
    spec, array = spec_of(dtype, shape), array_of(dtype, shape)
    decode = model.tensor[key_of(dtype, shape)]
    payloads = list(files(array))
    for payload in payloads:
        assert_same(spec.decode(payload), array)
        assert_same(np.load(io.BytesIO(payload))["pose"].astype(array.dtype, order="C"), array)
        assert_same(decode(tf.constant([payload]))[0], array)
    # Mixed in a batch, and three rows of one.
    for rows in (payloads, payloads[::-1], [payloads[-1]] * 3, [payloads[0]] * 3):
        assert_same(decode(tf.constant(rows)), np.stack([array] * len(rows)))


@each
def test_what_is_written_is_what_savez_writes(dtype: str, shape: tuple[int, ...]) -> None:
    array = array_of(dtype, shape)
    payload = spec_of(dtype, shape).encode(array)
    assert_same(np.load(io.BytesIO(payload))["pose"], array)
    assert payload == saved(False, {"pose": array})


@pytest.mark.parametrize("index", range(len(KEYS)))
def test_a_key_is_found_as_it_is_written(model: Any, index: int) -> None:
    key, text = list(KEYS.items())[index]
    spec, array = tfd.ArraySpec((2, 3), "float32", f"npz:{text}"), array_of("float32", (2, 3))
    assert spec.encode(array) == saved(False, {key: array})
    payloads = list(files(array, key))
    for payload in payloads:
        assert_same(spec.decode(payload), array)
    assert_same(model.tensor[f"key_{index}"](tf.constant(payloads))[3], array)
    hurt = [payload.replace(key.encode(), b"?" * len(key.encode())) for payload in payloads]
    assert (model.checked[f"key_{index}"](tf.constant(hurt))[1].numpy() == 5).all()


@pytest.mark.parametrize("name", REAL)
def test_an_archive_from_a_public_repository(model: Any, name: str) -> None:
    spec, array = real(name)
    data = (FILES / "h36m_body3d.npz").read_bytes()
    assert_same(spec.decode(data), array)
    assert_same(model.tensor[name](tf.constant([data, spec.encode(array)])), np.stack([array] * 2))


def test_a_batch_may_mix_containers(model: Any) -> None:
    arrays = [array_of("float32", (4, 5)) + n for n in range(6)]
    payloads = [saved(n % 2 == 0, {"pose": array}) for n, array in enumerate(arrays)]
    payloads[2:4] = [npy(arrays[2]), arrays[3].tobytes()]
    assert_same(model.tensor["mixed"](tf.constant(payloads)), np.stack(arrays))
    for payload, array in zip(payloads, arrays, strict=True):
        assert_same(MIXED.decode(payload), array)


def test_an_archive_may_be_converted_and_sealed(model: Any) -> None:
    array = np.arange(6, dtype="f4").reshape(2, 3)
    payload = CONVERTED.encode(array)
    assert_same(np.load(io.BytesIO(payload[:-8]))["pose"], array.astype("f8"))
    assert_same(model.tensor["converted"](tf.constant([payload]))[0], array)


# -- hostile rows -----------------------------------------------------------------------------


def status_of(model: Any, payload: bytes) -> int:
    """The status of one row."""
    return int(model.checked["float32_2x3"](tf.constant([payload]))[1].numpy()[0])


def agree(model: Any, payloads: list[bytes], array: np.ndarray) -> int:
    """How many of ``payloads`` are taken, by both sides; zipfile and NumPy read the same, unless
    they find a fault where none is sought, as in the CRC of a stored member.
    """
    spec = spec_of("float32", (2, 3))
    got, status = model.checked["float32_2x3"](tf.constant([spec.encode(array), *payloads]))
    assert status.numpy()[0] == 0
    assert_same(got[0], array)
    taken = 0
    for payload, code, row in zip(payloads, status.numpy()[1:], got.numpy()[1:], strict=True):
        try:
            expected = spec.decode(payload)
        except tfd.DecodeError as error:
            assert code, (payload, str(error))
            continue
        taken += 1
        assert code == 0
        assert_same(row, expected)
        try:
            read = npz.contents(payload).read("pose")
        except tfd.FileError:  # it looks at what is of no concern here: other members, extra fields
            continue
        assert_same(read.astype("f4", order="C"), expected)
    return taken


def mutants(payload: bytes, inside: range) -> Iterator[bytes]:
    """Each byte around the numbers changed in some ways, cut, taken out, doubled."""
    for place in range(len(payload)):
        if place not in inside:
            for bits in (0x01, 0x08, 0x10, 0x80, 0xFF):
                yield payload[:place] + bytes([payload[place] ^ bits]) + payload[place + 1 :]
        yield payload[:place]
        yield payload[:place] + payload[place + 1 :]
        yield payload[:place] + payload[place : place + 1] + payload[place:]
        yield payload[place + 1 :]
    for extra in (b"\0", b"PK\x05\x06", bytes(22), payload):
        yield payload + extra
        yield extra + payload


def test_of_thousands_of_changed_archives_none_is_read_as_what_it_is_not(model: Any) -> None:
    array = array_of("float32", (2, 3))
    member = {"a.npy": npy(np.arange(2)), "pose.npy": npy(array)}
    for payload in (saved(False, {"pose": array}), zipped(member, zipfile.ZIP_STORED)):
        start = payload.index(array.tobytes())
        rows = list(mutants(payload, range(start, start + array.nbytes)))
        assert len(rows) > 1500
        # Numbers that are called deflated fail the batch.
        rows = [row for row in rows if not getattr(find(row, b"pose.npy"), "deflated", False)]
        # Dates, attributes, sizes in the member's own header, the other member, "<" as ">".
        assert 50 < agree(model, rows, array) < len(rows) / 3


def test_changed_archives_of_a_deflated_member_are_no_other_array(model: Any) -> None:
    array = array_of("float32", (2, 3))
    payload = saved(True, {"pose": array})
    spec = spec_of("float32", (2, 3))
    around = find(payload, b"pose.npy")
    assert around is not None
    rows = list(mutants(payload, range(around.start, around.start + around.packed)))
    # Only those that are the same stream under the same name can be inflated.
    safe = [row for row in rows if around_is_whole(row, payload)]
    assert len(rows) > 1000 and len(safe) > 100
    agree(model, safe, array)
    for row in rows[::7]:
        code = status_of(model, row)
        if code == 0:
            assert_same(model.tensor["float32_2x3"](tf.constant([row]))[0], array)
            assert_same(spec.decode(row), array)
        else:
            with pytest.raises(tfd.DecodeError):
                spec.decode(row)


def around_is_whole(row: bytes, payload: bytes) -> bool:
    """Whether inflating ``row`` cannot fail the batch."""
    good, member = find(payload, b"pose.npy"), find(row, b"pose.npy")
    assert good is not None
    if member is None:
        return True
    same = row[member.start :][: member.packed] == payload[good.start :][: good.packed]
    return same and member.trailer == good.trailer


def test_damage_inside_of_a_deflated_member_is_refused_or_changes_nothing(model: Any) -> None:
    array = array_of("float32", (2, 3))
    payload = saved(True, {"pose": array})
    member = find(payload, b"pose.npy")
    assert member is not None
    rows = [
        payload[:place] + bytes([payload[place] ^ 4]) + payload[place + 1 :]
        for place in range(member.start, member.start + member.packed)
    ]
    # Bits after the end of the stream may have any value.
    assert agree(model, rows, array) < 3 < len(rows)


def test_what_follows_a_stream_is_not_taken_for_its_data(model: Any) -> None:
    """Streams that end early by up to 40 bytes, with a CRC that is not that of what they hold."""
    array = array_of("float32", (2, 3))
    member = npy(array)
    rows = []
    for missing in range(1, 41):
        evil = member[:-24] + bytes(24)
        stream = struct.pack("<BHH", 1, len(evil), 65535 - len(evil)) + evil[:-missing]
        rows.append(archive(b"pose.npy", member, stream, 8, zlib.crc32(member)))
    assert agree(model, rows, array) == 0


@pytest.mark.parametrize("count", [1, 65_535 - 128, 65_536, 200_000])
def test_the_crc_of_a_deflated_member_of_any_length_is_compared(count: int) -> None:
    spec = tfd.ArraySpec((count,), "uint8", "npz:pose")
    array = np.random.default_rng(count).integers(0, 9, count).astype("u1")
    good = saved(True, {"pose": array})
    wrong = entry(good, 16, b"\0\0\0\0")
    got, status = tf.function(spec.decode_checked)(tf.constant([good, wrong]))
    assert status.numpy().tolist() == [0, Status.HEADER]
    assert_same(got[0], array)


def entry(payload: bytes, place: int, value: bytes) -> bytes:
    """``payload`` with other bytes in the first entry of its directory."""
    at = payload.index(b"PK\x01\x02") + place
    return payload[:at] + value + payload[at + len(value) :]


def bad_archives() -> dict[str, bytes]:
    array = array_of("float32", (2, 3))
    member, plain = npy(array), saved(False, {"pose": array})
    twice = zipped({"pose.npx": member, "pose.npy": member}, 0).replace(b"npx", b"npy")
    many = {f"{n}.npy": b"" for n in range(MAX_MEMBERS)}
    longer = zlib.compressobj(9, zlib.DEFLATED, -15)
    longer = longer.compress(member + bytes(100_000)) + longer.flush()
    bomb = zipped({"pose.npy": member + bytes(100_000)}, 8)
    return {
        "empty": b"",
        "no archive": b"PK\x03\x04" + bytes(300),
        "an empty archive": b"PK\x05\x06" + bytes(18),
        "end only": b"PK\x03\x04" + bytes(200) + b"PK\x05\x06" + bytes(18),
        "another name": saved(False, {"Pose": array}),
        "no suffix": zipped({"pose": member}, 0),
        "a longer name": saved(False, {"pose.npy": array}),
        "twice": twice,
        "too many members": zipped({**many, "pose.npy": member}, 0),
        "bzip2": zipped({"pose.npy": member}, zipfile.ZIP_BZIP2),
        "lzma": zipped({"pose.npy": member}, zipfile.ZIP_LZMA),
        "encrypted": entry(plain, 8, b"\x01\x00"),
        "strongly encrypted": entry(plain, 8, b"\x41\x00"),
        "patched": entry(plain, 8, b"\x20\x00"),
        "of version 6.4": entry(plain, 6, b"\x40"),
        "deflate64": entry(plain, 10, b"\x09\x00"),
        "stored as deflated": entry(plain, 10, b"\x08\x00"),
        "sizes differ": entry(plain, 20, struct.pack("<I", len(member) - 1)),
        "zip64 sizes": entry(plain, 20, b"\xff" * 8),
        "a huge size": entry(plain, 24, b"\xfe\xff\xff\x7f"),
        "offset behind the end": entry(plain, 42, b"\xfe\xff\xff\x7f"),
        "negative offset": entry(plain, 42, b"\xff\xff\xff\xff"),
        "offset of another": entry(plain, 42, b"\x01"),
        "a comment": plain[:-2] + b"\1\0c",
        "bytes in front": b"PK\x03\x04" + plain,
        "bytes behind": plain + b"\0",
        "cut": plain[:-1],
        "two disks": plain[:-18] + b"\1\0" + plain[-16:],
        "bomb": bomb,
        "another shape": saved(False, {"pose": array.T.copy()}),
        "another dtype": saved(True, {"pose": array.astype("f8")}),
        "the same length": saved(True, {"pose": array.view("i4")}),
        "no npy": zipped({"pose.npy": bytes(len(member))}, 8),
        "objects": saved(False, {"pose": np.array([[1, 2, 3], [4, 5, 6]], object)}),
    }


@pytest.mark.parametrize(("what", "payload"), bad_archives().items(), ids=list(bad_archives()))
def test_what_is_refused(model: Any, what: str, payload: bytes) -> None:
    spec, array = spec_of("float32", (2, 3)), array_of("float32", (2, 3))
    with pytest.raises(tfd.DecodeError):
        spec.decode(payload)
    code = status_of(model, payload)
    assert code in (1, 5)
    if code is not None:
        rows = [saved(True, {"pose": array}), payload, saved(False, {"pose": array})]
        decoded, status = model.checked["float32_2x3"](tf.constant(rows))
        assert status.numpy().tolist() == [0, code, 0]
        assert_same(decoded, np.stack([array, np.zeros_like(array), array]))


def test_a_crc_is_compared_if_the_member_is_deflated(model: Any) -> None:
    array = array_of("float32", (2, 3))
    spec = spec_of("float32", (2, 3))
    for compressed in (False, True):
        payload = entry(saved(compressed, {"pose": array}), 16, b"\0\0\0\0")
        assert (status_of(model, payload) > 0) == compressed
        if compressed:
            with pytest.raises(tfd.DecodeError, match="CRC or size is wrong"):
                spec.decode(payload)
        else:
            assert_same(spec.decode(payload), array)
            with pytest.raises(tfd.FileError, match="is damaged"):
                npz.contents(payload).read("pose")


def test_a_member_as_long_as_one_of_another_writer_is_not_read_beyond_its_end() -> None:
    """The head of today's NumPy in a member of the length that an older head would make."""
    spec = tfd.ArraySpec((64,), "uint8", "npz:pose")
    head = npy(np.zeros(64, "u1"))[:128]
    short = archive(b"pose.npy", (head + bytes(range(64)))[:144], b"", STORED, 0)
    for member in (head + bytes(16), head + bytes(range(64))):
        payload = archive(b"pose.npy", member, member, STORED, zlib.crc32(member))
        code = int(spec.decode_checked([payload])[1][0])
        assert (code == 0) == (len(member) == 192)
        try:
            assert spec.decode(payload).tolist() == list(range(64)) and code == 0
        except tfd.DecodeError:
            assert code
    assert int(spec.decode_checked([short])[1][0])


def test_bool_bytes_other_than_0_and_1_are_refused(model: Any) -> None:
    payload = spec_of("bool", (2, 3)).encode(np.ones((2, 3), bool))
    wrong = npy(np.ones((2, 3), bool)).replace(b"\1" * 6, b"\1\1\2\1\1\1")
    rows = [payload, zipped({"pose.npy": wrong}, 0), zipped({"pose.npy": wrong}, 8)]
    assert model.checked["bool_2x3"](tf.constant(rows))[1].numpy().tolist() == [0, 4, 4]
    with pytest.raises(tfd.DecodeError, match="other than 0 and 1"):
        spec_of("bool", (2, 3)).decode(rows[1])


def test_the_message_says_what_came_and_what_was_needed() -> None:
    spec, array = spec_of("float32", (2, 3)), array_of("float32", (2, 3))
    rows = [spec.encode(array)] * 2 + [saved(True, {"pose": array.astype("f8")})]
    with pytest.raises(tf.errors.InvalidArgumentError) as failure:
        spec.decode_tensor(rows, input_name="pose_bytes")
    needed = f"pose_bytes: row 2 has {len(rows[2])} bytes, not an .npz with float32 [2, 3] as pose"
    assert needed in failure.value.message
    with pytest.raises(tfd.DecodeError, match=r"as pose: it holds float64 \[2, 3\]"):
        spec.decode(rows[2])
    with pytest.raises(tfd.DecodeError, match="as pose: it holds 2 arrays, 0 of that name"):
        spec.decode(saved(False, {"a": array, "b": array}))
    many = {f"a{n}": array for n in range(MAX_MEMBERS)} | {"pose": array}
    with pytest.raises(tfd.DecodeError, match=f"it has {MAX_MEMBERS + 1} members, the graph looks"):
        spec.decode(saved(False, many))
    with pytest.raises(tfd.DecodeError, match="is in the pickle of an object array, which no"):
        spec.decode(saved(False, {"pose": np.array({"x": array}, object)}))


def test_an_array_among_hundreds_is_found() -> None:
    spec, array = spec_of("float32", (2, 3)), array_of("float32", (2, 3))
    payload = saved(False, {f"a{n}": np.zeros(1) for n in range(300)} | {"pose": array})
    assert_same(spec.decode(payload), array)
    assert_same(spec.decode_tensor([payload]).numpy()[0], array)


@pytest.mark.parametrize(
    ("codecs", "dtype", "shape", "message"),
    [
        ("npz", "float32", (2,), "needs the option 'key'"),
        ("npz:3", "float32", (2,), "key is 3, needs a text .*arr_0"),
        ('npz:""', "float32", (2,), "key is '', needs a text"),
        ('npz:"a\\u0000b"', "float32", (2,), "no member can be named"),
        ("npz:pose,level=4", "float32", (2,), "unknown option 'level'"),
        ("npz:pose", "float32", (None, 2), "None dimension.*use raw.zlib_bounded instead"),
        ("npz:pose", "bfloat16", (2,), r"savez writes bfloat16 .*use astype:float32\|npz"),
    ],
)
def test_what_no_archive_can_be_is_a_spec_error(
    codecs: str, dtype: str, shape: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(tfd.SpecError, match=message):
        tfd.ArraySpec(shape, dtype, codecs, max_shape=(5, 2) if None in shape else None)
