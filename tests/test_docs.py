"""README and docs: blocks run, links resolve, tables say what the code says.

The blocks of a document run in its order, in one namespace and in one directory with the files that
they name: ``pose.pkl``, ``segment.mat``, ``pose.keras``, ``theirs``, ``models/pose``, and those in
``tests/fixtures/files``.
"""

from __future__ import annotations

import doctest
import json
import os
import pickle
import re
import shlex
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import redirect_stdout
from glob import glob
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tfdecode as tfd
from benchmarks import plots, report
from tfdecode import bulk, client, serving
from tfdecode.cli import COMMANDS, main
from tfdecode.codecs import Codec, Container
from tfdecode.codecs.registry import CODECS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: These are only looked through for links.
OTHERS = [path for path in sorted(ROOT.glob("*.md")) if path not in DOCUMENTS]
#: What a line prints, as the comment after it says; ``...`` is anything.
PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


class Block(NamedTuple):
    """A fenced block: its language, its first line in the document, its text, a library."""

    language: str
    line: int
    text: str
    needs: str


def blocks(document: Path) -> Iterator[Block]:
    text = document.read_text()
    for found in re.finditer(r"^```(.*)\n((?:.*\n)*?)```$", text, re.MULTILINE):
        line = text[: found.start(2)].count("\n") + 1
        language, _, rest = found[1].partition(" ")
        yield Block(language, line, found[2], rest.removeprefix("needs="))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that every document starts with."""
    import keras
    from scipy.io import savemat

    sys.path.insert(0, str(ROOT / "examples"))
    try:
        import render
    finally:
        sys.path.pop(0)
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "tests" / "fixtures" / "files", folder / "tests" / "fixtures" / "files")
    labels = render.segment_map()
    (folder / "pose.pkl").write_bytes(pickle.dumps(render.pose_map(), 4))
    savemat(folder / "segment.mat", {"labels": labels}, do_compression=True)
    for person in range(4):
        savemat(folder / f"labels-{person}.mat", {"labels": render.segment_map(person)})
    picture = tfd.ArraySpec((256, 192, 3), "uint8", "png:interleaved,describe=false")
    (folder / "sample.png").write_bytes(picture.encode(render.picture()))

    pose = keras.Input((256, 192, 18), name="pose_map", dtype="float32")
    segment = keras.Input((256, 192), name="segment_map", dtype="float64")
    score = keras.layers.GlobalAveragePooling2D()(pose)
    mask = keras.layers.Rescaling(0.5)(segment)
    model = keras.Model([pose, segment], {"score": score, "mask": mask})
    model.save(folder / "pose.keras")
    model.save(folder / "pose.h5")
    model.export(folder / "theirs", verbose=False)
    photo = keras.Input((256, 192, 3), name="prod_image", dtype="float32")
    shop = keras.Model(photo, keras.layers.GlobalAveragePooling2D()(photo))
    shop.export(folder / "shop", verbose=False)
    specs = {
        "pose_map": tfd.ArraySpec((256, 192, 18), "float32", codecs="astype:int8|zlib_bounded"),
        "segment_map": tfd.ArraySpec((256, 192), "float64", "astype:uint8|zlib_bounded or zlib"),
    }
    tfd.export(model, folder / "models" / "pose", inputs=specs)
    write_graphs(folder / "model.ckpt")
    return folder


def write_graphs(prefix: Path) -> None:
    """A checkpoint of TensorFlow 1, with its ``.meta``, and the same graph frozen."""
    import tensorflow.compat.v1 as tf

    with tf.Graph().as_default(), tf.Session() as session:
        pose = tf.placeholder(tf.float32, [None, 256, 192, 18], name="pose")
        keep = tf.placeholder(tf.float32, [], name="keep_prob")
        weight = tf.get_variable("weight", initializer=tf.ones([18]))
        loss = tf.reduce_mean(tf.reduce_mean(pose, [1, 2]) * weight / keep, 1, name="score")
        tf.train.AdamOptimizer().minimize(loss)
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(prefix), global_step=7)
        graph = session.graph.as_graph_def()
        frozen = tf.graph_util.convert_variables_to_constants(session, graph, ["score"])
        for name in ("frozen.pb", "frozen.pbtxt"):
            tf.io.write_graph(frozen, str(prefix.parent), name, name.endswith(".pbtxt"))


@pytest.fixture
def folder(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of ``files`` that is the working directory."""
    shutil.copytree(files, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def run_python(document: Path, block: Block, names: dict[str, Any]) -> None:
    where = str(document.relative_to(ROOT))
    if block.text.startswith(">>> "):
        test = doctest.DocTestParser().get_doctest(block.text, names, where, where, block.line - 1)
        said: list[str] = []
        doctest.DocTestRunner(verbose=False).run(test, out=said.append, clear_globs=False)
        assert not said, "".join(said)
        names.update(test.globs)
        return
    code = compile("\n" * (block.line - 1) + block.text, str(document), "exec")
    with redirect_stdout(StringIO()) as said_there:
        exec(code, names)
    printed = iter(said_there.getvalue().splitlines())
    for expected in PRINTED.findall(block.text):
        pattern = ".*".join(map(re.escape, expected.split("...")))
        assert any(re.fullmatch(pattern, line) for line in printed), f"{where}: {expected}"


def run_commands(document: Path, block: Block) -> None:
    for line in block.text.replace("\\\n", "").splitlines():
        program, *words = shlex.split(line)
        where = f"{document.name}: {line!r}"
        assert program == "tfdecode", f"{where} is not run: mark the block as text"
        arguments = [name for word in words for name in sorted(glob(word)) or [word]]
        assert main(arguments) == 0, where


@each_document
def test_its_blocks_run_in_order(document: Path, folder: Path) -> None:
    names: dict[str, Any] = {"__name__": "__docs__"}
    for block in blocks(document):
        match block.language:
            case "python":
                if not block.needs or find_spec(block.needs):  # a library that CI lacks
                    run_python(document, block, names)
            case "sh":
                run_commands(document, block)
            case "json":
                json.loads(block.text)
            case language:
                assert language == "text", f"{document.name}:{block.line}: what is {language!r}?"


def test_every_fence_is_a_block() -> None:
    for document in DOCUMENTS:
        fences = re.findall(r"^\s*(?:```|~~~)", document.read_text(), re.MULTILINE)
        assert len(fences) == 2 * len(list(blocks(document))), document


def anchors(document: Path) -> set[str]:
    """What GitHub calls the headings."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    found = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.strip().lower())
        found.add(plain.replace(" ", "-"))
    return found


@pytest.mark.parametrize("document", [*DOCUMENTS, *OTHERS], ids=lambda p: str(p.relative_to(ROOT)))
def test_its_links_resolve(document: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_document_is_in_the_index() -> None:
    index = {link.partition("#")[0] for link in LINK.findall((ROOT / "README.md").read_text())}
    assert index >= {f"docs/{path.name}" for path in DOCUMENTS if path.parent.name == "docs"}


def test_the_design_lists_what_is_public() -> None:
    listed = set(re.findall(r"[\w-]+", (ROOT / "docs" / "design.md").read_text()))
    public = (name for module in (tfd, bulk, client, serving) for name in module.__all__)
    assert not {*public, *COMMANDS} - listed


def test_readme_is_one_screen() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 95


# -- figures --------------------------------------------------------------------------------------


def description(png: bytes) -> str:
    """The text of a PNG's metadata."""
    offset = 8
    while offset < len(png):
        size, kind = struct.unpack_from(">I4s", png, offset)
        data = png[offset + 8 : offset + 8 + size]
        if kind == b"iTXt" and data.startswith(b"Description\0"):
            return data.rpartition(b"\0")[2].decode()
        if kind in (b"tEXt", b"zTXt") and data.startswith(b"Description\0"):
            text = data.partition(b"\0")[2]
            return (text if kind == b"tEXt" else zlib.decompress(text[1:])).decode("latin-1")
        offset += 12 + size
    raise AssertionError("no Description")


def test_the_picture_of_a_request_has_the_figures_that_the_benchmark_printed() -> None:
    caption = plots.request_caption(plots.request_figures(report.RESULTS.read_text()))
    advice = "draw it anew: python -m benchmarks.plots; and change the text in README"
    assert description(plots.REQUEST_PICTURE.read_bytes()) == caption, advice
    assert f"![One request: {caption}](docs/request.png)" in (ROOT / "README.md").read_text(), (
        advice
    )


# -- docs/codecs.md -------------------------------------------------------------------------------


CODEC_TEXT = (ROOT / "docs" / "codecs.md").read_text()
#: A chain of each codec, and a dtype that it takes.
EXAMPLES = {
    "transpose": ("transpose:1,0", "float32"), "astype": ("astype:int8", "float32"),
    "fixed_point": ("fixed_point:10,dtype=int32", "float32"), "delta": ("delta:0", "uint16"),
    "packbits": ("packbits", "bool"), "npz": ("npz:x", "float32"), "mat": ("mat:x", "float32"),
    "safetensors": ("safetensors:x", "float32"), "png_image": ("png_image", "uint8"),
    "jpeg": ("jpeg", "uint8"),
}  # fmt: skip


def codec_rows() -> dict[str, list[str]]:
    """The cells of each codec in the table, its name and what it does left out."""
    section = CODEC_TEXT.split("\n## The codecs\n")[1].split("\n## ")[0]
    found = {}
    for line in re.findall(r"^\| \[`.*$", section, re.MULTILINE):
        name, kind, _, *cells = [cell.strip() for cell in line.strip("| ").split(" |")]
        found[name.split("`")[1]] = [kind.strip("| "), *cells]
    return found


def takes_none(name: str) -> bool:
    chain, dtype = EXAMPLES.get(name, (name, "float32"))
    try:
        tfd.ArraySpec((None, 3), dtype, chain, max_shape=(5, 3))
    except tfd.SpecError:
        return False
    return True


def test_the_table_of_codecs_says_what_the_classes_say() -> None:
    rows = codec_rows()
    assert set(rows) == set(CODECS)
    for name, (kind, none, outputs, portable, bounded, cost) in rows.items():
        codec = CODECS[name]
        native = issubclass(codec, Container) and bool(codec.suffixes)
        assert kind == codec.kind
        assert (none == "yes") == takes_none(name), name
        assert (outputs == "yes") == (codec.encode_rows is not Codec.encode_rows), name
        assert (portable == "yes") == codec.portable, name
        assert (bounded == "yes") == (codec.bounded is Codec.bounded), name
        price = codec.decode_cost
        both = codec.kind == "compressor" or price.per_input
        text = f"{price.per_output:g} + {price.per_input:g}" if both else f"{price.per_output:g}"
        assert cost == ("file" if native else text), name


def test_every_codec_has_a_section_that_names_its_options() -> None:
    for name, codec in CODECS.items():
        section = CODEC_TEXT.split(f"\n### {name}\n")[1].split("\n### ")[0].split("\n## ")[0]
        assert "```python" in section, name
        for option in codec.options():
            assert re.search(rf"`{option.name}\b", section), f"{name}: {option.name}"


def test_the_help_of_every_command_in_the_guide_exists() -> None:
    guide = (ROOT / "docs" / "guide-client.md").read_text()
    done = subprocess.run([sys.executable, "-m", "tfdecode", "--help"], capture_output=True,
                          text=True, check=True, env={**os.environ, "COLUMNS": "100"})  # fmt: skip
    commands = re.findall(r"^  (\w+)  ", done.stdout.split("commands:")[1], re.MULTILINE)
    assert commands
    for command in commands:
        assert f"`{command} " in guide, command
