"""``pack --tfrecord``: one file of payloads, which tf.data decodes as the served graph does."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..bulk.record import example
from ..codecs.chain_text import brief
from ..dataset import FILE
from ..errors import EncodeError, SpecError
from ..extras import tensorflow as tf
from ..files import listing
from ..names import bytes_key, check_name
from ..schema import Schema
from ..spec import ArraySpec
from .batch import Report, gather, print_failures
from .choosing import Group, spec_of
from .failure import UsageError, one_line
from .inputs import Input
from .packing import read, sizes
from .quiet_import import import_quietly
from .show import dimensions, doing, ratio, say
from .source import listing_of, read_specs, spec_path, split_fragment
from .write import refuse_overwriting, write_files

#: The default name of the input.
NAME = "array"
#: Protocol buffers have at most 2 GiB, and the file name takes some of them.
MAX_PAYLOAD_BYTES = 2**31 - 2**16


def pack_examples(
    arguments: argparse.Namespace,
    files: Sequence[Input],
    spec: ArraySpec | None,
    protected: Sequence[Path],
) -> int:
    """Pack all files into ``--tfrecord``, print the report, return the exit status."""
    out: Path = arguments.tfrecord
    records = Records(arguments, files, spec, given_name(arguments))
    refuse_overwriting(protected, [out, spec_path(out)])
    import_quietly()
    with contextlib.suppress(NothingPacked):
        write_files({out: records.write, spec_path(out): records.write_schema})
    if arguments.json:
        say(json.dumps(records.reports, indent=2))
    elif records.schema is not None:
        say(one_line(records.sentence()))
    print_failures("pack", records.failures, arguments.all)
    return 1 if records.failures else 0


class NothingPacked(Exception):
    """No file could be packed, so nothing is written."""


@dataclass
class Records:
    """The examples of a run, and the spec that they share, which the form of the first one has."""

    arguments: argparse.Namespace
    files: Sequence[Input]
    spec: ArraySpec | None
    name: str | None
    #: The file whose array made the spec; None before it is packed, and with ``--spec``.
    first: Path | None = None
    schema: Schema | None = None
    reports: Sequence[Report] = ()
    failures: Sequence[str] = ()

    def write(self, file: BinaryIO) -> None:
        """Write the examples; NothingPacked if there are none."""
        compression = "GZIP" if self.arguments.tfrecord.suffix == ".gz" else ""
        try:
            with tf.io.TFRecordWriter(file.name, compression) as writer:
                self.reports, self.failures = gather(
                    "pack", [one.path for one in self.files], lambda i: self.pack(i, writer)
                )
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(f"{stop}; nothing was written") from None
        except tf.errors.OpError as error:  # "temporary name; No space left on device"
            raise OSError(error.message.rpartition("; ")[2]) from None
        if self.schema is None:
            raise NothingPacked

    def write_schema(self, file: BinaryIO) -> None:
        """Write the JSON file of the schema."""
        assert self.schema is not None
        file.write(f"{self.schema.to_json()}\n".encode())

    def pack(self, index: int, writer: Any) -> Report:
        """Pack one file; returns its report."""
        path, key, _ = self.files[index]
        array = read(path, key, None if self.first else self.spec, self.arguments)
        if self.first is not None:
            self.check_form(array)
        spec = self.spec or spec_of(self.samples(array, index), self.arguments)
        doing("packing")
        payload = spec.encode(array)
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise EncodeError(
                f"payload has {len(payload)} bytes, "
                f"a tf.train.Example can hold at most {MAX_PAYLOAD_BYTES}"
            )
        if self.schema is None:
            self.name = self.name or name_in(path, key, self.arguments)
            self.schema = Schema({self.name: spec})
            if self.spec is None:
                self.spec, self.first = spec, path
        assert self.name is not None
        feature = bytes_key(self.name)
        writer.write(example({feature: payload, FILE: os.fsencode(path)}))
        return {
            **sizes(path, key, array, spec, payload),
            "input": self.name,
            "feature": feature,
            "tfrecord": str(self.arguments.tfrecord),
            "schema": str(spec_path(self.arguments.tfrecord)),
            "fingerprint": spec.fingerprint,
        }

    def samples(self, array: np.ndarray, index: int) -> list[np.ndarray]:
        """The first array, and of the later files those that one spec can describe with it."""
        bound = self.arguments.max_shape
        later = Group(self.files[index + 1 :], self.arguments).samples()
        return [
            array,
            *(
                other
                for other in later
                if other.dtype.name == array.dtype.name
                and (other.shape == array.shape or (bound and other.ndim == array.ndim))
            ),
        ]

    def check_form(self, array: np.ndarray) -> None:
        """EncodeError if dtype or shape differ from the array that made the spec."""
        assert self.spec is not None
        if array.dtype.name != self.spec.dtype:
            raise EncodeError(
                f"array is {array.dtype.name}, but the examples so far are {self.spec.dtype} "
                f"(from {self.first}); pass --dtype to convert all"
            )
        shape = self.spec.shape
        if array.shape != shape and None not in shape:
            one_side = array.ndim == len(shape) and sum(map(int.__ne__, array.shape, shape)) == 1
            advice = "pack it into its own TFRecord"
            if one_side:
                advice = "pass --max-shape with the longest that may come"
            raise EncodeError(
                f"array has shape {dimensions(array.shape)}, but the examples so far have "
                f"{dimensions(shape)} (from {self.first}); choose another array with --key, or "
                f"{advice}"
            )

    def sentence(self) -> str:
        """All examples in a line."""
        assert self.spec is not None and self.name is not None
        good = [report for report in self.reports if "error" not in report]
        before = sum(report["array_bytes"] for report in good)
        after = sum(report["payload_bytes"] for report in good)
        return (
            f"{self.arguments.tfrecord}: {len(good)} example{'' if len(good) == 1 else 's'} of "
            f"{bytes_key(self.name)}, {self.spec.dtype} {dimensions(self.spec.shape)} by "
            f"{brief(self.spec.chain.text)}, {before:,} -> {after:,} bytes ({ratio(before, after)})"
        )


def given_name(arguments: argparse.Namespace) -> str | None:
    """The name of the input, from ``--name`` or ``--spec``; UsageError if it is not allowed."""
    option = "spec" if arguments.name is None else "name"
    name: str | None = arguments.name
    if name is None and arguments.spec is not None:
        name = input_of(arguments.spec)
    try:
        check_name(NAME if name is None else name)
    except SpecError as error:
        raise UsageError(f"argument --{option}: {error}") from None
    if name == FILE:
        raise UsageError(
            f'argument --{option}: "{FILE}" is the feature of the file names; '
            "choose another input name with --name"
        )
    return name


def input_of(source: str) -> str | None:
    """The name of the input that ``--spec`` chooses, if it is one of a schema."""
    path, name = split_fragment(source)
    if name is None:
        found = Schema.load(path) if path.is_dir() else read_specs(path)
        name = next(iter(found)) if isinstance(found, Schema) else None
    return name


def name_in(path: Path, key: str | None, arguments: argparse.Namespace) -> str:
    """The key of the array, given or the only one, or NAME if that is not a plain word."""
    found = key
    if found is None:
        found = listing(path, **listing_of(arguments)).entries[0].key
    plain = found is not None and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", found)
    return NAME if not plain or found == FILE else str(found)
