"""Schema.dataset: each example once, in the order that a seed says, from the right files."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode import bulk

tf = pytest.importorskip("tensorflow")

SCHEMA = tfd.Schema({"array": tfd.ArraySpec((3,), "int32")})


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("data")
    for index in range(30):
        np.save(folder / f"{index:02d}.npy", np.full(3, index, "int32"))
    files = sorted(map(str, folder.glob("*.npy")))
    features = {
        file: {"label": index % 3, "boxes": [0.5] * (index % 2)} if index % 2 else {"label": 7}
        for index, file in enumerate(files)
    }
    bulk.run(bulk.plan(files, folder / "train.tfrecord", SCHEMA, shards=4, features=features))
    return f"{folder}/train-*.tfrecord"


def order(dataset: object) -> list[int]:
    return [int(one[0]) for batch in dataset for one in batch["array"].numpy()]


def test_each_example_once_with_its_features(pattern: str) -> None:
    batches = list(SCHEMA.dataset(pattern, 8))
    assert [len(batch["array"]) for batch in batches] == [8, 8, 8, 6]
    assert order(batches) == list(range(30))
    for batch in batches:
        for array, file, label, boxes in zip(
            batch["array"].numpy(), batch["file"].numpy(), batch["label"].numpy(), batch["boxes"],
            strict=True,
        ):  # fmt: skip
            index = int(array[0])
            assert os.fsdecode(file).endswith(f"{index:02d}.npy")
            assert label == (index % 3 if index % 2 else 7)
            assert boxes.numpy().tolist() == [0.5] * (index % 2)
    assert len(list(SCHEMA.dataset(pattern, 8, drop_remainder=True))) == 3


def test_a_seed_decides_the_order(pattern: str) -> None:
    one, same, other = (
        order(SCHEMA.dataset(pattern, 4, shuffle=20, seed=seed)) for seed in (1, 1, 2)
    )
    assert one == same != other
    assert sorted(one) == sorted(other) == list(range(30)) != one
    assert sorted(order(SCHEMA.dataset(pattern, 4, shuffle=20))) == list(range(30))


def test_readers_share_the_files(pattern: str) -> None:
    parts = [order(SCHEMA.dataset(pattern, 4, shard=(index, 3))) for index in range(3)]
    assert sorted(index for part in parts for index in part) == list(range(30))
    with pytest.raises(tfd.SpecError, match="of at most 4 files"):
        SCHEMA.dataset(pattern, 4, shard=(0, 5))


def test_the_files_must_be_those_of_the_manifest(pattern: str, tmp_path: Path) -> None:
    folder = Path(pattern).parent
    for path in folder.glob("train*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    copy, first = f"{tmp_path}/train-*.tfrecord", tmp_path / "train-00000-of-00004.tfrecord"
    assert len(order(SCHEMA.dataset([first], 4))) == 7
    data = first.read_bytes()
    first.write_bytes(data[:-1])
    with pytest.raises(tfd.FileError, match=f"has {len(data) - 1} bytes"):
        SCHEMA.dataset(copy, 4)
    first.unlink()
    with pytest.raises(tfd.FileError, match=r"1 of 4 shards .* missing, the first is train-00000"):
        SCHEMA.dataset(copy, 4)
    first.write_bytes(data)
    (tmp_path / "train-00009-of-00004.tfrecord").write_bytes(b"")
    with pytest.raises(tfd.FileError, match=r"is not one of the shards .*; delete it"):
        SCHEMA.dataset(copy, 4)
    (tmp_path / "valid-00000-of-00001.tfrecord").write_bytes(b"")
    with pytest.raises(tfd.FileError, match=r"valid-.* one of the shards .* one data set at a tim"):
        SCHEMA.dataset(f"{tmp_path}/*-0000[0-3]-*.tfrecord", 4)
    feature = {"shards": [], "features": {"y": {"dtype": "io", "length": 1, "missing": 0}}}
    for wrong in ("[]", '{"shards": [], "features": []}', json.dumps(feature)):
        (tmp_path / "train.tfrecord.manifest.json").write_text(wrong)
        with pytest.raises(tfd.FileError, match="is not the manifest"):
            SCHEMA.dataset(copy, 4)
    with pytest.raises(tfd.FileError, match="no such files"):
        SCHEMA.dataset(tmp_path / "nothing-*", 4)
    with pytest.raises(tfd.FileError, match=r"no such files; its shards are .*/train-\*.tfrecord$"):
        SCHEMA.dataset(tmp_path / "train.tfrecord", 4)


def test_rows_of_any_length_are_read(tmp_path: Path) -> None:
    schema = tfd.Schema({"steps": tfd.ArraySpec((None,), "int32", max_shape=(9,))})
    for index in range(5):
        np.save(tmp_path / f"{index}.npy", np.arange(index, dtype="int32"))
    files = [str(tmp_path / f"{index}.npy") for index in range(5)]
    bulk.run(bulk.plan(files, tmp_path / "any.tfrecord", schema, shards=1))
    pattern = f"{tmp_path}/any-*.tfrecord"
    (ragged,) = schema.dataset(pattern, 5, ragged={"steps": "ragged"})
    assert ragged["steps"].to_list() == [list(range(index)) for index in range(5)]
    first, _ = schema.dataset(pattern, 3, ragged={"steps": "padded"})
    assert first["steps"].shape == (3, 9) and first["steps_lengths"].numpy().tolist() == [0, 1, 2]
    assert first["file"].numpy().tolist() == [os.fsencode(file) for file in files[:3]]


def test_without_a_manifest_the_features_are_given(pattern: str, tmp_path: Path) -> None:
    shards = sorted(Path(pattern).parent.glob("train-*"))
    (tmp_path / "all.tfrecord").write_bytes(b"".join(path.read_bytes() for path in shards))
    plain = list(SCHEMA.dataset(tmp_path / "all.tfrecord", 30))
    assert plain[0].keys() == {"array"}
    label = {"label": tf.io.FixedLenFeature([], tf.int64)}
    (batch,) = SCHEMA.dataset(tmp_path / "all.tfrecord", 30, features=label)
    assert batch["label"].numpy().tolist() == [i % 3 if i % 2 else 7 for i in range(30)]


def test_plain_and_compressed_files_are_read_together(pattern: str, tmp_path: Path) -> None:
    plain = Path(pattern).parent / "train-00000-of-00004.tfrecord"
    (tmp_path / "a.tfrecord").write_bytes(plain.read_bytes())
    (tmp_path / "b.tfrecord.gz").write_bytes(gzip.compress(plain.read_bytes()))
    once = order(SCHEMA.dataset(tmp_path / "a.tfrecord", 4))
    assert order(SCHEMA.dataset(f"{tmp_path}/*.tfrecord*", 4)) == 2 * once
    assert order(SCHEMA.dataset(f"{tmp_path}/*.tfrecord*", 4, shuffle=2, seed=1)) != 2 * once


def test_urls_are_read_by_the_file_systems_of_tensorflow(pattern: str) -> None:
    folder = "ram://dataset/of"
    tf.io.gfile.makedirs(folder)
    for path in Path(pattern).parent.glob("train*"):
        tf.io.gfile.copy(str(path), f"{folder}/{path.name}", overwrite=True)
    (batch,) = SCHEMA.dataset(f"{folder}/train-*.tfrecord", 30)
    assert batch["array"][:, 0].numpy().tolist() == list(range(30)) and "label" in batch
    first = f"{folder}/train-00000-of-00004.tfrecord"
    assert order(SCHEMA.dataset([first, pattern.replace("*", "00001-of-00004")], 30)) == [
        *range(15)
    ]
    tf.io.gfile.remove(first)
    with pytest.raises(tfd.FileError, match=r"1 of 4 shards of ram://dataset/of/train.tfrecord"):
        SCHEMA.dataset(f"{folder}/train-*.tfrecord", 30)
    for files in (f"{folder}/nothing-*", f"{folder}/nothing"):
        with pytest.raises(tfd.FileError, match=r"ram://dataset/of/nothing.*: no such files"):
            SCHEMA.dataset(files, 4)
    with pytest.raises(tfd.FileError, match=f"{first}: cannot be read: "):
        SCHEMA.dataset([first], 4)


def test_files_that_tensorflow_cannot_read_are_named(pattern: str) -> None:
    for files in ("s3://bucket/train-*", ["s3://bucket/train.tfrecord"]):
        words = r"s3://bucket/train.*: TensorFlow does not read s3://, only .*ram; copy the files"
        with pytest.raises(tfd.FileError, match=words):
            SCHEMA.dataset(files, 4)
    with pytest.raises(tfd.FileError, match=r"train-\*.tfrecord: no such file; a pattern is not"):
        SCHEMA.dataset([pattern], 4)


def test_batches_of_a_known_size_are_decoded_without_a_loop(pattern: str) -> None:
    schema = tfd.Schema({"array": tfd.ArraySpec((2**19,), "uint8")})
    assert schema["array"].max_rows < 2**12 < schema["array"].max_batch_size + 1
    for size, ops in ((4, set()), (2**14, {"While"})):
        dataset = schema.dataset(
            pattern, size, features={"file": tf.io.FixedLenFeature([], "string")}
        )
        graph = dataset._input_dataset._map_func.function.graph.as_graph_def()
        assert {node.op for node in graph.node} & {"While", "StatelessWhile"} == ops
