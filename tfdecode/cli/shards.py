"""``pack --tfrecord OUT --shards N``: the shards of a data set, on several cores, resumed."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from .. import bulk, reading
from ..bulk.manifest import Manifest, manifest_path, schema_path
from ..bulk.plans import Source
from ..bulk.record import Value
from ..bulk.shard import Failure
from ..errors import FileError
from ..schema import Schema
from ..spec import ArraySpec
from .batch import print_failures
from .choosing import Group, spec_of
from .failure import note, one_line
from .inputs import Input
from .show import dimensions, ratio, say
from .tfrecord import NAME, given_name, inputs_of, keys_of, name_in, of_array, parts_of
from .write import refuse_overwriting

#: Bytes of the table of ``--features``.
MAX_TABLE = 2**30


def pack_shards(
    arguments: argparse.Namespace,
    files: Sequence[Input],
    spec: ArraySpec | None,
    protected: Sequence[Path],
) -> int:
    """Pack all files into shards, print the report, return the exit status."""
    out: Path = arguments.tfrecord
    refuse_overwriting(protected, [manifest_path(out), schema_path(out)])
    features = table(Path(arguments.features), files) if arguments.features else None
    name = given_name(arguments)
    keys = keys_of(files, arguments) if spec is None and name is None else None
    schema: Schema | ArraySpec
    if keys is not None:
        sources: Iterable[Source] = [{key: (one.path, key) for key in keys} for one in files]
        schema = schema_of(keys, files, arguments)
    else:
        sources = ((one.path, one.key) for one in files)
        schema = spec or shared_spec(files, arguments)
        name = name or name_in(files[0].path, files[0].key, arguments)
    plan = bulk.plan(
        sources,
        out,
        schema,
        shards=arguments.shards,
        seed=arguments.seed,
        features=features,
        name=name or NAME,
        casting=arguments.casting,
        max_bytes=arguments.max_bytes,
        missing=arguments.missing,
    )
    manifest, done = written(plan, arguments.workers or 1)
    new = [one for one in done if not one["kept"]]
    kept = manifest["examples"] - sum(one["examples"] for one in new)
    failures = [reason_of(one) for one in manifest["failures"]]
    if arguments.json:
        say(json.dumps(manifest, indent=2))
    else:
        before, after = manifest["array_bytes"], manifest["bytes"]
        say(
            one_line(
                f"{out}: {manifest['examples']:,} examples in {len(plan):,} shards, of "
                f"{inputs_of(plan.schema)}, {before:,} -> {after:,} bytes "
                f"({ratio(before, after)})" + (f"; {kept:,} were there already" if kept else "")
            )
        )
    if failures and not done:
        again = f"to try them, remove {manifest_path(out)}"
        note(f"the data set is complete, so these were not tried again; {again}")
    print_failures("pack", failures, arguments.all)
    return 1 if failures else 0


def reason_of(failure: Failure) -> str:
    """The reason of a failure, with the file before it if it does not name it."""
    file, error = failure["file"], failure["error"]
    return error if error.startswith(file.partition("#")[0]) else f"{file}: {error}"


def written(plan: bulk.Plan, workers: int) -> tuple[Manifest, list[bulk.Facts]]:
    """Run the plan; a terminal shows how far it is."""
    from rich.console import Console
    from rich.progress import Progress

    done: list[bulk.Facts] = []
    console = Console(stderr=True)
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("tfdecode pack", total=plan.examples)

            def progress(facts: bulk.Facts) -> None:
                done.append(facts)
                failed = sum(len(one["failures"]) for one in done)
                text = f"tfdecode pack: shard {len(done):,} of {len(plan):,}, {failed:,} failed"
                advance = facts["examples"] + len(facts["failures"])
                bar.update(task, advance=advance, description=text)

            return bulk.run(plan, workers, progress), done
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"after {len(done):,} of {len(plan):,} shards; the same command goes on from there"
        ) from None


def schema_of(keys: Sequence[str], files: Sequence[Input], arguments: argparse.Namespace) -> Schema:
    """The schema of files that hold several arrays, each of them an input."""
    specs = {}
    for part in parts_of(keys, files, arguments):
        assert part.name is not None
        with of_array(part.name):
            specs[part.name] = shared_spec(part.files, arguments)
    return Schema(specs)


def shared_spec(files: Sequence[Input], arguments: argparse.Namespace) -> ArraySpec:
    """The spec for all files, by some at even distances: the form that most of these have."""
    arrays = Group(files, arguments).samples()
    if not arrays:
        raise FileError("none of the files that were tried can be read; pass --spec")
    if arguments.max_shape is None:
        forms = Counter((array.dtype.name, array.shape) for array in arrays)
        ((dtype, shape), count), *_ = forms.most_common(1)
        if count < len(arrays):
            note(f"{count} of {len(arrays)} files that were tried are {dtype} {dimensions(shape)}")
        arrays = [array for array in arrays if (array.dtype.name, array.shape) == (dtype, shape)]
    return spec_of(arrays, arguments)


def table(path: Path, files: Sequence[Input]) -> Mapping[str, Mapping[str, Value]]:
    """The features of each file: a row of a CSV, whose first column is the name of the file.

    A column of whole numbers is int64, of numbers float32, any other is of strings. FileError if a
    file has no row or two, unless they are of one path.
    """
    text = reading.read(path, MAX_TABLE, "it is not a table of features").decode("utf-8-sig")
    header, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    if len(header) < 2:
        raise FileError(f"{path}: needs a header, with the file's name and at least one feature")
    wrong = next((n for n, row in enumerate(rows, 2) if row and len(row) != len(header)), None)
    if wrong is not None:
        raise FileError(f"{path}: line {wrong} has another number of cells than the header")
    rows = [row for row in rows if row]
    kinds = [kind([row[column] for row in rows]) for column in range(len(header))]
    named: dict[str, dict[str, Value]] = {}
    for row in rows:
        if row[0] in named:
            raise FileError(f"{path}: has two rows for {row[0]}")
        cells = zip(header[1:], kinds[1:], row[1:], strict=True)
        named[row[0]] = {feature: of(cell) for feature, of, cell in cells}
    found: dict[str, Mapping[str, Value]] = {}
    for one in files:
        full = str(one.path) if one.key is None else f"{one.path}#{one.key}"
        known = [name for name in names_of(one) if name in named]
        if not known:
            raise FileError(f"{path}: has no row for {full}; the first column has file names")
        found[full] = named[known[0]]
    return found


def names_of(one: Input) -> Iterator[str]:
    """What a table may call a file: its path, the end of that, without suffix too."""
    yield str(one.path)
    for start in range(1, len(one.path.parts)):
        yield str(Path(*one.path.parts[start:]))
    yield one.path.stem


def kind(cells: Sequence[str]) -> type[int] | type[float] | type[str]:
    """The type that all cells of a column have."""
    for of in (int, float):
        try:
            for cell in cells:
                of(cell)
            return of
        except ValueError:
            continue
    return str
