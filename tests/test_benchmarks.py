"""The benchmarks' inputs, chains and report, without a single timing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from benchmarks import bench_bulk, bench_clients, peers, report, rest, targets, timing
from benchmarks.chains import CHAINS, REQUEST, any_tensorflow
from benchmarks.inputs import FILES, KINDS, LARGE, SCALED, make, variants
from tests.common import assert_same

FORMS = {
    "pose_discs": ("float32", (256, 192, 18)),
    "pose_gaussians_cut": ("float32", (256, 192, 18)),
    "pose_gaussians": ("float32", (256, 192, 18)),
    "segment_map": ("float64", (256, 192)),
    "depth": ("uint16", (480, 640)),
    "log_mel": ("float32", (128, 1000)),
    "embedding": ("float32", (1024,)),
    "flow": ("float16", (256, 256, 2)),
    "lidar": ("float32", (16384, 4)),
    "lidar_mm": ("float32", (16384, 4)),
    "one_hot": ("float32", (256, 192, 20)),
    "one_hot_bool": ("bool", (256, 192, 20)),
    "tokens": ("int64", (512,)),
    "ct": ("int16", (512, 512)),
    "labels_480x640": ("uint8", (480, 640)),
    "labels_1024x1024": ("uint8", (1024, 1024)),
    "mask_480x640": ("bool", (480, 640)),
    "mask_1024x1024": ("bool", (1024, 1024)),
    "photo_uint8": ("uint8", (160, 160, 3)),
    "photo_unit": ("float32", (160, 160, 3)),
    "photo_signed": ("float32", (160, 160, 3)),
    "photo_standardized": ("float32", (160, 160, 3)),
    "photo_whitened": ("float32", (160, 160, 3)),
    "mel_fortran.npy": ("float32", (80, 423)),
    "color150.mat": ("uint8", (150, 3)),
    "h36m_body3d.npz": ("float64", (4, 17, 4)),
    "keypoints.npy": ("float64", (4, 17, 3)),
}


def test_every_input_has_chains_and_every_kind_targets() -> None:
    assert list(FORMS) == list(CHAINS) == [*KINDS, *LARGE, *SCALED, *FILES]
    assert list(targets.SIZES) == list(KINDS)


@pytest.mark.parametrize("name", FORMS)
def test_an_input_is_the_same_each_time_and_has_its_form(name: str) -> None:
    x = make(name, 1)
    assert (x.dtype.name, x.shape) == FORMS[name]
    assert_same(make(name, 1), x)
    if name in KINDS:
        assert make(name, 2).tobytes() != x.tobytes()


@pytest.mark.parametrize("name", CHAINS)
def test_its_chains_carry_every_variant_that_is_measured(name: str) -> None:
    for x in variants(name, 3 if name in KINDS else 1):
        for chain in CHAINS[name]:
            spec = tfd.ArraySpec(x.shape, x.dtype, codecs=chain)
            assert_same(spec.decode(spec.encode(x)), x)


def test_the_chains_of_requests_carry_pose_maps() -> None:
    for chain in REQUEST:
        for x in variants("pose_discs", 4):
            spec = tfd.ArraySpec(x.shape, x.dtype, codecs=chain)
            assert_same(spec.decode(spec.encode(x)), x)


def test_what_a_chain_has_to_reach_follows_from_its_codecs() -> None:
    assert targets.decode("depth", "raw") == 1.05
    assert targets.decode("segment_map", "astype:uint8|zlib:2") == 1.5
    assert targets.decode("segment_map", "astype:uint8|png") == 4
    assert targets.decode("depth", "delta|shuffle|zstd") == 15
    assert targets.decode("depth", "png") is targets.decode("pose_discs", "zlib") is None
    assert any_tensorflow("astype:uint8|zlib") and not any_tensorflow("astype:uint8|zstd:9")


def test_pixels_are_bytes_pairs_of_them_or_small_whole_numbers() -> None:
    assert peers.pixel_dtype(np.float16([0.5])) == np.float16
    assert peers.pixel_dtype(np.float32([0, 255])) == np.uint8
    assert peers.pixel_dtype(np.float32([-1, 1])) == np.int8
    assert peers.pixel_dtype(np.float32([0.5])) is None


def test_bodies_are_read_back() -> None:
    payloads = {"a_bytes": [b"\xff\0", b""], "b_bytes": [b"x"]}
    assert rest.read_payloads(rest.payloads_body(payloads)) == payloads
    arrays = {"a": np.float32([[0.1, 2], [3, 4]]), "b": np.array([[True]])}
    dtypes = {name: x.dtype.name for name, x in arrays.items()}
    for name, x in rest.read_lists(rest.lists_body(arrays), dtypes).items():
        assert_same(x, arrays[name])


def test_the_time_of_a_link_is_that_of_no_link_and_of_the_bytes() -> None:
    sent = {bench_clients.PAYLOADS: 1000, bench_clients.LISTS: 5_000_000}
    times = {bench_clients.PAYLOADS: 10.0, bench_clients.LISTS: 120.0}
    payloads, lists = bench_clients.rows_of("pose_discs", 4, sent, times)
    assert payloads[:5] == ["pose_discs, 4", "Rest, payloads", "1,000", "10.0", "10"]
    assert lists[2:] == ["5,000,000", "120.0", "160", "520", "2,120", "1.0", ""]
    assert payloads[-2:] == ["12.0", "met"]
    slow = bench_clients.rows_of("pose_discs", 4, sent, {**times, bench_clients.PAYLOADS: 13.0})
    assert slow[0][-2:] == ["9.2", "**missed**"]


def test_what_json_cannot_carry_is_said() -> None:
    name = bench_clients.PAYLOADS
    own, lists = bench_clients.rows_of("depth", 1, {name: 1000}, {name: 10.0})
    assert own[-2:] == ["", ""] and lists[2].startswith("refused: TensorFlow Serving")
    assert len(own) == len(lists)


def test_functions_take_turns() -> None:
    calls: list[str] = []
    works = {name: lambda name=name: calls.append(name) for name in "ab"}
    assert set(timing.medians(works, seconds=0, least=2)) == {"a", "b"}
    assert "".join(calls) == "ab" + "ab" + "ba"


def test_data_sets_are_written_and_read_in_each_way(tmp_path: Path) -> None:
    for name in ("write", "read"):
        (tmp_path / name).mkdir()
    ways = bench_bulk.writers(tmp_path / "write", 12)
    assert len(ways) == 4
    for name, work in ways.items():
        if "two" not in name:  # a pool takes a second to start
            work()
    taken = bench_bulk.costs(bench_bulk.readers(tmp_path / "read", 40), 40, 1)
    found = bench_bulk.table("Title", "Note.", taken, next(iter(taken)), {"raw, Schema.dataset": 9})
    assert found.rows[0][2] == "1.00" and found.rows[1][3].startswith("<= 9 ")
    assert [step[0] for step in bench_bulk.planned(50)] == [
        "start",
        "plan of 50 examples",
        "1 shards, 1 failures, manifest",
    ]


TABLE = report.Table("Title", "Note.", ("a", "b", "c"), [("raw|zlib", "x", "1")], words=2)


def test_a_table_escapes_what_separates_its_columns() -> None:
    assert TABLE.markdown() == (
        "### Title\n\nNote.\n\n| a | b | c |\n| --- | --- | ---: |\n| raw\\|zlib | x | 1 |\n"
    )


def test_a_section_is_replaced_in_its_place_and_the_others_stay() -> None:
    order = ["one", "two", "three"]
    text = ""
    for name in ("three", "one", "two"):
        text = report.replaced(text, name, f"## {name}\n\nold {name}\n", order)
    text = report.replaced(text, "two", "## two\n\nnew\n\n### Title\n", order)
    assert text == report.HEAD + (
        "\n## one\n\nold one\n\n## two\n\nnew\n\n### Title\n\n## three\n\nold three\n"
    )


def test_a_section_says_how_to_make_it_again_and_where_it_was_made() -> None:
    head = report.section("sizes", [TABLE]).splitlines()
    assert head[0] == "## sizes"
    assert head[2].startswith("`python -m benchmarks sizes` on ") and "numpy" in head[2]
