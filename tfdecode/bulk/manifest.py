"""The end of a data set: its schema and, last, the manifest, which says that it is whole."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

from .. import reading
from ..dataset import MAX_MANIFEST
from ..errors import FileError
from ..sources import Remote, place, size_of
from ..temporary import remove_abandoned
from .output import Output
from .plans import Plan
from .shard import Facts, Failure, Shard, changed_since, sha256

VERSION = 1


class ShardFacts(TypedDict):
    """What the manifest says of a shard."""

    shard: str
    examples: int
    bytes: int
    sha256: str


class Manifest(TypedDict):
    """The content of ``train.tfrecord.manifest.json``."""

    version: int
    plan: str
    examples: int
    bytes: int
    array_bytes: int
    features: dict[str, Any]
    versions: dict[str, str]
    shards: list[ShardFacts]
    failures: list[Failure]


def manifest_path(out: str | os.PathLike[str]) -> Path | Remote:
    """The file of the manifest: ``train.tfrecord.manifest.json``."""
    return place(out).with_name(f"{place(out).name}.manifest.json")


def schema_path(out: str | os.PathLike[str]) -> Path | Remote:
    """The file of the schema: ``train.tfrecord.json``."""
    return place(out).with_name(f"{place(out).name}.json")


def finish(
    shards: Plan | Sequence[Shard],
    facts: Iterable[Facts],
    features: Mapping[str, Any] | None = None,
) -> Manifest:
    """Write the schema and then the manifest of a data set whose shards are all written.

    What killed or repeated tasks left beside the shards is removed.

    Parameters
    ----------
    shards : Plan or sequence of Shard
        All shards of the plan.
    facts : iterable of Facts
        What `Shard.write` returned, in any order; a shard may be there twice.
    features : mapping, optional
        What `Plan.features` says, if ``shards`` is no plan.

    Returns
    -------
    Manifest
        The content of the manifest: counts, the hash of each shard, the files that failed.

    Raises
    ------
    FileError
        If a shard is missing, is of another plan, or its file is gone or another one. Nothing is
        written then.
    """
    first = shards[0]
    done = {one["index"]: one for one in facts if one["plan"] == first.plan}
    missing = [index for index in range(first.of) if index not in done]
    if missing:
        raise FileError(
            f"{first.out}: {len(missing)} of {first.of} shards are not written, the first is "
            f"number {missing[0]}; write them, then finish"
        )
    ordered = [done[index] for index in range(first.of)]
    for one in ordered:
        path = place(first.out).with_name(one["shard"])
        try:
            if not _is_written(path, one):
                raise FileError(
                    f"{path}: was changed after it was written, perhaps by another run at the same "
                    "time; run again"
                )
        except OSError as error:
            raise FileError(
                f"{path}: cannot be read: {error.strerror}; all workers need to write to a "
                "directory that this machine sees"
            ) from None
    manifest: Manifest = {
        "version": VERSION,
        "plan": first.plan,
        "examples": sum(one["examples"] for one in ordered),
        "bytes": sum(one["bytes"] for one in ordered),
        "array_bytes": sum(one["array_bytes"] for one in ordered),
        "features": dict(features or getattr(shards, "features", {})),
        "versions": {package: version(package) for package in ("tfdecode", "numpy")},
        "shards": [_in_manifest(one) for one in ordered],
        "failures": [failure for one in ordered for failure in one["failures"]],
    }
    _write(schema_path(first.out), f"{first.schema}\n")
    _write(manifest_path(first.out), f"{json.dumps(manifest, indent=1)}\n")
    _sweep(place(first.out))
    return manifest


def finished(plan: Plan) -> Manifest | None:
    """The manifest, if the data set of this plan is complete; that of another plan is removed."""
    path = manifest_path(plan.out)
    if plan.single:  # what it could save is not worth a file that is older than its inputs
        path.unlink(missing_ok=True)
        return None
    try:
        manifest: Manifest = json.loads(reading.read(path, MAX_MANIFEST))
        if manifest["plan"] == plan.id:
            sizes = {path.with_name(one["shard"]): one["bytes"] for one in manifest["shards"]}
            whole = all(size_of(shard) == size for shard, size in sizes.items())
            if whole and not any(changed_since(one.path, one.examples) for one in plan):
                with suppress(OSError, FileError):  # a run may have been killed as it swept
                    _sweep(place(plan.out))
                return manifest
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not a manifest, or a shard is gone
    path.unlink(missing_ok=True)
    return None


def _is_written(path: Path | Remote, facts: Facts) -> bool:
    """Whether the file is the one that the facts describe; hashed only if it was written anew."""
    if size_of(path) != facts["bytes"]:
        return False
    if isinstance(path, Remote) or path.stat().st_mtime_ns == facts.get("time"):
        return True
    return sha256(path) == facts["sha256"]


def _in_manifest(facts: Facts) -> ShardFacts:
    return {key: facts[key] for key in ShardFacts.__annotations__}  # type: ignore


def _write(path: Path | Remote, text: str) -> None:
    with Output(path) as file:
        file.write(text.encode())


def leftovers(out: Path | Remote, shards: Iterable[str]) -> list[str]:
    """The names of files next to a data set that are called as shards of it but are none."""
    stem, dot, rest = out.name.partition(".tfrecord")
    pattern = re.compile(_shards(stem, dot + rest))
    return sorted({name for name in _beside(out) if pattern.fullmatch(name)} - {*shards})


def _shards(stem: str, suffix: str) -> str:
    return rf"{re.escape(stem)}(-[0-9]{{5}}-of-[0-9]{{5}})?{re.escape(suffix)}"


def _beside(out: Path | Remote) -> list[str]:
    if isinstance(out, Remote):
        return [one.name for one in out.siblings()]
    return os.listdir(out.parent)


def _sweep(out: Path | Remote) -> None:
    """Remove notes and temporary files of a data set, those of another number of shards too."""
    stem, dot, rest = out.name.lstrip(".").partition(".tfrecord")
    shard, temporary = _shards(stem, dot + rest), r"\.[0-9a-f]{16}\.tmp"
    last = rf"{re.escape(stem + dot + rest)}(\.manifest)?\.json{temporary}"
    hidden = re.compile(rf"\.({shard}(\.json|(\.json)?{temporary})|{last})")
    for name in filter(hidden.fullmatch, _beside(out)):
        path = out.with_name(name)
        if isinstance(path, Path) and name.endswith(".tmp"):  # another run may write it now
            remove_abandoned(path)
        else:
            path.unlink(missing_ok=True)
