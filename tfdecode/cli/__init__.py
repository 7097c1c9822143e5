"""The command line: ``python -m tfdecode`` and the console script ``tfdecode``, one file a command.

A command is a module here with ``add_arguments(parser)``, ``run(arguments) -> int``, a docstring
(its description) and ``EXAMPLES``. It is imported when it is asked for, so that ``pack`` never
waits for the imports of ``predict``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import OPTIONS, SkippedWarning, TfdecodeError, meant
from .failure import UsageError, complain, note, noted, reason
from .parsing import Parser, Version

COMMANDS = {
    "pack": "pack array files into payloads",
    "unpack": "unpack payloads into .npy files",
    "inspect": "describe array files, payloads, specs and models, and plot arrays",
    "verify": "compare a data set with its manifest, and decode examples of it",
    "bench": "measure on your files how small chains are and how fast they decode",
    "schema": "print what a model takes, of a directory or a server",
    "request": "print the body of a request to a server",
    "predict": "run a model on arrays and files, in this process or on a server",
    "wrap": "add byte inputs to a SavedModel, without its source",
    "check": "tell whether a stock TensorFlow Serving can run a SavedModel",
    "convert": "make a SavedModel of a checkpoint, a frozen graph or a Keras file",
    "serve-config": "write the configuration of TensorFlow Serving for models",
}

# What a shell reports of a process that a signal ended: 128 and the number of SIGINT or SIGPIPE.
INTERRUPTED, PIPE_CLOSED = 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    0: done; 1: the work failed, one line on stderr says why; 2: the command line is wrong
    or empty; 130: interrupted; 141: the reader of the output has gone.
    """
    given = shape_as_one(sys.argv[1:] if argv is None else argv)
    command = given[0] if given and given[0] in COMMANDS else None
    shown = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"{noted(str(message))}\n"
    try:
        status = run(command, given[1:]) if command else overview(given)
        if sys.stdout is not None:  # a shell can start us without one
            sys.stdout.flush()  # here, where a closed pipe or a full disk can still be reported
        return status
    except SystemExit as stop:  # argparse: --help, --version or a usage error
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt as stop:
        complain(command, f"interrupted {stop}".rstrip())
        return INTERRUPTED
    except BrokenPipeError:
        silence_stdout()
        return PIPE_CLOSED
    except (TfdecodeError, OSError, MemoryError) as error:
        complain(command, reason(error))
        return 1
    finally:
        warnings.formatwarning = shown
        OPTIONS.clear()


def shape_as_one(argv: Sequence[str]) -> list[str]:
    """The arguments; ``--shape -1,4`` as one, because argparse takes -1,4 for an option."""
    given: list[str] = []
    for argument in argv:
        if given and given[-1] == "--shape" and argument.startswith("-1"):
            given[-1] += f"={argument}"
        else:
            given.append(argument)
    return given


def run(command: str, given: Sequence[str]) -> int:
    """Run one command; SystemExit as argparse raises it."""
    module = importlib.import_module(f"{__name__}.{command.replace('-', '_')}")
    parser = Parser(
        prog=f"tfdecode {command}",
        description=module.__doc__,
        epilog=module.EXAMPLES,
    )
    module.add_arguments(parser)
    OPTIONS.update(re.findall("--[a-z-]+", parser.format_usage()))
    if any("\0" in argument for argument in given):  # no shell passes one, but a caller of main
        parser.error("an argument has a null character")
    try:
        # Files and options in any order. Not with "--", which argparse loses in that mode.
        parse = parser.parse_args if "--" in given else parser.parse_intermixed_args
        with skipped_once():
            status: int = module.run(parse(given))
    except UsageError as error:
        parser.error(str(error))
    return status


@contextlib.contextmanager
def skipped_once() -> Iterator[None]:
    """Tell what was left out of files: of many files for the first, and their number."""
    files: dict[str, set[str]] = {}
    module: Any = warnings
    with warnings.catch_warnings():
        show = module.showwarning

        def shown(message: Warning | str, *where: Any) -> None:
            if not isinstance(message, SkippedWarning):
                show(message, *where)
                return
            file, _, what = str(message).partition(": ")
            if what not in files:
                note(str(message))
            files.setdefault(what, set()).add(file)

        module.showwarning = shown
        yield
    for what, names in files.items():
        if len(names) > 1:
            note(f"{len(names)} files: {what}")


def overview(given: Sequence[str]) -> int:
    """Help, the version or an error, for a command line without a known command."""
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:{width}}  {what}" for name, what in COMMANDS.items())
    parser = Parser(
        prog="tfdecode",
        description="Send arrays to TensorFlow models as byte strings that the graph decodes.",
        epilog=f"commands:\n{listed}\n\ntfdecode COMMAND --help shows options and examples",
    )
    parser.add_argument("--version", action=Version, nargs=0, help="show the version and exit")
    parser.add_argument("command", type=known, metavar="COMMAND", help="see below")
    if not given:
        parser.print_help(sys.stderr)
        return 2
    parser.parse_known_args(given)
    parser.error("put the command before its options")


def known(text: str) -> str:
    """The type of the command."""
    if text not in COMMANDS:
        raise argparse.ArgumentTypeError(f"there is no {text!r}{meant(text, COMMANDS)}")
    return text


def silence_stdout() -> None:
    """Send what is still buffered to os.devnull, so that the interpreter exits silently."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
