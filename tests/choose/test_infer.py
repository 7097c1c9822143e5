"""infer finds a chain for any array, small where there is something to find, and says why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tfdecode as tfd
from tests import strategies
from tests.common import assert_same
from tfdecode.choose import PREFER, rank
from tfdecode.choose.order import FASTER, MAP_FN
from tfdecode.choose.propose import proposals
from tfdecode.codecs.registry import CODECS
from tfdecode.statistics import narrowest, one_hot, scales_of

RNG = np.random.default_rng(3)
Y, X = np.mgrid[:64, :48]
LABELS = (np.hypot(X - 20, Y - 30) // 6 % 5).astype("f8")
DISCS = np.where(np.hypot(X[..., None] - [9, 30, 20], Y[..., None] - [9, 50, 40]) < 4, 1, -1)
DEPTH = (900 + 5 * Y + 40 * np.sin(X / 9) + RNG.normal(0, 1, Y.shape)).astype("u2")
#: Kinds of arrays -> one of them, and what its payload is at most, as a share of the array.
KINDS: dict[str, tuple[np.ndarray, float]] = {
    "labels": (LABELS, 0.03),
    "discs": (DISCS.astype("f4"), 0.02),
    "one-hot": (np.eye(5, dtype="f4")[LABELS.astype(int)], 0.02),
    "mask": (LABELS > 2, 0.2),
    "depth": (DEPTH, 0.75),
    "image": (RNG.integers(0, 256, (20, 30, 3), np.uint8), 1.0),
    "tokens": (RNG.integers(0, 9999, 512), 0.26),
    "embedding": (RNG.normal(size=1024).astype("f4"), 1.0),
    "metres in millimetres": (np.round(RNG.normal(size=(300, 3)), 3).astype("f4") + 0, 0.6),
    "complex": (np.ones((9, 9), "c8"), 0.2),
    "a number": (np.float32(2.5), 1.0),
    "nothing": (np.zeros((0, 3), "i2"), 1.0),
    "bits": (np.frombuffer(RNG.bytes(999), "u1"), 1.0),
}


@pytest.mark.parametrize("prefer", PREFER)
@pytest.mark.parametrize("kind", KINDS)
def test_the_chain_carries_the_array_and_is_small(kind: str, prefer: str) -> None:
    array, most = KINDS[kind]
    spec = tfd.infer(array, prefer=prefer, min_tensorflow="2.20")
    payload = spec.encode(array)
    assert_same(spec.decode(payload), np.asarray(array))
    assert_same(spec.decode_tensor(payload), np.asarray(array))
    if prefer != "fastest":
        assert len(payload) <= most * np.asarray(array).nbytes + 8


@pytest.mark.parametrize("kind", KINDS)
def test_the_result_is_total_unless_that_is_declined(kind: str) -> None:
    array, _ = KINDS[kind]
    spec = tfd.infer(array)
    assert spec.domain == ""
    if array.size:
        other = np.frombuffer(RNG.bytes(array.nbytes), array.dtype)
        if array.dtype == bool:
            other = RNG.integers(0, 2, array.size).astype(bool)
        other = other.reshape(array.shape)
        assert_same(spec.decode(spec.encode(other)), other)
    assert len(tfd.infer(array, fallback=False).alternatives) == 1


@given(st.data(), st.sampled_from(PREFER), st.booleans())
def test_any_array_has_a_chain(data: st.DataObject, prefer: str, portable: bool) -> None:
    dtype, shape = data.draw(strategies.dtypes), data.draw(strategies.shapes)
    array = data.draw(strategies.arrays(dtype, shape))
    spec = tfd.infer(array, prefer=prefer, portable=portable)
    assert_same(spec.decode(spec.encode(array)), array)


def test_the_best_candidate_comes_first_and_says_what_it_can_carry() -> None:
    candidates = rank(LABELS, prefer="smallest")
    sizes = [candidate.payload_bytes for candidate in candidates]
    assert len({candidate.chain for candidate in candidates}) == len(candidates)
    assert sizes[0] == min(sizes) and sizes[-1] > 20 * sizes[0]
    assert candidates[0].domain.startswith("integers 0..255")
    assert all(candidate.encode_seconds > 0 < candidate.decode_seconds for candidate in candidates)


@pytest.mark.parametrize("kind", ["labels", "discs", "depth", "tokens"])
def test_balanced_is_smaller_and_faster_than_zlib_by_the_model(kind: str) -> None:
    array, _ = KINDS[kind]
    best, *others = rank(array, trusted=True)
    plain = next(one for one in [best, *others] if one.chain == "raw|zlib|seal")
    assert best.payload_bytes < plain.payload_bytes
    assert best.decode_seconds <= FASTER * (plain.decode_seconds + MAP_FN)


def test_noise_is_stored_where_there_is_some() -> None:
    floats = RNG.normal(size=(128, 200)).astype("f4")
    packed = "shuffle|raw|zlib_bounded:3,store_incompressible=true|seal"
    assert tfd.infer(floats).chain.text == packed
    assert tfd.infer(floats, trusted=True).chain.text == packed.replace("_bounded", "")
    flat = np.kron(np.arange(12.0).reshape(3, 4), np.ones((64, 64)))
    assert not any("store_incompressible" in candidate.chain for candidate in rank(flat))
    # Whatever carries it: what counts is the bytes in front of zlib.
    rows = np.where(np.arange(512) < 256, 7, RNG.integers(0, 250, (512, 512)))
    for dtype in ("uint8", "int64", "float64"):
        assert any("store_incompressible" in one.chain for one in rank(rows.astype(dtype)))


def test_a_slow_wire_makes_payloads_smaller_and_a_fast_one_chains_shorter() -> None:
    slow, fast = (tfd.infer(LABELS, bandwidth=bandwidth) for bandwidth in (1e3, 1e12))
    assert len(slow.encode(LABELS)) < len(fast.encode(LABELS))
    assert len(fast.chains[0].codecs) < len(slow.chains[0].codecs)


@pytest.mark.parametrize("version, zstd", [("2.12", False), ("2.19", False), ("2.20", True)])
def test_zstd_is_for_those_who_have_it(version: str, zstd: bool) -> None:
    chains = [candidate.chain for candidate in rank(LABELS, min_tensorflow=version)]
    assert any("zstd" in chain for chain in chains) == zstd
    assert any("zlib" in chain for chain in chains)


def test_portable_chains_are_those_of_the_javascript_client() -> None:
    for array, _ in KINDS.values():
        candidates = rank(array, portable=True, min_tensorflow="2.21")
        assert candidates
        for candidate in candidates:
            assert all(codec.portable for codec in candidate.spec.chains[0].codecs)


def test_several_samples_have_to_be_carried_all() -> None:
    spec = tfd.infer([LABELS, LABELS * 100], fallback=False)
    for array in (LABELS, LABELS * 100):
        assert_same(spec.decode(spec.encode(array)), array)


def test_samples_of_different_length_have_a_none_dimension() -> None:
    clouds = [RNG.normal(size=(n, 4)).astype("f4") for n in (50, 80)]
    spec = tfd.infer(clouds, max_shape=(1000, 4))
    assert spec.shape == (None, 4) and spec.max_shape == (1000, 4)
    for array in (*clouds, np.zeros((0, 4), "f4"), np.ones((1000, 4), "f4")):
        assert_same(spec.decode(spec.encode(array)), array)


@pytest.mark.parametrize(
    "shapes",
    [
        [(30, 4), (30, 8)],
        [(3, 4, 2), (3, 5, 2)],
        [(2, 9), (3, 9)],
        [(30, 4), (5, 8)],
        [(20, 30, 3), (24, 30, 3), (24, 9, 3)],
        [(2, 3, 4), (3, 4, 2)],
    ],
    ids=str,
)
def test_samples_may_differ_along_any_dimensions(shapes: list[tuple[int, ...]]) -> None:
    most = tuple(max(sides) for sides in zip(*shapes, strict=True))
    arrays = [np.round(RNG.normal(size=shape), 2).astype("f4") for shape in shapes]
    spec = tfd.infer(arrays, max_shape=most)
    sides = [set(column) for column in zip(*shapes, strict=True)]
    assert spec.shape == tuple(side.pop() if len(side) == 1 else None for side in sides)
    for array in arrays:
        assert_same(spec.decode(spec.encode(array)), array)


def test_zstd_that_is_asked_for_and_not_installed_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    monkeypatch.setitem(sys.modules, module, None)  # so that its import fails
    with pytest.raises(tfd.MissingExtraError, match="extra 'zstd'"):
        tfd.infer(LABELS, min_tensorflow="2.20")
    assert tfd.infer(LABELS).chain.text


def test_a_file_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", labels=LABELS, depth=DEPTH)
    spec = tfd.infer(tmp_path / "x.npz", key="depth")
    assert (spec.shape, spec.dtype) == (DEPTH.shape, "uint16")


ERRORS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "text is no path": ("x.npy", {}, "is text, needs arrays or a pathlib.Path"),
    "no sample": ([], {}, "a list of at least one"),
    "lists of numbers": ([[1, 2]], {}, "needs a numpy array"),
    "strings": (np.array(["a"]), {}, "dtype"),
    "other dtypes": ([DEPTH, LABELS], {}, "differ in dtype or rank"),
    "other ranks": ([DEPTH, DEPTH[0]], {}, "differ in dtype or rank"),
    "no bound": ([DEPTH, DEPTH[1:, 1:]], {}, "dimension 0 and 1: max_shape= says how large"),
    "a key of no file": (DEPTH, {"key": "x"}, "key= needs a pathlib.Path"),
    "prefer": (DEPTH, {"prefer": "best"}, "known: smallest, balanced, fastest"),
    "bandwidth": (DEPTH, {"bandwidth": 0}, "needs bytes per second"),
    "bandwidth in words": (DEPTH, {"bandwidth": "fast"}, "needs bytes per second"),
    "a number as version": (DEPTH, {"min_tensorflow": 2.20}, "needs a version as '2.12'"),
    "version": (DEPTH, {"min_tensorflow": "two"}, "needs a version as '2.12'"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_what_cannot_be_is_a_spec_error(kind: str) -> None:
    arrays, options, message = ERRORS[kind]
    with pytest.raises(tfd.SpecError, match=message):
        tfd.infer(arrays, **options)


def test_bools_with_other_bytes_are_refused() -> None:
    odd = np.frombuffer(b"\1\2\0", np.bool_)
    with pytest.raises(tfd.EncodeError, match=r"at index \[1\]"):
        tfd.infer([np.ones(3, bool), odd])


def test_what_is_peculiar_of_the_values() -> None:
    assert narrowest(LABELS.ravel()) == "uint8" and narrowest(LABELS.ravel() / 3) is None
    assert one_hot(KINDS["one-hot"][0]) and not one_hot(LABELS)
    columns = KINDS["metres in millimetres"][0].reshape(-1, 1)
    assert scales_of(columns) == [1000]
    assert scales_of(np.concatenate([columns, columns.round(1), columns.round()], 1)) == [
        1000,
        10,
        1,
    ]
    assert scales_of(KINDS["embedding"][0].reshape(-1, 1)) is None


@pytest.mark.parametrize("prefer", PREFER)
@pytest.mark.parametrize("portable", [False, True])
def test_what_is_proposed_is_bounded_unless_all_clients_are_trusted(
    prefer: str, portable: bool
) -> None:
    large = np.kron(LABELS, np.ones((8, 8)))
    for array in (LABELS, large, DEPTH, RNG.normal(size=(200, 300)).astype("f4")):
        for candidate in rank(array, prefer=prefer, portable=portable, min_tensorflow="2.20"):
            assert candidate.spec.bounded, candidate.chain
    unbounded = [one for one in rank(large, prefer=prefer, trusted=True) if not one.spec.bounded]
    assert all("zlib" in one.chain and "zlib_bounded" not in one.chain for one in unbounded)
    assert unbounded and tfd.infer(large).bounded


def test_nothing_outside_of_the_arguments_changes_a_choice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = [tfd.infer(array) for array, _ in KINDS.values()]
    costs = tmp_path / ".cache" / "tfdecode" / "costs-2.json"
    costs.parent.mkdir(parents=True)
    costs.write_text('{"zlib": [99, 99], "raw": [99, 99], "png": [0, 0]}')
    for variable in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path if variable == "HOME" else tmp_path / ".cache"))
    monkeypatch.chdir(tmp_path)
    assert [tfd.infer(array) for array, _ in KINDS.values()] == expected


def test_every_codec_that_infer_can_propose_is_proposed_for_something() -> None:
    arrays = [array for array, _ in KINDS.values()]
    arrays.append(np.where(RNG.random((60, 60)) < 0.01, 3.5, 0))
    arrays.append(np.sqrt(RNG.integers(0, 200, (60, 60))).astype("float32"))
    codecs = list(CODECS.values())
    bodies = "|".join(text for array in arrays for text in proposals([array], [array], codecs))
    named = {name for name, codec in CODECS.items() if codec.kind != "compressor"}
    files = {name for name in named if ".native." in CODECS[name].__module__}
    assert {step.partition(":")[0] for step in bodies.split("|")} == named - files


@given(st.data())
def test_a_proposal_is_a_chain_of_that_form_even_where_it_cannot_carry_the_array(
    data: st.DataObject,
) -> None:
    dtype, shape = data.draw(strategies.dtypes), data.draw(strategies.shapes)
    array = data.draw(strategies.arrays(dtype, shape))
    made = 0
    for text in proposals([array], [array], list(CODECS.values())):
        try:
            tfd.ArraySpec(shape, dtype, text)
            made += 1
        except tfd.SpecError as error:
            assert "codec" in str(error)  # of the step that cannot
    assert made


@pytest.mark.parametrize("kind", KINDS)
def test_the_chains_for_an_output_are_of_codecs_that_encode_in_a_graph(kind: str) -> None:
    array = KINDS[kind][0]
    spec = tfd.infer(array, role="output")
    assert all(codec.encodes_in_graph() for chain in spec.chains for codec in chain.codecs)
    assert not spec.domain
    if spec.chain.form.max_nbytes < 2**13:  # eagerly, larger ones take long
        payloads = spec.encode_tensor(np.stack([array, np.zeros_like(array)])).numpy()
        assert_same(spec.decode(payloads[0]), np.asarray(array))


def test_an_output_has_a_fixed_shape_and_a_role_is_one_of_two() -> None:
    with pytest.raises(tfd.SpecError, match="an output needs one that is fixed"):
        tfd.infer([np.zeros((2, 3)), np.zeros((4, 3))], max_shape=(9, 3), role="output")
    with pytest.raises(tfd.SpecError, match="role is 'answer', known: input, output"):
        tfd.infer(np.zeros(3), role="answer")  # type: ignore[arg-type]
