"""inspect: files described for people and as JSON."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tfdecode as tfd
from tests.cli.common import put
from tfdecode.cli import main
from tfdecode.formats.png import SIGNATURE, chunk

POSE = np.arange(24, dtype="float32").reshape(2, 3, 4)
LABELS = np.array([[0.0, 7.0], [7.0, 0.0]])
SPEC = tfd.ArraySpec((2, 3, 4), "float32", "astype:uint8|zlib")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A working directory with one file of each kind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pose.pkl").write_bytes(pickle.dumps({"pose": POSE, "who": Path("me")}))
    np.save("depth.npy", np.array([[0.5, np.nan], [np.inf, -np.inf]]))
    np.savez("maps.npz", pose=POSE, labels=LABELS)
    put("pose.tfd", SPEC, POSE)
    tfd.Schema({"pose": SPEC, "labels": tfd.ArraySpec((2, 2), "float64")}).save("schema.json")
    return tmp_path


def inspect(*arguments: str, status: int = 0) -> None:
    assert main(["inspect", *arguments]) == status


def lines(capsys, *arguments: str) -> list[str]:
    """What people read."""
    inspect(*arguments)
    out, err = capsys.readouterr()
    assert not err
    return out.splitlines()


def facts(capsys, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
    """What machines read."""
    inspect(*arguments, "--json", status=status)
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def failure(capsys) -> str:
    """The one line on stderr; stdout may describe the rest of a damaged file."""
    err: str = capsys.readouterr().err
    assert err.count("\n") == 1
    return err.rstrip("\n")


# -- array files ----------------------------------------------------------------------------------


def test_an_array_file_is_a_table_of_its_arrays(capsys) -> None:
    head, names, *rows = lines(capsys, "maps.npz")
    assert head.startswith("maps.npz  2 arrays, ")
    assert names.split() == ["key", "dtype", "shape", "bytes", "order", "range", "values"]
    assert [row.split(maxsplit=6) for row in rows[:2]] == [
        ["pose", "float32", "[2,3,4]", "96", "C", "0..23", "exact in uint8"],
        ["labels", "float64", "[2,2]", "32", "C", "0..7", "2 distinct, exact in uint8"],
    ]


def test_the_chain_that_reads_the_file_itself_is_named(capsys) -> None:
    np.save("other.npy", POSE)
    [found] = facts(capsys, "depth.npy")
    assert (found["arrays"][0]["as_is"], found["arrays"][0]["as_is_refused"]) == ("npy", None)
    assert (
        lines(capsys, "depth.npy")[-1]
        == "as it is  a graph reads this file with npy: pack FILE --as-is"
    )
    Path("known.pkl").write_bytes(pickle.dumps({"pose": POSE}))
    assert lines(capsys, "known.pkl")[-1].endswith(
        " a graph reads this file with pkl:pose: pack FILE#pose --as-is"
    )
    [found] = facts(capsys, "pose.pkl")  # which holds more than the array
    chain = found["arrays"][0]["as_is"]
    assert tfd.ArraySpec((2, 3, 4), "float32", chain).decode(Path("pose.pkl").read_bytes()).any()
    assert lines(capsys, "pose.pkl")[3] == (
        "as it is, pose  a graph reads this file with pkl:pose,head=...,tail=...: "
        "pack FILE#pose --as-is"
    )


def test_why_no_graph_reads_the_file_itself(capsys) -> None:
    Path("text.pkl").write_bytes(pickle.dumps(POSE, 2))
    [found] = facts(capsys, "text.pkl")
    assert found["arrays"][0]["as_is"] is None
    assert "protocol=4" in found["arrays"][0]["as_is_refused"]
    assert lines(capsys, "text.pkl")[-1].startswith(
        "as it is  no: it does not hold the array's own"
    )


def test_many_arrays_are_a_row_for_each_form(capsys) -> None:
    arrays = [np.full(4, i, "f4") for i in range(30)] + [np.zeros((2, 3), ">i2")]
    Path("many.pkl").write_bytes(pickle.dumps(arrays))
    head, _, *rows = lines(capsys, "many.pkl")
    assert head.startswith("many.pkl  31 arrays, ")
    told = ["0 .. 29 (30)", "float32", "[4]", "480", "C", "0..29", "exact in uint8"]
    assert re.split("  +", rows[0]) == told
    assert rows[1].split()[:4] == ["30", "int16,", "big-endian", "[2,3]"]
    assert rows[2] == "a row for each form; --all lists each array"
    assert rows[3].startswith('as it is, 0, 1, 2  a graph reads this file with pkl:"KEY",head=')
    assert rows[4] == "tried as it is for 3 of 31 arrays; --all tries each"
    assert len(lines(capsys, "many.pkl", "--all")) == 2 + 31 + 1
    assert len(facts(capsys, "many.pkl")[0]["arrays"]) == 31


def test_arrays_that_one_kind_of_chain_reads_are_told_together(capsys) -> None:
    np.savez("maps.npz", a=POSE, npz=LABELS, KEY=POSE)
    assert lines(capsys, "maps.npz")[-1] == (
        "as it is, a, npz, KEY  a graph reads this file with npz:KEY: pack FILE#KEY --as-is"
    )
    for key in ("a", "npz", "KEY"):
        assert lines(capsys, f"maps.npz#{key}")[-1].endswith(
            f"with npz:{key}: pack FILE#{key} --as-is"
        )


def test_arrays_of_many_shapes_are_a_row_for_each_rank(capsys) -> None:
    np.savez("many.npz", **{f"a{i}": np.zeros((i + 1, 3)) for i in range(25)})
    _, _, row, *_ = lines(capsys, "many.npz")
    assert row.split()[:5] == ["a0", "..", "a24", "(25)", "float64"] and "[1..25,3]" in row


def test_only_some_of_many_arrays_are_read(capsys, monkeypatch) -> None:
    """Each chain that is tried reads the whole file again: the first refusal ends the tries."""
    monkeypatch.setattr("tfdecode.cli.inspecting.arrays.READ", 5)
    Path("many.pkl").write_bytes(pickle.dumps({f"a{i}": np.arange(99.0) for i in range(70)}))
    told = lines(capsys, "many.pkl")
    assert "65 not read: only the first 5 are; --all reads each" in told[2]
    assert "bytes beside this array" in told[4] and told[4].startswith("as it is, a0  no: it has")
    assert told[5] == "tried as it is for 1 of 70 arrays; --all tries each"
    assert "not read" not in "".join(lines(capsys, "many.pkl", "--all"))


def test_a_reason_is_told_once_with_all_its_names(capsys) -> None:
    texts = {f"name{i}": Path(f"{i}") for i in range(30)}
    Path("many.pkl").write_bytes(pickle.dumps({"pose": POSE, **texts}))
    others = lines(capsys, "many.pkl")[-1]
    assert others.startswith("  name0, name1, name2, name3, name4 and 25 more  pathlib")
    assert "name29" in lines(capsys, "many.pkl", "--all")[-1]


def test_an_npy_beyond_max_bytes_is_told_by_its_header(capsys) -> None:
    with open("huge.npy", "wb") as file:
        header = {"descr": ">f4", "fortran_order": False, "shape": (2**20, 2**14)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 2**36)  # a hole: 64 GiB take no room
    row = lines(capsys, "huge.npy")[-1]
    assert "float32, big-endian  [1048576,16384]" in row and "not read: see --max-bytes" in row
    os.truncate("huge.npy", 2**33)
    inspect("huge.npy", status=1)
    assert (
        "huge.npy: has 8589934464 bytes of data where float32, big-endian [1048576,16384]"
        in failure(capsys)
    )


def test_the_columns_of_a_table_and_its_missing_values(capsys) -> None:
    Path("t.csv").write_text(",x,y\n0,1.5,NA\n1,2,3\n")
    inspect("t.csv", status=1)
    assert "line 2, column 3 is NA" in failure(capsys)
    told = lines(capsys, "t.csv", "--missing", "nan")
    assert told[1] == "columns  -, x, y" and "1 NaN" in told[3]


def test_values_that_are_not_finite_are_counted(capsys) -> None:
    [found] = facts(capsys, "depth.npy")
    assert found["arrays"][0]["values"] == {
        "min": 0.5, "max": 0.5, "nan": 1, "inf": 2, "distinct": 1, "exact_in": "float16"
    }  # fmt: skip
    assert lines(capsys, "depth.npy")[-2].endswith("0.5    1 NaN, 2 inf, exact in float16")


def test_what_is_no_array_is_told_with_what_to_do(capsys) -> None:
    assert lines(capsys, "pose.pkl")[-2:] == [
        "also in the file:",
        "  who  pathlib.PosixPath object; save its arrays on their own",
    ]


def test_a_file_without_arrays_is_told_too(capsys) -> None:
    Path("cfg.pkl").write_bytes(pickle.dumps({"lr": 0.1}))
    [found] = facts(capsys, "cfg.pkl")
    assert found["arrays"] == [] and [other["key"] for other in found["others"]] == ["lr"]


@pytest.mark.parametrize("arguments", [["maps.npz", "--key", "labels"], ["maps.npz#labels"]])
def test_a_key_chooses_an_array(arguments: list[str], capsys) -> None:
    [found] = facts(capsys, *arguments)
    assert [row["key"] for row in found["arrays"]] == ["labels"]


def test_a_missing_key_lists_the_arrays(capsys) -> None:
    inspect("maps.npz", "--key", "depth", status=1)
    assert failure(capsys) == (
        "tfdecode inspect: maps.npz: holds no array named depth; it has "
        "pose: float32 [2,3,4]; labels: float64 [2,2]"
    )


def test_a_directory_stands_for_its_array_files(tmp_path: Path, capsys) -> None:
    (tmp_path / "scans" / "below").mkdir(parents=True)
    for name in ("b.npy", "below/a.npy", "._c.npy"):
        np.save(tmp_path / "scans" / name, np.arange(3))
    (tmp_path / "scans" / "notes.md").write_text("")
    found = facts(capsys, "scans", "maps.npz")
    assert [one["file"] for one in found] == ["scans/b.npy", "scans/below/a.npy", "maps.npz"]
    (tmp_path / "empty").mkdir()
    inspect("empty", status=1)
    assert "empty: is a directory without array files, and not of a model" in failure(capsys)


def test_order_and_byte_order_are_those_of_the_file(capsys) -> None:
    np.save("f.npy", np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)))
    [row] = facts(capsys, "f.npy")[0]["arrays"]
    assert (row["dtype"], row["big_endian"], row["order"]) == ("int32", True, "Fortran")
    assert "int32, big-endian" in lines(capsys, "f.npy")[-2]


def test_values_beyond_max_bytes_are_not_read(capsys) -> None:
    [found] = facts(capsys, "maps.npz", "--max-bytes", "95")
    assert [row["values"] is None for row in found["arrays"]] == [True, False]
    assert "not read: see --max-bytes" in lines(capsys, "maps.npz", "--max-bytes", "95")[2]


def test_a_damaged_array_does_not_hide_the_others(capsys) -> None:
    np.savez("maps.npz", pose=POSE, labels=np.arange(2**15))
    data = bytearray(Path("maps.npz").read_bytes())
    data[data.index(b"labels") + 2**17] ^= 1
    Path("maps.npz").write_bytes(data)
    inspect("maps.npz", status=1)
    out, err = capsys.readouterr()
    assert "damaged" in out.splitlines()[3]
    assert err.startswith("tfdecode inspect: maps.npz: member labels is damaged")


@pytest.mark.parametrize(
    ("array", "exact_in"),
    [
        (np.array([0, 255]), "uint8"),
        (np.array([-1, 127]), "int8"),
        (np.array([0, 2**64 - 1], "uint64"), None),
        (np.array([0.1]), None),
        (np.array([0.1], "float32").astype("float64"), "float32"),
        (np.array([-0.0]), "float16"),
        (np.array([], "float64"), None),
        (np.array([True]), None),
        (np.array([1 + 0j]), "uint8"),
        (np.array([1 + 1j]), None),
        (np.array([1.5], ">f8"), "float16"),
    ],
    ids=lambda value: repr(value),
)
def test_the_narrowest_exact_dtype_is_one_that_packs(array, exact_in, capsys) -> None:
    np.save("x.npy", array)
    [row] = facts(capsys, "x.npy")[0]["arrays"]
    assert row["values"]["exact_in"] == exact_in
    if exact_in:
        assert main(["pack", "x.npy", "--codec", f"astype:{exact_in}"]) == 0


@pytest.mark.parametrize("count", [256, 257, 2**21])
def test_distinct_values_are_counted_up_to_256(count: int, capsys) -> None:
    np.save("x.npy", np.arange(count))
    [row] = facts(capsys, "x.npy")[0]["arrays"]
    assert row["values"]["distinct"] == (256 if count == 256 else None)


# -- payloads -------------------------------------------------------------------------------------


def test_a_payload_tells_the_bytes_of_each_step(capsys) -> None:
    [found] = facts(capsys, "pose.tfd")
    size = Path("pose.tfd").stat().st_size
    assert (found["kind"], found["decodes"], found["file_bytes"]) == ("payload", True, size)
    assert (found["codecs"], found["fingerprint"]) == (SPEC.chain.text, SPEC.fingerprint)
    steps = [(step["codec"], step["length"]) for step in found["steps"]]
    assert steps == [("astype:uint8", 24), ("raw", 24), ("zlib", size - 8), ("seal", size)]
    assert (found["values"]["min"], found["values"]["max"]) == (0, 23)


def test_a_payload_is_told_in_lines(capsys) -> None:
    told = lines(capsys, "pose.tfd")
    size = Path("pose.tfd").stat().st_size
    assert told[0] == f"pose.tfd  a payload of {size} bytes: float32 [2,3,4]"
    assert "  decodes      yes" in told and "  values       0..23, exact in uint8" in told
    assert told[-5].split() == ["(the", "array)", "float32", "[2,3,4]", "96", "96"]


def test_spec_names_the_spec_of_a_payload(capsys) -> None:
    os.rename("pose.tfd", "body.npy")  # whatever it is called
    [found] = facts(capsys, "body.npy", "--spec", "schema.json#pose")
    assert found["decodes"] is True


def test_a_payload_of_a_none_dimension_tells_its_shape(capsys) -> None:
    spec = tfd.ArraySpec((None, 3), "uint8", max_shape=(9, 3))
    put("x.tfd", spec, np.zeros((2, 3), "uint8"))
    [found] = facts(capsys, "x.tfd")
    assert (found["shape"], found["array_shape"]) == ([None, 3], [2, 3])
    assert "uint8 [None,3] (any length up to 9)" in lines(capsys, "x.tfd")[0]


@pytest.mark.parametrize(
    ("damage", "reason", "step"),
    [
        (lambda p: p[:-1], "does not match its seal", "seal"),
        (lambda p: p + bytes(1000), "payload has 1037 bytes, needs ", None),
        (lambda p: b"", "payload has 0 bytes, needs ", None),
        (lambda p: bytes([p[0] ^ 1]) + p[1:], "does not match its seal", "seal"),
    ],
)
def test_a_broken_payload_is_status_1(damage, reason: str, step: str | None, capsys) -> None:
    payload = damage(Path("pose.tfd").read_bytes())
    Path("pose.tfd").write_bytes(payload)
    [found] = facts(capsys, "pose.tfd", status=1)
    reason = reason.replace("1037", str(len(payload)))
    assert found["decodes"] is False and reason in found["error"]
    inspect("pose.tfd", status=1)
    out, err = capsys.readouterr()
    assert f"  decodes      no{f': {step} failed to decode' if step else ''}\n" in out
    assert err.startswith("tfdecode inspect: pose.tfd: ") and err.count("\n") == 1


def test_the_step_that_fails_is_named_and_those_before_it_measured(capsys) -> None:
    spec = tfd.ArraySpec((2, 3, 4), "float32", "astype:bool|zlib", seal=False)
    put("x.tfd", spec, POSE % 2)
    Path("x.tfd").write_bytes(zlib.compress(bytes([2] * 24)))
    [found] = facts(capsys, "x.tfd", status=1)
    assert found["fails_at"] == "raw"
    assert [step["length"] for step in found["steps"]] == [None, 24, found["file_bytes"]]


def test_a_payload_without_a_spec(capsys) -> None:
    os.remove("pose.tfd.json")
    inspect("pose.tfd", status=1)
    assert failure(capsys) == (
        "tfdecode inspect: pose.tfd: there is no pose.tfd.json next to it; pass --spec"
    )


def test_a_payload_has_no_key(capsys) -> None:
    inspect("pose.tfd", "--key", "pose", status=1)
    assert failure(capsys).endswith("is a payload of one array, so it has no key pose")


def test_a_row_larger_than_max_bytes_is_not_decoded(capsys) -> None:
    [found] = facts(capsys, "pose.tfd", "--max-bytes", "95")
    assert found["decodes"] is None and found["values"] is None
    assert any("not tried" in line for line in lines(capsys, "pose.tfd", "--max-bytes", "95"))


# -- a png payload carries its spec ---------------------------------------------------------------

PNG = tfd.ArraySpec((2, 3, 4), "float32", "astype:uint8|png|seal")


@pytest.mark.parametrize("name", ["pose.png", "pose.png.tfd", "body"])
def test_a_png_payload_needs_no_spec(name: str, capsys) -> None:
    Path(name).write_bytes(PNG.encode(POSE))
    [found] = facts(capsys, name)
    assert (found["decodes"], found["spec_from"]) == (True, "its tEXt chunk")
    assert found["fingerprint"] == PNG.fingerprint


def png(text: bytes, length: int | None = None, keyword: bytes = b"tfdecode\0") -> bytes:
    """The beginning of a payload whose tEXt chunk says ``text``."""
    whole = PNG.encode(POSE)
    told = chunk(b"tEXt", keyword + text)
    if length is not None:
        told = length.to_bytes(4, "big") + told[4:]
    own = 12 + len(b"tfdecode\0" + PNG.canonical_json.encode())
    return whole[:33] + told + whole[33 + own :]


def wire(**changes: Any) -> bytes:
    return json.dumps({**PNG.to_dict(canonical=True), **changes}).encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (png(b"{"), "the spec in its tEXt chunk is invalid: it is no JSON"),
        (png(b"[" * 100_000), "the spec in its tEXt chunk is invalid: it is no JSON"),
        (png(b"\xff\xfe\x00"), "the spec in its tEXt chunk is invalid: it is no JSON"),
        (png(b"[]"), "spec is list, needs a JSON object"),
        (png(wire(shape=[2**31 - 1] * 4)), "bytes, at most 2147482624 are supported"),
        (png(wire(shape="x")), "shape is 'x', needs a list of sizes"),
        (png(wire(codecs=[{"name": "\x1b[31m"}])), r"unknown codec '\x1b[31m'"),
        (png(wire(label="\n", version=2)), "spec has version 2"),
        (png(wire(shape=[2, 5, 3])), "does not match its seal"),
        (png(wire(codecs=[{"name": "raw"}])), "bytes, needs 96"),
        (png(b" " * 2**20), "its tEXt chunk has 1048585 bytes, at most 1048576 are supported"),
        (png(b"{}", length=2**32 - 1), "its tEXt chunk has 4294967295 bytes, at most 1048576"),
        (png(b"{}", length=2**19), "its tEXt chunk is damaged"),
        (png(b"{}", length=3), "its tEXt chunk is damaged"),
        (png(wire()[:-1] + b" " * 9 + b"}"), "does not match its seal"),
        (SIGNATURE, "is a damaged PNG image: it ends after 8 bytes without IEND"),
        (SIGNATURE + bytes(33), "is a damaged PNG image: it has not one IHDR at its beginning"),
    ],
)
def test_a_png_with_a_hostile_spec(data: bytes, reason: str, capsys) -> None:
    Path("x.png").write_bytes(data)
    inspect("x.png", status=1)
    err = failure(capsys)
    assert err.startswith("tfdecode inspect: x.png: ") and reason in err and len(err) < 5000


def test_a_png_without_a_spec_is_an_image(capsys) -> None:
    Path("x.png").write_bytes(png(b"x", keyword=b"Comment\0\0"))
    [found] = facts(capsys, "x.png")
    assert (found["kind"], found["format"]) == ("arrays", "png_image")


def test_a_png_bomb_is_not_inflated(capsys) -> None:
    spec = tfd.ArraySpec((2**15, 2**14), "uint8", "png")
    text = chunk(b"tEXt", b"tfdecode\0" + spec.canonical_json.encode())
    body = chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    Path("x.png").write_bytes(spec.encode(np.zeros((2**15, 2**14), "uint8"))[:33] + text + body)
    [found] = facts(capsys, "x.png")
    assert found["decodes"] is None


# -- specs and schemas ----------------------------------------------------------------------------


def test_a_spec_tells_what_follows_from_it(capsys) -> None:
    [found] = facts(capsys, "pose.tfd.json")
    payload = SPEC.chain.payload
    assert found["kind"] == "spec" and found["sealed"] is True
    assert found["payload_bytes"] == [payload.min_nbytes, payload.max_nbytes]
    assert found["domain"] == "integers 0..255 exactly, no -0.0"
    assert found["inflates_to"] == 96
    assert found["row_bytes"] == 96 and found["max_rows"] == SPEC.max_rows
    assert found["steps"][0]["array"] == {"dtype": "uint8", "shape": [2, 3, 4]}


def test_a_chain_that_takes_no_file_as_it_is_is_told(capsys) -> None:
    Path("either.json").write_text(tfd.ArraySpec((2, 3), "float32", "npy or csv").to_json())
    [found] = facts(capsys, "either.json")
    assert [one["only_tagged"] for one in found["one_of"]] == [False, True]
    said = [line for line in lines(capsys, "either.json") if line.startswith("  accepts")]
    assert said == ["  accepts  packed arrays only: files cannot be recognised as this chain's"]


def test_a_spec_is_told_in_lines(capsys) -> None:
    told = lines(capsys, "pose.tfd.json")
    assert told[0] == "pose.tfd.json  a spec of float32 [2,3,4]"
    assert f"  fingerprint        {SPEC.fingerprint}" in told
    assert "  carries            integers 0..255 exactly, no -0.0" in told
    assert "  sealed             yes: damaged or swapped payloads are refused" in told


@pytest.mark.parametrize(
    ("codecs", "domain", "inflates_to"),
    [
        ("raw", "", 96),
        ("png", "", (2 * 4 * 4) * (3 + 1)),
        ("astype:float16", "values exact in float16", 96),
        ("zlib:max_packed=50", "arrays that deflate to at most 50 bytes", 96),
        ("zlib:max_packed=5000", "", None),
        (
            "astype:int8|zlib:max_packed=20",
            "integers -128..127 exactly, no -0.0; arrays that deflate to at most 20 bytes",
            96,
        ),
    ],
)
def test_domain_and_memory(codecs: str, domain: str, inflates_to: int | None, capsys) -> None:
    Path("s.json").write_text(tfd.ArraySpec((2, 3, 4), "float32", codecs).to_json())
    [found] = facts(capsys, "s.json")
    assert found["domain"] == domain
    assert inflates_to is None or found["inflates_to"] == inflates_to


def test_large_rows_of_zlib_inflate_to_1032_times_their_length_and_those_of_zlib_bounded_do_not(
    capsys,
) -> None:
    for codecs, most in (("zlib:max_packed=5000", 5000 * 1032), ("zlib_bounded", 40_118)):
        Path("s.json").write_text(tfd.ArraySpec((10_000,), "float32", codecs).to_json())
        [found] = facts(capsys, "s.json")
        assert found["inflates_to"] == most


def test_a_schema_tells_each_input(capsys) -> None:
    [found] = facts(capsys, "schema.json")
    assert [(spec["name"], spec["key"]) for spec in found["inputs"]] == [
        ("pose", "pose_bytes"),
        ("labels", "labels_bytes"),
    ]
    assert "input pose  float32 [2,3,4], payload key pose_bytes" in lines(capsys, "schema.json")


def test_one_input_of_a_schema(capsys) -> None:
    [found] = facts(capsys, "schema.json#pose")
    assert (found["kind"], found["fingerprint"]) == ("spec", SPEC.fingerprint)


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("s.json", "{", "s.json: it is no JSON: "),
        ("s.json", "{}", "s.json: spec has version None, known: 1"),
        ("s.json", SPEC.to_json().replace("zlib", "zl\\u001bib"), "s.json: unknown codec 'zl"),
        ("schema.json#x", "", "schema.json: has no input x; choose one with #NAME: pose, labels"),
        ("none.json", "", "none.json: cannot be read: No such file or directory"),
        ("none.npy", "", "none.npy: cannot be read: No such file or directory"),
        ("none.tfd", "", "none.tfd: there is no such file"),
        ("s.xyz", "hello", "s.xyz: has an unknown suffix"),
    ],
)
def test_what_cannot_be_told(path: str, content: str, reason: str, capsys) -> None:
    Path("s.json").write_text(content)
    Path("s.xyz").write_text(content)
    inspect(path, status=1)
    assert failure(capsys).startswith(f"tfdecode inspect: {reason}")


@pytest.mark.parametrize("name", ["pipe.json", "pipe.tfd", "pipe.npy", "pipe"])
def test_a_pipe_is_not_waited_for(name: str, capsys) -> None:
    os.mkfifo(name)
    Path("pipe.tfd.json").write_text(SPEC.to_json())
    inspect(name, status=1)
    assert failure(capsys).startswith(f"tfdecode inspect: {name}: is not a")


# -- models without TensorFlow (those with it: test_inspect_models.py) ---------------------------


def test_one_input_of_a_model_needs_no_tensorflow(folder: Path, capsys) -> None:
    (folder / "model/3/assets.extra").mkdir(parents=True)
    (folder / "model/3/saved_model.pb").touch()
    os.rename("schema.json", "model/3/assets.extra/tfdecode.json")
    [found] = facts(capsys, "model#pose")
    assert found["fingerprint"] == SPEC.fingerprint


# -- several paths, options, names ----------------------------------------------------------------


def test_a_bad_file_does_not_stop_the_others(capsys) -> None:
    Path("bad.npy").write_bytes(b"1 2 3")
    good, bad, spec = facts(capsys, "maps.npz", "bad.npy", "schema.json", status=1)
    assert (good["kind"], spec["kind"]) == ("arrays", "schema")
    assert bad.keys() == {"file", "error"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ["maps.npz#pose", "--key", "pose"],
            "argument --key: not allowed with a PATH that has a #KEY",
        ),
        (["maps.npz", "depth.npy", "--plot", "x.png"], "argument --plot: needs one PATH"),
        (["maps.npz", "--plot", "x.pdf"], "'x.pdf' is not the name of a .png"),
        (["maps.npz", "--max-bytes", "-1"], "'-1' is not a whole number"),
        ([""], "'' is not a file name"),
        (["#x"], "'#x' is not a file name"),
    ],
)
def test_bad_options_are_status_2(options: list[str], reason: str, capsys) -> None:
    inspect(*options, status=2)
    assert reason in capsys.readouterr().err.splitlines()[-1]


def test_hostile_names_never_reach_the_terminal(capsys) -> None:
    name = "\x1b[31m\n.npz"
    np.savez(name, **{"\x1b]0;x\n[bold]": POSE, "s\x07": np.array("text")})
    inspect(name)
    spec = tfd.ArraySpec((2,), "uint8", label="\x1b[2J\n")
    put("\x1b.tfd", spec, np.zeros(2, "uint8"))
    inspect("\x1b.tfd", "\x1b.tfd.json", "\x1b.none", status=1)
    out, err = capsys.readouterr()
    assert not {"\x1b", "\x07"} & set(out + err)
    assert r"\x1b]0;x\n[bold]" in out and r"\x1b[2J\n" in out


def test_bfloat16_payloads_are_told(capsys) -> None:
    spec = tfd.ArraySpec((3,), "bfloat16")
    put("x.tfd", spec, np.array([1, -2, np.nan], ml_dtypes.bfloat16))
    values = facts(capsys, "x.tfd")[0]["values"]
    assert (values["min"], values["max"], values["nan"]) == (-2, 1, 1)


def test_nothing_heavy_is_imported() -> None:
    script = (
        "import sys; from tfdecode.cli import main\n"
        "assert main(['inspect', 'maps.npz', 'pose.tfd', 'pose.tfd.json', 'schema.json']) == 0\n"
        "heavy = {'tensorflow', 'matplotlib', 'scipy', 'h5py'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    path = str(Path(tfd.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", script], env=environment)
    assert done.returncode == 0


def test_a_tfrecord_is_no_payload_though_a_schema_lies_beside_it(tmp_path, capsys) -> None:
    (tmp_path / "x.tfrecord").write_bytes(bytes(20))
    (tmp_path / "x.tfrecord.json").write_text('{"version": 1, "inputs": {}}')
    assert main(["inspect", str(tmp_path / "x.tfrecord")]) == 1
    assert "is a TFRecord; read it with tf.data.TFRecordDataset" in capsys.readouterr()[1]
