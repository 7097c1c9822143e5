"""docs/wire-format.md: each of its examples is run, so that it cannot say what is not so."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import siphash24
import tensorflow as tf

import tfdecode as tfd
from tests.common import assert_same
from tfdecode.codecs.chain_text import MAX_STEPS
from tfdecode.codecs.compressors import zlib_bounded
from tfdecode.codecs.containers import png
from tfdecode.codecs.registry import CODECS
from tfdecode.dtypes import ITEM_SIZES, from_little_endian
from tfdecode.form import MAX_NBYTES, MAX_RANK
from tfdecode.formats.zlib_stream import compress_bound
from tfdecode.schema import MAX_BYTES
from tfdecode.spec_graph import BATCH_BUDGET

TEXT = (Path(__file__).parents[1] / "docs" / "wire-format.md").read_text()
#: Codecs that leave their encoder a choice of bytes.
FREE = {"zlib", "zlib_bounded", "zstd", "png", "png_image", "jpeg"}


def blocks(kind: str) -> list[str]:
    """The fenced blocks of that info string, in order."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def block(kind: str) -> Any:
    """The value of the only block of that kind."""
    (text,) = blocks(f"json {kind}")
    return json.loads(text)


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    section = TEXT.split(f"\n## {heading}\n")[1]
    (first, *_) = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    rows = [line.strip("|").split("|") for line in first.splitlines()]
    return [[cell.strip() for cell in row] for row in rows[2:]]


VECTORS = [json.loads(text) for text in blocks("json vector")]
SPECS = {
    vector["spec"]["fingerprint"][:8]: tfd.ArraySpec.from_dict(vector["spec"]) for vector in VECTORS
}
PAYLOADS = {vector["spec"]["fingerprint"][:8]: vector["payload"] for vector in VECTORS}

each_vector = pytest.mark.parametrize(
    "vector", VECTORS, ids=lambda vector: SPECS[vector["spec"]["fingerprint"][:8]].chain.text
)


def array_of(vector: dict[str, Any]) -> np.ndarray:
    flat = from_little_endian(bytes.fromhex(vector["array"]), vector["dtype"])
    return flat.reshape(vector["shape"])


def steps_of(vector: dict[str, Any]) -> set[str]:
    spec = vector["spec"]
    chains = spec.get("one_of", [spec])
    return {step["name"] for chain in chains for step in chain["codecs"]}


@each_vector
def test_an_example_decodes(vector: dict[str, Any]) -> None:
    spec, payload = tfd.ArraySpec.from_dict(vector["spec"]), bytes.fromhex(vector["payload"])
    assert json.loads(spec.to_json()) == vector["spec"]
    assert_same(spec.decode(payload), array_of(vector))
    assert_same(spec.decode_tensor([payload])[0], array_of(vector))


@each_vector
def test_an_example_is_what_an_encoder_writes(vector: dict[str, Any]) -> None:
    spec = tfd.ArraySpec.from_dict(vector["spec"])
    payload = spec.encode(array_of(vector))
    if not FREE & steps_of(vector):
        assert payload.hex() == vector["payload"]
    assert_same(spec.decode(payload), array_of(vector))


def test_every_codec_has_an_example_and_a_row_with_its_options() -> None:
    assert set().union(*map(steps_of, VECTORS)) == set(CODECS)
    rows = {row[0].strip("`"): row[1:] for row in table("Chain")}
    assert list(rows) == list(CODECS)
    for name, codec in CODECS.items():
        cell, kind = rows[name]
        assert kind == codec.kind
        told = {}
        for option in filter(None, cell.split(", ")):
            key, _, default = option.partition(" ")
            values = {"": MISSING, "none": None}
            told[key.strip("`")] = (
                values[default] if default in values else json.loads(default.strip("`"))
            )
        assert told == {option.name: option.default for option in codec.options()}


def test_the_options_of_encoders_are_those_that_the_fingerprint_leaves_out() -> None:
    (sentence,) = re.findall(r"only an encoder\s+uses \((.*?)\)", TEXT, re.DOTALL)
    for name, codec in CODECS.items():
        for option in codec.options():
            named = f"`{option.name}`" in sentence
            told = named and (option.name == "level" or f"`{name}`" in sentence)
            assert bool(option.metadata.get("encoder_only")) == told


def test_every_dtype_is_in_the_list() -> None:
    (row,) = [row for row in table("Spec") if row[0] == "`dtype`"]
    told = row[1].replace("`uint8` to `uint64`", "`uint8`, `uint16`, `uint32`, `uint64`")
    assert set(re.findall(r"`(\w+)`", told)) == set(ITEM_SIZES)


def test_the_canonical_json_and_its_fingerprint() -> None:
    (canonical,) = blocks("text canonical")
    spec = block("spec")
    assert tfd.ArraySpec.from_dict(spec).canonical_json == canonical.strip()
    assert hashlib.sha256(canonical.strip().encode("ascii")).hexdigest() == spec["fingerprint"]
    assert json.loads(tfd.ArraySpec.from_dict(spec).to_json()) == spec


def test_texts_are_escaped_as_it_says() -> None:
    label = '\0\x1f ~\x7f"\\/\b\t\n\f\ré😀'
    canonical = tfd.ArraySpec((1,), "uint8", label=label).canonical_json
    escaped = r"\u0000\u001f ~\u007f\"\\/\b\t\n\f\r\u00e9\ud83d\ude00"
    assert f'"label":"{escaped}"' in canonical


def test_the_schema_is_read_and_written() -> None:
    schema = tfd.Schema.from_json(json.dumps(block("schema")))
    assert json.loads(schema.to_json()) == block("schema")


def test_siphash_and_what_a_seal_keeps_of_it() -> None:
    vector = block("siphash")
    key, data = bytes.fromhex(vector["key"]), bytes.fromhex(vector["bytes"])
    digest = siphash24.siphash24(data, key=key).digest()
    assert digest.hex() == vector["siphash"]
    kept = int.from_bytes(digest, "little") % 2**62
    assert kept.to_bytes(8, "little").hex() == vector["seal"]


def test_the_key_of_a_seal_is_the_first_half_of_the_fingerprint() -> None:
    chains = [vector for vector in VECTORS if "codecs" in vector["spec"]]
    (vector,) = [vector for vector in chains if "seal" in steps_of(vector)]
    key = bytes.fromhex(vector["spec"]["fingerprint"][:32])
    payload = bytes.fromhex(vector["payload"])
    digest = siphash24.siphash24(payload[:-8], key=key).digest()
    assert int.from_bytes(payload[-8:], "little") == int.from_bytes(digest, "little") % 2**62


def test_a_deflated_example_is_the_idat_of_a_png() -> None:
    fixed, varying = (PAYLOADS[short] for short in ("d371d1d1", "5e54fce9"))
    header = bytes.fromhex("0000000500000001" + "0800000000")  # 5 x 1, 8-bit grey
    crc = zlib.crc32(b"IHDR" + header)
    assert varying.startswith((3).to_bytes(4, "little").hex() + crc.to_bytes(4, "big").hex())
    for payload in (bytes.fromhex(fixed), bytes.fromhex(varying)[8:]):
        assert zlib.crc32(b"IDAT" + payload[:-4]).to_bytes(4, "big") == payload[-4:]
        assert zlib.decompress(payload[:-4])[:4] == b"\0\1\2\3"


@pytest.mark.parametrize("most", [0, 1, 5, 8191, 8192, 8193, 100_000, 2**29])
def test_the_image_of_deflate_has_the_size_that_it_says(most: int) -> None:
    width = max(1, -(-most // -(-most // 8192))) if most else 1
    for count in (0, 1, most):
        image = zlib_bounded.image_of(count, most)
        assert (image.width, image.height) == (width, max(1, -(-count // width)))


@pytest.mark.parametrize(("text", "codecs"), block("chains").items(), ids=block("chains"))
def test_chain_text(text: str, codecs: list[dict[str, Any]]) -> None:
    assert tfd.ArraySpec((2, 2, 3), "uint8", text).to_dict()["codecs"] == codecs


@pytest.mark.parametrize(
    "text", ["", "zlib :9", "png|raw", "zlib:9,8", 'zlib:"9', "zlib:9,level=8"]
)
def test_what_is_no_chain_text(text: str) -> None:
    with pytest.raises(tfd.SpecError):
        tfd.ArraySpec((2, 2, 3), "uint8", text)


@pytest.mark.parametrize("refused", block("refused-arrays"), ids=json.dumps)
def test_an_array_that_encoders_refuse(refused: dict[str, str]) -> None:
    array = from_little_endian(bytes.fromhex(refused["array"]), refused["dtype"])
    spec = tfd.ArraySpec(array.shape, refused["dtype"], f"astype:{refused['astype']}")
    with pytest.raises(tfd.EncodeError, match=r"at index \[0\] \(1 in all\)"):
        spec.encode(array)


@pytest.mark.parametrize("spec", block("refused-specs"), ids=json.dumps)
def test_a_spec_that_readers_refuse(spec: dict[str, Any]) -> None:
    with pytest.raises(tfd.SpecError):
        tfd.ArraySpec.from_dict(spec)


@pytest.mark.parametrize(
    ("short", "payload"),
    [(short, payload) for short, listed in block("refused-payloads").items() for payload in listed],
)
def test_a_payload_that_decoders_refuse(short: str, payload: str) -> None:
    spec, data = SPECS[short], bytes.fromhex(payload)
    with pytest.raises(tfd.DecodeError):
        spec.decode(data)
    with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.DataLossError)):
        spec.decode_tensor([data])


def test_limits() -> None:
    """The numbers of the table, read as a whole: they change together with the code."""
    told = dict(table("Limits"))
    assert told == {
        "steps of a chain": f"{MAX_STEPS}",
        "dimensions; a side": f"{MAX_RANK}; 2^31 - 1",
        "bytes of an array, a side of 0 taken as 1; the most bytes of each step": "2^31 - 1024",
        "a side of a `png` or `png_image`; its pixels": "10^6; 2^29",
        "a side of a `jpeg`; its pixels; its scans": "65500; 2^26; 64",
        "bytes before `zlib_bounded`": "2^29",
        "an input's name; the JSON of a schema": "128 characters; 2^20 bytes",
        "rows of a batch": "as the model was exported; by default arrays of 2^32 bytes, or 1 row",
    }
    assert MAX_NBYTES == 2**31 - 1024
    assert (png.MAX_SIDE, png.MAX_PIXELS) == (10**6, 2**29)
    assert (zlib_bounded.MAX_PIXELS, MAX_BYTES, BATCH_BUDGET) == (2**29, 2**20, 2**32)
    assert tfd.Schema({"a" * 128: SPECS["59f3d6db"]})
    with pytest.raises(tfd.SpecError):
        tfd.Schema({"a" * 129: SPECS["59f3d6db"]})
    with pytest.raises(tfd.SpecError):
        tfd.ArraySpec((2**31,), "uint8")
    with pytest.raises(tfd.SpecError):
        tfd.ArraySpec((0, 2**31 - 1), "uint8")


@pytest.mark.parametrize("count", [0, 1, 4999, 5000, 5001, 10**6])
def test_the_most_bytes_of_a_deflated_payload(count: int) -> None:
    assert "`D(n) = n + 5*ceil(n/5000) + 64`" in TEXT
    most = count + 5 * -(-count // 5000) + 64
    assert compress_bound(count) == most
    spec = tfd.ArraySpec((count,), "uint8", "zlib", seal=False)
    assert (spec.chain.payload.min_nbytes, spec.chain.payload.max_nbytes) == (
        max(8, count // 1032),
        most,
    )


def test_a_request_body_holds_the_example() -> None:
    schema = tfd.Schema.from_json(json.dumps(block("schema")))
    ((name, key),) = schema.feature_keys().items()
    payload = bytes.fromhex(PAYLOADS[schema[name].fingerprint[:8]])
    value = {"b64": base64.b64encode(payload).decode()}
    assert block("request") == {"inputs": {key: [value]}}
    assert block("rows") == {"instances": [{key: value}]}


def test_an_example_proto_holds_the_payload_under_the_same_key() -> None:
    schema = tfd.Schema.from_json(json.dumps(block("schema")))
    payload = bytes.fromhex(PAYLOADS["59f3d6db"])
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[payload]))
    features = tf.train.Features(feature={"pose_map_bytes": feature})
    proto = tf.train.Example(features=features).SerializeToString()
    parsed = tf.io.parse_example([proto], schema.feature_spec())
    decoded = schema.decode_tensors(parsed)["pose_map"][0]
    assert_same(decoded, SPECS["59f3d6db"].decode(payload))


def test_a_name_that_ends_in_bytes_stays() -> None:
    spec = SPECS["59f3d6db"]
    assert tfd.Schema({"a": spec, "b_bytes": spec}).feature_keys() == {
        "a": "a_bytes",
        "b_bytes": "b_bytes",
    }
