"""The command line itself: statuses, help, and what it does not import."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfdecode
from tfdecode import cli
from tfdecode.cli import main
from tfdecode.cli.parsing import Parser

HEAVY = {"tensorflow", "rich", "scipy", "ml_dtypes", "tfdecode.cli.predict"}


def run(*command: str, cwd: Path, **options) -> subprocess.CompletedProcess:
    """Python in a process of its own, which finds this tfdecode."""
    environment = {**os.environ, "PYTHONPATH": str(Path(tfdecode.__file__).parents[1])}
    environment |= options.pop("env", {})
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([sys.executable, *command], cwd=cwd, env=environment, **options)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_examples_of_every_command_are_valid(command: str) -> None:
    module = importlib.import_module(f"tfdecode.cli.{command.replace('-', '_')}")
    parser = Parser(command, None, "")
    module.add_arguments(parser)
    text = module.EXAMPLES.replace("\\\n", "")
    lines = re.findall(rf"tfdecode {command} (.*)", text)
    assert lines
    for line in lines:
        line = re.split(r" {3,}| [|>] ", line)[0]  # without a comment and other programs
        parser.given.clear()
        parser.parse_intermixed_args(cli.shape_as_one(shlex.split(line)))  # SystemExit if it is not


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_with_examples(command: str, capsys) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"tfdecode {command} " in text.split("examples:")[1]
    assert "--json" in text and "`" not in text


def test_the_overview_lists_every_command(capsys) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(what in text for what in cli.COMMANDS.values())


def test_a_bare_command_line_lists_the_commands_and_is_status_2(capsys) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert not out and "required" not in err
    for name, what in cli.COMMANDS.items():
        assert any(line.split(maxsplit=1) == [name, what] for line in err.splitlines())


def test_the_version(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tfdecode {tfdecode.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["pakc"], "there is no 'pakc' (did you mean 'pack'?); see tfdecode --help"),
        (["--json", "pack"], "put the command before its options"),
        (["pack", "a.npy", "--key", "a", "--key", "b"], "argument --key: given twice"),
        (["pack", "a.npy", "--workers", "0"], "'0' is not a whole number from 1 to 99999"),
        (["predict", "m", "--timeout", "nan"], "'nan' is not a number of seconds above 0"),
        (["serve-config", "m", "-o", "s", "--rest-port", "8500"], "--grpc-port are both 8500"),
        (["predict", "m", "=a.npy"], "'=a.npy' is not NAME=FILE[#KEY]"),
        (["--", "pack"], "put the command before its options"),
        (["bench", "-"], "argument FILE: standard input or output (-) is not taken here"),
        (["inspect", "-"], "argument PATH: standard input or output (-) is not taken here"),
        (["predict", "m", "-o", "-"], "standard input or output (-) is not taken here; name a"),
        (["pack", "a.npy", "--tfrecord", "-"], "argument --tfrecord: standard input or output (-)"),
        (["pack"], "required: FILE"),
        (["pack", "a.npy", "--cod", "raw"], "unrecognized arguments: --cod"),
        (["pack", "a.npy", "--\x1b[31m"], r"unrecognized arguments: --\x1b[31m"),
    ],
)
def test_a_wrong_command_line_is_status_2(argv: list[str], reason: str, capsys) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    program = "tfdecode" if argv[0] not in cli.COMMANDS else f"tfdecode {argv[0]}"
    assert not out and err.count("\n") == 1 and reason in err
    assert err.startswith(f"{program}: ") and err.endswith(f"; see {program} --help\n")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (
            KeyboardInterrupt("after 1 of 2 files"),
            130,
            "tfdecode pack: interrupted after 1 of 2 files\n",
        ),
        (BrokenPipeError(), 141, ""),
        (MemoryError("Unable to allocate"), 1, "tfdecode pack: out of memory\n"),
        (OSError(28, "No space left on device"), 1, "tfdecode pack: No space left on device\n"),
        (tfdecode.SpecError("a\nb"), 1, "tfdecode pack: a\\nb\n"),
    ],
)
def test_what_interrupts_a_command(error, status, message, monkeypatch, capsys) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "run", fail)
    monkeypatch.setattr(cli, "silence_stdout", lambda: None)
    assert main(["pack", "a.npy"]) == status
    assert capsys.readouterr() == ("", message)


def test_packing_and_unpacking_import_nothing_heavy(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.eye(3))
    script = (
        "import sys; from tfdecode.cli import main\n"
        "assert main(['pack', 'a.npy', '--dtype', 'uint8']) == 0\n"
        "assert main(['unpack', 'a.npy.tfd']) == 0\n"
        f"sys.exit(str({HEAVY} & set(sys.modules)) if {HEAVY} & set(sys.modules) else 0)"
    )
    run("-c", script, cwd=tmp_path, check=True)


def test_a_pipe_that_nobody_reads_is_no_traceback(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.eye(3))
    reader, writer = os.pipe()
    os.close(reader)
    done = run("-m", "tfdecode", "pack", "a.npy", "--json", cwd=tmp_path, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_names_that_stdout_cannot_encode_are_escaped(tmp_path: Path) -> None:
    name = "größe\udcff.npy"  # the last is a byte that is no UTF-8
    with open(tmp_path / name, "wb") as file:
        np.save(file, np.eye(3))
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    done = run("-m", "tfdecode", "pack", name, cwd=tmp_path, env=ascii_only)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(rb"gr\xf6\xdfe\udcff.npy: float64 [3,3] by ")


def test_only_a_terminal_sees_a_progress_bar(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.eye(3))
    command = ("-m", "tfdecode", "pack", "a.npy", "b.npy")
    assert run(*command, cwd=tmp_path, check=True).stderr == b""
    terminal, end = pty.openpty()
    run(*command, cwd=tmp_path, check=True, stderr=end, env={"TERM": "xterm"})
    assert b"tfdecode pack" in os.read(terminal, 100_000)
    os.close(end)
    os.close(terminal)
