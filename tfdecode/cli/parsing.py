"""argparse as the commands use it: short errors, and the types of their arguments."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ..errors import TfdecodeError
from ..reading import check_url
from .failure import one_line

Item = TypeVar("Item")
#: The largest number of a 32-bit and of a 64-bit integer, which TensorFlow takes.
INT32, INT64 = 2**31 - 1, 2**63 - 1
SUFFIXES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one line, and an option that takes one value is given once."""

    def __init__(self, prog: str, description: str | None, epilog: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,  # an abbreviation in a script breaks when an option is added
        )
        self.register("action", None, Once)
        self.given: set[str] = set()

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_line(message)}; see {self.prog} --help\n")


class Once(argparse.Action):
    """An option with a value: given twice, argparse would take the last without a word."""

    def __call__(
        self,
        parser: Any,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if option_string and self.dest in parser.given:
            raise argparse.ArgumentError(self, "given twice; it takes one value")
        parser.given.add(self.dest)
        setattr(namespace, self.dest, values)


class Version(argparse.Action):
    """``--version``, which looks the version up only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from .. import __version__

        print(f"tfdecode {__version__}")
        parser.exit()


def argument(parse: Callable[[str], Item]) -> Callable[[str], Item]:
    """``parse`` as a ``type`` of argparse, which prints the message of this error alone."""

    def parsed(text: str) -> Item:
        try:
            return parse(text)
        except TfdecodeError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


@argument
def local(text: str) -> Path:
    """The type of a file or directory of this machine."""
    check_url(text)
    return Path(text)


def whole(least: int, most: int = INT32) -> Callable[[str], int]:
    """The type of a whole number in a range."""

    def parsed(text: str) -> int:
        if not re.fullmatch("-?[0-9]{1,19}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number from {least} to {most}"
            )
        return int(text)

    return parsed


def seconds(text: str) -> float:
    """The type of a time that sockets take."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return number


def byte_count(text: str) -> int:
    """The type of a whole number of bytes, of K (1024 bytes), M or G."""
    found = re.fullmatch(r"([0-9]{1,18})([KMG]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of bytes, K, M or G")
    return int(found[1]) * SUFFIXES[found[2]]


def sides(text: str) -> tuple[int, ...]:
    """The type of a shape."""
    if not re.fullmatch(r"\[?(-1|\d{1,18})(,(-1|\d{1,18}))*,?\]?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a shape as 80,1500")
    return tuple(map(int, text.strip("[],").split(",")))


def pair(form: str) -> Callable[[str], tuple[str, str]]:
    """The type of two texts with a ``=`` between them, which ``form`` names."""

    def parsed(text: str) -> tuple[str, str]:
        name, mark, value = text.partition("=")
        if not (name and mark and value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {form}")
        return name, value

    return parsed
