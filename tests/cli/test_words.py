"""Messages on the command line name its options, not the arguments of Python."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import tfdecode as tfd
from tfdecode import errors
from tfdecode.cli import COMMANDS, main
from tfdecode.errors import said

PACKAGE = Path(tfd.__file__).parent


def options(command: str) -> set[str]:
    module = importlib.import_module(f"tfdecode.cli.{command.replace('-', '_')}")
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return set(re.findall("--[a-z-]+", parser.format_usage()))


def named() -> set[str]:
    """The options that messages of the library have, from its source."""
    sources = (path.read_text() for path in PACKAGE.rglob("*.py"))
    calls = (
        node
        for source in sources
        if "said(" in source
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "said"
    )
    texts = (ast.unparse(call.args[1]) for call in calls if len(call.args) > 1)
    return {option for text in texts for option in re.findall(r"--[a-z{}-]+", text)}


def test_messages_name_options_that_there_are() -> None:
    known = set().union(*map(options, COMMANDS))
    found = {option for option in named() if "{" not in option}
    assert len(found) > 14 and found <= known


def test_a_message_has_the_words_of_the_command_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said("seal=False", "--no-seal") == "seal=False"
    assert said("; pass sample=") == "; pass sample="
    monkeypatch.setattr(errors, "OPTIONS", {"--no-seal"})
    assert said("seal=False", "--no-seal") == "--no-seal"
    assert said("rows=1", "--rows 1") == "in Python rows=1"
    assert said("; pass sample=") == ""


def test_a_name_is_never_taken_for_an_argument_of_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "seal=False max_rows pass max_shape key= codecs='raw' cast={'x'}.npy"
    np.save(name, np.eye(2))
    assert main(["pack", name, "--key", "on_invalid='mask'"]) == 1
    assert capsys.readouterr().err == (
        f"tfdecode pack: {name}: holds no array named on_invalid='mask'; it has float64 [2,2]\n"
    )


def test_the_words_are_those_of_python_again_after_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.eye(2))
    assert main(["pack", str(path), "--codec", "nope"]) == 2
    assert "register_codec" not in capsys.readouterr().err
    with pytest.raises(tfd.SpecError, match="a codec of your own is known after"):
        tfd.ArraySpec((2,), "float32", "nope")
