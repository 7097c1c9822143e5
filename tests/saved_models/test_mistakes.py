"""Mistakes of people at wrap and convert: one sentence says what to do, and nothing is written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode.cli import main
from tfdecode.client import InProcess

tf = pytest.importorskip("tensorflow")
from tfdecode.saved_models.protobuf import read_protobuf  # noqa: E402

v1 = tf.compat.v1
SPEC = tfd.ArraySpec((2,), "float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel ``theirs``, a checkpoint ``ck/model-7``, and what people take for such."""
    folder = tmp_path_factory.mktemp("mistakes")
    words = folder / "words.txt"
    words.write_text("a\nb\nc\n")
    lines = tf.lookup.TextFileIndex
    columns = (tf.string, lines.WHOLE_LINE, tf.int64, lines.LINE_NUMBER)
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        word = v1.placeholder(tf.string, [None], name="word")
        w = v1.get_variable("w", initializer=2.0, use_resource=True)
        table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(str(words), *columns), -1)
        y = tf.add(x * w, tf.cast(table.lookup(word)[:, None], tf.float32), name="y")
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        v1.train.Saver().save(session, str(folder / "ck" / "model"), global_step=7)
        (folder / "live.pb").write_bytes(graph.as_graph_def().SerializeToString())
        definition = v1.saved_model.predict_signature_def({"x": x, "word": word}, {"y": y})
        builder = v1.saved_model.Builder(str(folder / "theirs"))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": definition},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
        )
        builder.save()
    for name in ("gpu", "silent"):
        shutil.copytree(folder / "theirs", folder / name)
        model = read_protobuf(folder / name)
        if name == "gpu":
            model.meta_graphs[0].meta_info_def.tags[:] = ["gpu"]
        else:
            model.meta_graphs[0].signature_def.clear()
        (folder / name / "saved_model.pb").write_bytes(model.SerializeToString())
    shutil.copytree(folder / "theirs", folder / "light")
    shutil.rmtree(folder / "light" / "variables")
    shutil.copytree(folder / "theirs", folder / "versions" / "1")
    shutil.copytree(folder / "theirs", folder / "named" / "best")
    shutil.copytree(folder / "ck", folder / "bare")
    (folder / "bare" / "model-7.meta").unlink()
    shutil.copytree(folder / "theirs", folder / "pipe")
    os.mkfifo(folder / "pipe" / "fifo")
    (folder / "notes.txt").write_text("hello")
    (folder / "words.pb").write_text("hello there")
    (folder / "k.keras").write_text("hello")
    np.save(folder / "wide.npy", np.full(2, 0.1))
    np.save(folder / "long.npy", np.zeros(3, "float32"))
    np.save(folder / "batch.npy", np.zeros((4, 2), "float32"))
    return folder


INPUT, TENSORS = "--input x=raw", "--input x=x:0 --input word=word:0 --output y=y:0"
WRONG = {
    # name of an input, an output, a signature
    "wrap theirs m --input z=raw": (1, "serving_default has no 'z'; it has: word, x"),
    f"wrap theirs m {INPUT} --output z=raw": (1, "has no 'z'; it has: y"),
    f"wrap theirs m {INPUT} --source predict": (1, "'predict'; the model has: serving_default"),
    f"wrap silent m {INPUT}": (1, "the model has: none; save the model with signatures="),
    f"wrap theirs m {INPUT} --cast z": (2, "--cast: z is not named by --input"),
    f"wrap theirs m {INPUT} {INPUT}": (2, "x is named twice"),
    f"convert ck/model-7 m {TENSORS} --input u=u:0": (1, "'u:0' for input u; convert --suggest"),
    "convert ck/model-7 m --input x=x:0 --output y=yy:0": (1, "did you mean 'y:0'?"),
    "convert ck/model-7 m --input x=x:0 --output y=y:0": (1, "a value, --constant word:0=1.0"),
    # a dtype, a shape, a file
    "wrap theirs m --input x=wide.npy": (1, "float32 for x: array is not exact in float32"),
    "wrap theirs m --input x=long.npy": (1, "has shape (None, 2), the spec makes (B, 3)"),
    "wrap theirs m --input x=batch.npy": (1, "batch.npy: is a batch of 4 for x, [4,2]; pass a"),
    "wrap theirs m --input x=none.npy": (1, "none.npy: no such file, for x"),
    "wrap theirs m --input x=nothing": (1, "'nothing' is neither a file nor a chain for x"),
    "wrap theirs m --input x=image/png": (1, "is float32, and pixels are uint8: pass --cast x if"),
    # a model
    f"wrap gpu m {INPUT}": (1, "tags are: ['gpu']: save the model again with ['serve']"),
    f"wrap light m {INPUT}": (1, "no variables/variables.index: copy the whole directory"),
    f"wrap https://host/theirs m {INPUT}": (2, "https://host/theirs: is not on this machine;"),
    f"wrap named m {INPUT}": (1, "nor versions of one; did you mean named/best?"),
    f"wrap k.keras m {INPUT}": (1, "make one of it with tfdecode convert"),
    f"wrap ck/model-7 m {INPUT}": (1, "is a checkpoint; make a SavedModel of it"),
    f"wrap theirs/saved_model.pb m {INPUT}": (1, "needs the directory of a SavedModel: theirs"),
    f"convert theirs m {TENSORS}": (1, "theirs is a SavedModel: tfdecode wrap takes it"),
    f"convert theirs/saved_model.pb m {TENSORS}": (1, "theirs is a SavedModel: tfdecode wrap"),
    f"convert ck m {TENSORS}": (1, "a checkpoint by its prefix, as ck/model-7"),
    f"convert ck/model-8 m {TENSORS}": (1, "ck/model-8: no such file, and no model-8.meta; ck has"),
    f"convert bare/model-7 m {TENSORS}": (1, "is a checkpoint without a graph, model-7.meta"),
    f"convert notes.txt m {TENSORS}": (1, "notes.txt is not a checkpoint with its .meta"),
    f"convert words.pb m {TENSORS}": (1, "words.pb: is not a GraphDef"),
    f"convert live.pb m {TENSORS}": (1, "it is not frozen, so convert its checkpoint"),
    "convert k.keras m --input x=x:0=long.npy": (2, "of a Keras file x=SPEC, without a tensor"),
    "convert k.keras m --input x=raw": (1, "Keras cannot load it"),
    # a place to write to
    f"wrap theirs theirs {INPUT}": (1, "theirs is a SavedModel; pass the directory of its"),
    f"wrap theirs theirs/m {INPUT}": (1, "theirs/m is inside the SavedModel theirs, all of which"),
    f"wrap pipe m {INPUT}": (1, "pipe/fifo: cannot be copied: "),
    f"wrap theirs notes.txt {INPUT}": (1, "notes.txt is a file; pass the directory of"),
    f"wrap theirs versions {INPUT} --version 1": (1, "versions/1 exists: versions are never over"),
}  # fmt: skip


@pytest.mark.parametrize("command", WRONG)
def test_a_sentence_says_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, command: str
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    status, said = WRONG[command]
    assert main(command.split(" ")) == status
    out, err = capsys.readouterr()
    line = err.splitlines()[-1]
    assert said in line and line.startswith(f"tfdecode {command.split()[0]}: ")
    assert not out and "Traceback" not in err and len(err.splitlines()) == 1
    assert sorted(folder.rglob("*")) == before


def test_casting_rounds_the_file_of_an_input(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    rounded = ["--casting", "same_kind"]
    assert main(["wrap", "theirs", str(tmp_path / "w"), "--input", "x=wide.npy", *rounded]) == 0
    command = ["convert", "ck/model-7", str(tmp_path / "c"), "--output", "y=y:0", "--assets", "."]
    inputs = ["--input", "x=x:0=wide.npy", "--input", "word=word:0"]
    assert main([*command, *inputs]) == 1
    assert main([*command, *inputs, *rounded]) == 0


def test_a_model_that_is_read_only_is_wrapped(folder: Path, tmp_path: Path) -> None:
    """As build systems leave theirs; who is root writes to it anyway."""
    source = shutil.copytree(folder / "theirs", tmp_path / "theirs")
    paths = [source, *source.rglob("*")]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    made = tfd.wrap(source, tmp_path / "m", {"x": SPEC})
    for path in paths:
        assert not path.stat().st_mode & 0o222
        path.chmod(path.stat().st_mode | 0o200)
    assert all(path.stat().st_mode & 0o200 for path in made.rglob("*"))


def test_names_with_an_equals_sign(tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        builder, define = v1.saved_model.Builder(str(tmp_path / "m")), v1.saved_model
        definition = define.predict_signature_def({"a=b": x}, {"y": x * 2.0})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": definition})
        builder.save()
    assert main(["wrap", str(tmp_path / "m"), str(tmp_path / "out"), "--input", "a=b=raw"]) == 0
    assert list(tfd.Schema.load(tmp_path / "out")) == ["a=b"]


def test_a_loaded_model_is_exported_by_its_signature(folder: Path, tmp_path: Path) -> None:
    loaded = tf.saved_model.load(str(folder / "theirs"))
    inputs = {"x": SPEC, "word": tf.TensorSpec([None], tf.string)}
    given = {"x": np.float32([1, 2]), "word": b"c"}
    path = tfd.export(loaded.signatures["serving_default"], tmp_path / "m", inputs, sample=given)
    with InProcess(path) as client:  # its table of TensorFlow 1 is filled
        assert client.predict(given)["y"].tolist() == [[4.0, 6.0]]
    with pytest.raises(tfd.ExportError, match=r"pass model.signatures\['serving_default'\], or"):
        tfd.export(loaded, tmp_path / "n", inputs)
    function = loaded.signatures["serving_default"]
    del loaded
    with pytest.raises(tfd.ExportError, match=r"keep what tf.saved_model.load returned"):
        tfd.export(function, tmp_path / "n", inputs)
    assert not (tmp_path / "n").exists()


def test_a_model_that_is_gone(tmp_path: Path) -> None:
    module = tf.Module()
    module.w = tf.Variable(2.0)
    call = tf.function(lambda x: {"y": x * module.w}, [tf.TensorSpec([None, 2], name="x")])
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=call)
    with pytest.raises(tfd.ExportError, match="variables of the model are gone: keep what"):
        tfd.export(
            tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"],
            tmp_path / "n",
            {"x": SPEC},
        )


#: Forks for each call, as TensorFlow takes seconds to import, and prints how each ended.
KILLED = """
import os, signal, sys
import tensorflow as tf, tfdecode as tfd
from tfdecode.saved_models import session
session.ServingSession.__init__ = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
folder, *calls = sys.argv[1:]
spec = tfd.ArraySpec((2,), "float32")
for out, call in zip(calls[::2], calls[1::2]):
    child = os.fork()
    if not child:
        try:
            exec(call)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
CALLS = {
    "export": "tfd.export(lambda x: x, out, {'x': spec})",
    "wrap": "tfd.wrap(folder + '/theirs', out, {'x': spec})",
    "convert": "tfd.convert(folder + '/ck/model-7', out, {'x': ('x:0', spec), 'word': 'word:0'}, "
    "{'y': 'y:0'}, assets=folder)",
}


@pytest.mark.skipif(sys.platform == "win32", reason="leftovers of killed exports stay")
def test_who_is_killed_in_the_self_test_leaves_no_version(folder: Path, tmp_path: Path) -> None:
    for name in CALLS:
        shutil.copytree(folder / "versions", tmp_path / name)
    calls = [word for name, call in CALLS.items() for word in (str(tmp_path / name), call)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(folder), *calls]
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert ended.stdout.split() == [str(-signal.SIGKILL)] * len(CALLS)
    before = {path.relative_to(folder / "versions") for path in (folder / "versions").rglob("*")}
    for name in CALLS:
        left = list((tmp_path / name).glob(".tfdecode-*"))
        assert len(left) == 1
        after = {path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*")}
        assert {path for path in after if not path.parts[0].startswith(".tfdecode-")} == before
    path = tfd.wrap(folder / "theirs", tmp_path / "export", {"x": SPEC})
    assert path.name == "2"
    assert sorted(one.name for one in path.parent.iterdir()) == ["1", "2"]  # it has tidied up
