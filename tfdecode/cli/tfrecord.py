"""``pack --tfrecord``: files to a data set that tf.data decodes as the served graph does."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from .. import bulk
from ..bulk.manifest import Manifest, leftovers, manifest_path, schema_path
from ..bulk.plans import Source
from ..bulk.shard import Failure
from ..bulk.spark import session
from ..codecs.chain_text import brief
from ..dataset import FILE
from ..errors import SpecError, TfdecodeError
from ..files import listing
from ..formats.contents import Entry
from ..names import bytes_key, check_name
from ..schema import Schema
from ..sources import Remote, place
from ..spec import ArraySpec
from .batch import print_failures
from .choosing import SAMPLES, of_array, shared_spec
from .failure import UsageError, note, one_line
from .inputs import Input, Spool, sampled
from .show import dimensions, doing, ratio, say, spent
from .source import listing_of, read_specs, reading_of, split_fragment
from .write import identity_of, refuse_overwriting

if TYPE_CHECKING:
    from rich.progress import Progress

#: The default name of the input.
NAME = "array"


def pack_examples(
    arguments: argparse.Namespace,
    inputs: Iterable[Input],
    spec: ArraySpec | None,
    origin: Sequence[Path],
) -> int:
    """Pack all files into ``--tfrecord``, print the report, return the exit status."""
    out: Path | Remote = arguments.tfrecord
    single = arguments.shards is None and arguments.workers is None and arguments.spark is None
    paired = None
    schema: Schema | ArraySpec
    if arguments.input:
        from .paired import Paired

        sources: Iterable[Source] = (paired := Paired(arguments))
        files = paired.files
        name, schema = None, paired.schema()
    else:
        name = given_name(arguments)
        spool = Spool((str(one.path), one.key) for one in inputs)
        sources, files = spool, (path for path, _ in spool)
        sample = [Input.at(path, key) for path, key in sampled(spool, SAMPLES)]
        keys = keys_of(sample, arguments) if spec is None and name is None else None
        if keys is not None:
            sources = ({key: (path, key) for key in keys} for path, _ in spool)
            schema = schema_of(keys, sample, arguments)
        else:
            schema = spec or shared_spec(sample, arguments)
            name = name or name_in(sample, arguments)
    check_outputs(files, origin, [*([out] if single else []), manifest_path(out), schema_path(out)])
    plan = bulk.plan(
        sources,
        out,
        schema,
        shards=arguments.shards,
        least=arguments.workers or 1,
        single=single,
        seed=arguments.seed,
        features=bulk.read_features(arguments.features) if arguments.features else None,
        split_axis=arguments.split_axis,
        name=name or NAME,
        **reading_of(arguments),
    )
    if paired is not None:
        paired.note_missing()
    doing("packing")
    manifest, done = written_of(plan, arguments)
    if took := spent():
        note(took)
    report(arguments, plan, manifest, done)
    if left := leftovers(place(out), [one["shard"] for one in manifest["shards"]]):
        note(
            f"{len(left)} shard{'s' * (len(left) > 1)} of an earlier run with another --shards "
            f"{'are' if len(left) > 1 else 'is'} next to it, the first is {left[0]}: delete what "
            "readers should not find"
        )
    return 1 if manifest["failures"] else 0


def check_outputs(
    files: Iterable[str], origin: Sequence[Path], written: Sequence[Path | Remote]
) -> None:
    """UsageError if an output is also an input."""
    local = [path for path in written if isinstance(path, Path)]
    refuse_overwriting(origin, local)
    existing = {identity for path in local if (identity := identity_of(path))}
    if existing:  # else there is no need to look at millions of files
        same = [path for path in map(Path, files) if identity_of(path) in existing]
        refuse_overwriting(same, local)


def report(
    arguments: argparse.Namespace, plan: bulk.Plan, manifest: Manifest, done: Sequence[bulk.Facts]
) -> None:
    """Print what is in the data set, and what is not."""
    if arguments.json:
        say(json.dumps(manifest, indent=2))
    else:
        new = sum(one["examples"] for one in done if not one["kept"])
        count, before, after = (manifest[k] for k in ("examples", "array_bytes", "bytes"))
        shards = "" if plan.single else f" in {len(plan):,} shard{'s' * (len(plan) > 1)},"
        kept = f"; {count - new:,} were there already" if new < count else ""
        say(
            one_line(
                f"{plan.out}: {count:,} example{'s' * (count > 1)}{shards} of "
                f"{inputs_of(plan.schema)}, {before:,} -> {after:,} bytes "
                f"({ratio(before, after)}){kept}"
            )
        )
    failures = [reason_of(one) for one in manifest["failures"]]
    if failures and not done:
        again = f"to try them, remove {manifest_path(plan.out)}"
        note(f"the data set is complete, so these were not tried again; {again}")
    print_failures("pack", failures, arguments.all)


def reason_of(failure: Failure) -> str:
    """The reason of a failure, with the file before it if it does not name it."""
    file, error = failure["file"], failure["error"]
    return error if error.startswith(file.partition("#")[0]) else f"{file}: {error}"


def inputs_of(schema: Schema) -> str:
    """Each input of a schema, and its spec."""
    return "; ".join(
        f"{bytes_key(name)}, {spec.dtype} {dimensions(spec.shape)} by {brief(spec.chain.text)}"
        for name, spec in schema.items()
    )


def written_of(plan: bulk.Plan, arguments: argparse.Namespace) -> tuple[Manifest, list[bulk.Facts]]:
    """Run the plan; a terminal shows how far it is."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    done: list[bulk.Facts] = []
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    spark = arguments.spark
    on = "nothing was written" if plan.single else "the same command goes on from there"
    try:
        with (
            shown,
            session(spark) if spark else nullcontext(arguments.workers or 1) as workers,
        ):
            progress, each = bars(shown, plan, done)
            return bulk.run(plan, workers, progress, each if console.is_terminal else None), done
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"after {len(done):,} of {len(plan):,} shard{'s' * (len(plan) > 1)}; {on}"
        ) from None


def bars(
    shown: Progress, plan: bulk.Plan, done: list[bulk.Facts]
) -> tuple[Callable[[bulk.Facts], None], Callable[[Failure | None], None]]:
    """What to call after each shard, which is added to ``done``, and after each file."""
    from rich.filesize import decimal

    task = shown.add_task("tfdecode pack", total=plan.examples)
    total: Counter[str] = Counter()  # of all shards that are done
    current: Counter[str] = Counter()  # of the one that this process writes

    def show() -> None:
        failed = total["failed"] + current["failed"]
        shards = "" if plan.single else f"shard {len(done):,} of {len(plan):,}, "
        text = f"tfdecode pack: {shards}{decimal(total['bytes'])}, {failed:,} failed"
        shown.update(task, description=text, completed=total["files"] + current["files"])

    def progress(facts: bulk.Facts) -> None:
        done.append(facts)
        current.clear()
        failed = len(facts["failures"])
        total.update(files=facts["examples"] + failed, failed=failed, bytes=facts["bytes"])
        show()

    def each(failure: Failure | None) -> None:
        current.update(files=1, failed=failure is not None)
        show()

    return progress, each


# -- which arrays, and how they are packed ---------------------------------------------------------


def schema_of(
    keys: Sequence[str], sample: Sequence[Input], arguments: argparse.Namespace
) -> Schema:
    """The schema of files that hold several arrays, each of them an input."""
    if FILE in keys:
        raise SpecError(f'array "{FILE}" has the name of the feature of the file names')
    specs = {}
    for key in keys:
        check_name(key)
        with of_array(key):
            specs[key] = shared_spec([one._replace(key=key) for one in sample], arguments)
    return Schema(specs)


def keys_of(sample: Sequence[Input], arguments: argparse.Namespace) -> list[str] | None:
    """The keys that most files have; None unless there are several to be chosen."""
    if any(one.key is not None for one in sample):
        return None
    found = Counter(
        tuple(dict.fromkeys(entry.key for entry in entries))
        for entries in entries_of(sample, arguments)
    )
    if not found:
        return None
    ((keys, count),) = found.most_common(1)
    if count < found.total():
        note(
            f"{count} of {found.total()} files that were tried hold {', '.join(keys) or 'an array'}"
        )
    return [*keys] if len(keys) > 1 else None


def entries_of(sample: Sequence[Input], arguments: argparse.Namespace) -> Iterator[Sequence[Entry]]:
    """The arrays of each file; none of a file that cannot be read, which is reported later."""
    for one in sample:
        with contextlib.suppress(TfdecodeError, OSError):
            yield listing(one.path, **listing_of(arguments)).entries


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


def name_in(sample: Sequence[Input], arguments: argparse.Namespace) -> str:
    """The first key, given or the only one, that is a plain word; NAME if there is none."""
    keys = [one.key for one in sample if one.key is not None]
    if not keys:
        keys = [entries[0].key for entries in entries_of(sample, arguments) if entries]
    plain = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
    return next((key for key in keys if plain.fullmatch(key) and key != FILE), NAME)
