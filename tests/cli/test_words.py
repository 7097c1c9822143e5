"""Messages on the command line name its options, not the arguments of Python."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import sys
import warnings
from pathlib import Path

import pytest

import tfdecode as tfd
from tfdecode.cli import COMMANDS, main, words
from tfdecode.errors import ExportError

PACKAGE = Path(tfd.__file__).parent


def options(command: str) -> set[str]:
    module = importlib.import_module(f"tfdecode.cli.{command.replace('-', '_')}")
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return set(re.findall("--[a-z-]+", parser.format_usage()))


def texts() -> str:
    """All texts of the library, with ``'x'`` for what is put into them."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        if "cli" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (x.value if isinstance(x, ast.Constant) else "'x'" for x in node.values)
                found.append("".join(map(str, parts)).replace("''x''", "'x'"))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_each_rule_is_for_an_option_and_a_message_that_there_are() -> None:
    known, library = set().union(*map(options, COMMANDS)), texts()
    for option, python, _ in words.RULES:
        assert option in known, option
        assert re.search(python, library, re.MULTILINE) or "|out)puts=" in python, python
    assert all(re.search(python, library) for python, _ in words.OTHERS)


@pytest.mark.parametrize(
    ("command", "text", "said"),
    [
        ("wrap", "pass independent_rows=False", "pass --unequal-rows"),
        ("wrap", "on_invalid='mask' answers", "--mask answers"),
        ("wrap", "give it an ArraySpec in inputs=", "give it --input NAME=SPEC"),
        ("wrap", "pass another signature=", "pass another --signature"),
        (
            "wrap",
            "pass ragged={'x': 'ragged'} (a tf.RaggedTensor) or {'x': 'padded'} (the array), or "
            "max_batch_size=1 for one",
            "pass --padded x (the array), or --max-rows 1 for one",
        ),
        ("convert", "a value, constants={'k:0': 1.0}", "a value, --constant k:0=1.0"),
        ("convert", "or cast={'x': 'int8'} for", "or --cast x for"),
        ("predict", "or cast={'x': 'int8'} for", "or in Python cast={'x': 'int8'} for"),
        ("convert", "pass safe_mode=False", "pass --no-safe-mode"),
        ("predict", "raise max_body_bytes", "raise --max-body-bytes"),
        ("predict", "(HTTP 404); pass schema=", "(HTTP 404); pass --schema FILE"),
        ("check", "on_invalid='mask'", "on_invalid='mask'"),
        ("pack", "in Python tfdecode.load(path)", "in Python tfdecode.load(path)"),
        ("predict", "by tfdecode.Schema({})", "by in Python tfdecode.Schema({})"),
    ],
)  # fmt: skip
def test_what_a_command_says(command: str, text: str, said: str) -> None:
    assert words.in_options(text, options(command)) == said


def test_errors_and_warnings_of_a_command_are_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> int:
        text = warnings.formatwarning("on_invalid='mask' answers", UserWarning, "f.py", 1)
        print(text, end="", file=sys.stderr)
        raise ExportError("pass independent_rows=False")

    monkeypatch.setattr("tfdecode.cli.wrap.run", fail)
    before = warnings.formatwarning
    assert main(["wrap", "a", "b", "--input", "x=raw"]) == 1
    assert capsys.readouterr().err == ("note: --mask answers\ntfdecode wrap: pass --unequal-rows\n")
    assert warnings.formatwarning is before
