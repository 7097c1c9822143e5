"""``pack --tfrecord``: one file of payloads, which tf.data decodes as the served graph does."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..bulk.record import example
from ..casts import checked_bool
from ..codecs.chain_text import brief
from ..conversion import converted
from ..dataset import FILE
from ..errors import EncodeError, FileError, SpecError, TfdecodeError, shown
from ..extras import tensorflow as tf
from ..files import listing, naming
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
    name = given_name(arguments)
    keys = keys_of(files, arguments) if spec is None and name is None else None
    records: Records = Records(arguments, files, spec, name)
    if keys is not None:
        records = Examples(arguments, files, None, None, parts=parts_of(keys, files, arguments))
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
        """Write the example of one file; returns its report."""
        path, key, _ = self.files[index]
        payload, report = self.packed(
            index, read(path, key, None if self.first else self.spec, self.arguments)
        )
        writer.write(example({report["feature"]: payload, FILE: os.fsencode(path)}))
        return report

    def packed(self, index: int, array: np.ndarray) -> tuple[bytes, Report]:
        """The payload of the array of a file, and its report."""
        path, key, _ = self.files[index]
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
        return payload, {
            **sizes(path, key, array, spec, payload),
            "input": self.name,
            "feature": bytes_key(self.name),
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
        assert self.schema is not None
        good = [report for report in self.reports if "error" not in report]
        before = sum(report["array_bytes"] for report in good)
        after = sum(report["payload_bytes"] for report in good)
        return (
            f"{self.arguments.tfrecord}: {len(good)} example{'' if len(good) == 1 else 's'} of "
            f"{inputs_of(self.schema)}, {before:,} -> {after:,} bytes ({ratio(before, after)})"
        )


@dataclass
class Examples(Records):
    """The same for files that hold several arrays: each becomes an input of its own."""

    #: The records of each array.
    parts: Sequence[Records] = ()

    def pack(self, index: int, writer: Any) -> Report:
        """Write the example of one file, with all of its arrays; returns its report."""
        path = self.files[index].path
        doing("reading")
        contents = listing(path, **listing_of(self.arguments))
        with naming(path):
            arrays = contents.read_all(max_bytes=self.arguments.max_bytes)
            wanted = [part.name for part in self.parts]
            if set(arrays) != set(wanted):
                raise FileError(
                    f"holds {', '.join(arrays)}, the first file {', '.join(map(str, wanted))}; "
                    "choose one array with --key"
                )
        features: dict[str, Any] = {FILE: os.fsencode(path)}
        reports = []
        for part in self.parts:
            assert part.name is not None
            with of_array(part.name):
                array = checked_bool(arrays[part.name])
                if self.arguments.dtype is not None:
                    array = converted(array, self.arguments.dtype, self.arguments.casting)
                features[bytes_key(part.name)], report = part.packed(index, array)
            reports.append(report)
        writer.write(example(features))
        if self.schema is None:
            self.schema = Schema({name: spec for one in self.parts for name, spec in of(one)})
        totals = {
            size: sum(one[size] for one in reports) for size in ("array_bytes", "payload_bytes")
        }
        same = {name: reports[0][name] for name in ("tfrecord", "schema")}
        return {"file": reports[0]["file"], **totals, **same, "arrays": reports}


def inputs_of(schema: Schema) -> str:
    """Each input of a schema, and its spec."""
    return "; ".join(
        f"{bytes_key(name)}, {spec.dtype} {dimensions(spec.shape)} by {brief(spec.chain.text)}"
        for name, spec in schema.items()
    )


def of(part: Records) -> list[tuple[str, ArraySpec]]:
    """The name and the spec of an array."""
    assert part.schema is not None
    return list(part.schema.items())


@contextlib.contextmanager
def of_array(name: str) -> Iterator[None]:
    """Put the name of the array before the message of an error."""
    try:
        yield
    except (EncodeError, SpecError) as error:
        raise type(error)(f"array {shown(name)}: {error}") from None


def keys_of(files: Sequence[Input], arguments: argparse.Namespace) -> list[str] | None:
    """The keys of the first file that can be read; None unless there are several to be chosen."""
    if any(one.key is not None for one in files):
        return None
    for one in files:
        try:
            entries = listing(one.path, **listing_of(arguments)).entries
        except (TfdecodeError, OSError):  # reported when its turn comes
            continue
        keys = [entry.key for entry in entries]
        return keys if len(set(keys)) > 1 else None
    return None


def parts_of(
    keys: Sequence[str], files: Sequence[Input], arguments: argparse.Namespace
) -> list[Records]:
    """The records of each array of the files; SpecError if one cannot be an input."""
    for key in keys:
        if key == FILE:
            raise SpecError(f'array "{FILE}" has the name of the feature of the file names')
        check_name(key)
    features = [bytes_key(key) for key in keys]
    for key, feature in zip(keys, features, strict=True):
        if features.count(feature) > 1:
            raise SpecError(f"array {shown(key)} and another one are both feature {feature}")
    return [Records(arguments, [one._replace(key=key) for one in files], None, key) for key in keys]


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
