"""Codecs from outside the package: in one file, known everywhere after one call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfdecode as tfd
from tests.common import assert_same
from tfdecode.choose import rank
from tfdecode.cli import main
from tfdecode.codecs import Container, Cost, Filter, registry
from tfdecode.codecs.registry import CODECS
from tfdecode.form import ArrayForm, BytesForm
from tfdecode.formats.contents import Contents, Entry
from tfdecode.graph.rows import Rows, Status

HEAD = b"TOY1"


@dataclass(frozen=True)
class Mask(Filter):
    """A toy filter: uint8 XOR noise that both sides know. No built-in codec finds that."""

    name = "mask"
    decode_cost = Cost(0.1)
    encode_cost = Cost(0.1)

    @classmethod
    def proposals(cls, statistics: Any) -> list[str]:
        return ["mask"] if statistics.dtype == "uint8" else []

    def resolve(self, form: ArrayForm) -> ArrayForm:
        if form.dtype != "uint8" or form.unknown_axis is not None:
            raise tfd.SpecError(f"codec mask: takes uint8 of a fixed shape, not {form}")
        return form

    def encode(self, x: np.ndarray, form: ArrayForm) -> np.ndarray:
        return x ^ noise(form.max_shape)

    decode = encode

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        return replace(rows, data=tf.bitwise.bitwise_xor(rows.data, noise(form.max_shape)))


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@dataclass(frozen=True)
class Toy(Container):
    """A toy file of another program: ``TOY1``, then uint8 numbers, of a column each file."""

    name = "toy"
    magics = (HEAD,)
    suffixes = (".toy",)

    @staticmethod
    def contents(data: bytes, *, max_bytes: int) -> Contents:
        if not data.startswith(HEAD):
            raise tfd.FileError("is not a toy")
        x = np.frombuffer(data, np.uint8, offset=len(HEAD))
        return Contents([Entry("", x.dtype, x.shape, lambda: x)])

    def resolve(self, form: ArrayForm) -> BytesForm:
        if form.dtype != "uint8" or len(form.shape) != 1:
            raise tfd.SpecError(f"codec toy: takes uint8 [n], not {form}")
        nbytes = len(HEAD) + form.max_nbytes
        return BytesForm(nbytes, nbytes, lambda: self.filler(form))

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        return HEAD + x.tobytes()

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        if not y.startswith(HEAD):
            raise tfd.DecodeError("payload is not a toy")
        return np.frombuffer(y, np.uint8, offset=len(HEAD))

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        head = tf.strings.substr(rows.data, 0, len(HEAD))
        length = tf.strings.length(rows.data)
        rows = rows.check(tf.equal(head, HEAD), length, Status.HEADER, "has {} bytes, not a toy")
        data = rows.guard(self.filler(form)).data
        return replace(rows, data=tf.io.decode_raw(data, tf.uint8)[:, len(HEAD) :])


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both toys, for one test."""
    monkeypatch.setattr(CODECS, "registered", {})
    tfd.register_codec(Mask)
    tfd.register_codec(Toy)
    yield


def reloaded(spec: tfd.ArraySpec, directory: Path) -> Any:
    """What a saved and reloaded model decodes payloads to."""
    module = tf.Module()
    signature = [tf.TensorSpec([None], tf.string)]
    module.decode = tf.function(lambda payloads: spec.decode_tensor(payloads), signature)
    tf.saved_model.save(module, str(directory))
    return tf.saved_model.load(str(directory)).decode


def test_a_registered_filter_is_in_chain_text_json_and_a_reloaded_model(tmp_path: Path) -> None:
    spec = tfd.ArraySpec((2, 3), "uint8", "mask|zlib")
    assert tfd.ArraySpec.from_json(spec.to_json()) == spec
    x = np.arange(6, dtype="uint8").reshape(2, 3)
    assert_same(spec.decode(spec.encode(x)), x)
    assert_same(reloaded(spec, tmp_path)([spec.encode(x)])[0], x)


def test_infer_proposes_a_registered_filter() -> None:
    array = np.repeat(np.uint8([1, 2, 3, 9]), 2000).reshape(80, 100) ^ noise((80, 100))
    assert tfd.infer(array).chain.text.startswith("mask|")
    CODECS.registered.clear()
    assert "mask" not in tfd.infer(array).chain.text


def test_a_registered_file_is_loaded_packed_and_sent_as_it_is(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "x.toy"
    file.write_bytes(HEAD + bytes([7, 8, 9]))
    expected = np.uint8([7, 8, 9])
    assert_same(tfd.load(file), expected)
    (tmp_path / "x.bin").write_bytes(file.read_bytes())
    assert_same(tfd.load(tmp_path / "x.bin"), expected)  # by its first bytes
    spec = tfd.infer(file, as_is=True)
    assert spec.chain.text == "toy" and spec.chain.native
    assert_same(reloaded(spec, tmp_path / "model")([file.read_bytes()])[0], expected)
    assert main(["pack", str(file), "--as-is", "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert report["codecs"] == "toy"
    either = tfd.ArraySpec((3,), "uint8", "toy or zlib")
    assert_same(either.decode_tensor([file.read_bytes(), either.encode(expected)])[0], expected)


def test_a_codec_that_is_not_registered_is_named() -> None:
    text = tfd.ArraySpec((3,), "uint8", "mask").to_json()
    CODECS.registered.clear()
    with pytest.raises(tfd.SpecError, match=r"unknown codec 'mask'.*tfdecode\.register_codec"):
        tfd.ArraySpec.from_json(text)


def test_an_entry_point_is_found_by_name_and_suffix_but_not_proposed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    CODECS.registered.clear()
    points = [
        EntryPoint("toy", f"{__name__}:Toy", registry.ENTRY_POINTS),
        EntryPoint("mask", f"{__name__}:Mask", registry.ENTRY_POINTS),
    ]
    found = {"toy": Toy, "mask": Mask}
    monkeypatch.setattr(EntryPoint, "load", lambda point: found[point.name])
    monkeypatch.setattr(registry, "entry_points", lambda: points)
    (tmp_path / "x.toy").write_bytes(HEAD + b"\1")
    assert_same(tfd.load(tmp_path / "x.toy"), np.uint8([1]))
    assert tfd.ArraySpec((3,), "uint8", "mask").chain.text == "mask|raw"
    assert not any("mask" in candidate.chain for candidate in rank(noise((9, 99))))


def test_a_broken_package_keeps_no_file_and_no_codec_from_being_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    info = tmp_path / "bad-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tfdecode.codecs]\nbad = no_such_module:Codec\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.entry_points.cache_clear()
    try:
        unknown = tmp_path / "x.unknown"
        unknown.write_bytes(b"1 2 3")
        (tmp_path / "x.csv").write_text("1,2\n3,4\n")
        assert tfd.load(tmp_path / "x.csv").shape == (2, 2)
        with pytest.raises(tfd.FileError, match="unknown suffix"):
            tfd.load(unknown)
        with pytest.raises(tfd.SpecError, match="codec bad of no_such_module:Codec cannot be used"):
            tfd.ArraySpec((3,), "uint8", "bad")
    finally:
        registry.entry_points.cache_clear()


def test_only_a_codec_can_be_registered_and_each_name_once() -> None:
    @dataclass(frozen=True)
    class Other(Mask):
        name = "mask"

    @dataclass(frozen=True)
    class Zlib(Mask):
        name = "zlib"

    @dataclass(frozen=True)
    class Loud(Mask):
        name = "Loud!"

    assert tfd.register_codec(Mask) is Mask  # twice the same one

    class Plain(Mask):
        pass

    @dataclass(frozen=True)
    class Shouting(Toy):
        name = "shouting"
        suffixes = (".TOY",)

    @dataclass(frozen=True)
    class Silent(Toy):
        name = "silent"
        magics = (b"",)

    @dataclass(frozen=True)
    class Lost(Mask):
        name = "lost"
        stage = "value"

    @dataclass(frozen=True)
    class Empty(Filter):
        name = "empty"

    for codec, message in (
        (Plain, "is not a frozen dataclass"),
        (Shouting, "needs suffixes as a tuple of lower-case texts"),
        (Silent, "needs magics as a tuple of bytes, none of them empty"),
        (Lost, "codec 'lost' has stage 'value', known: values, axes"),
        (Empty, "codec 'empty' does not define decode, decode_rows, encode, resolve"),
        (Other, "another codec is registered under the name 'mask'"),
        (Zlib, "another codec is registered under the name 'zlib'"),
        (Loud, "needs lower-case letters"),
        (int, "is not a frozen dataclass derived from Filter, Container or Compressor"),
    ):
        with pytest.raises(tfd.SpecError, match=message):
            tfd.register_codec(codec)  # type: ignore[type-var]


def test_every_built_in_codec_is_an_attribute_of_codecs() -> None:
    for name in CODECS.built_in:
        codec = CODECS[name]
        assert getattr(tfd.codecs, codec.__name__) is codec
        assert codec.__name__ in tfd.codecs.__all__
    with pytest.raises(AttributeError):
        tfd.codecs.Nothing  # noqa: B018
