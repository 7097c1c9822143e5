"""Compare the shards of a data set with its manifest, and decode examples, without TensorFlow.

A data set is what pack --tfrecord wrote. Of each shard, the number of bytes, the SHA-256 and the
number of examples are compared with the manifest, and the first and the last example are decoded.
Files that are called as shards but are of another run are found too.

If anything is wrong, a line for each shard says what, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .. import bulk
from ..bulk.manifest import Manifest
from ..bulk.verify import Verified, manifest_of, read_manifest
from ..sources import Remote, is_url
from .failure import complain, note, one_line
from .show import say
from .write import named_path

EXAMPLES = """\
examples:
  tfdecode verify train.tfrecord.manifest.json
  tfdecode verify train.tfrecord                  the same
  tfdecode verify train.tfrecord --all            decodes every example
  tfdecode verify train.tfrecord --json | jq '.problems'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``verify``."""
    add = parser.add_argument
    what = "manifest of the data set, or its name without .manifest.json"
    add("manifest", type=data_set, metavar="MANIFEST", help=what)
    add("--all", action="store_true", help="decode all examples, not two of each shard")
    add("--json", action="store_true", help="print a JSON object")


def data_set(text: str) -> Path | Remote:
    """The argument: a file, or the URL of one."""
    return Remote(text) if is_url(text) else named_path(text)


def run(arguments: argparse.Namespace) -> int:
    """Verify one data set."""
    path = manifest_of(arguments.manifest)
    found = verified(path, read_manifest(path), arguments.all)
    problems = found["problems"]
    if arguments.json:
        say(json.dumps(found, indent=2))
    elif not problems:
        say(
            one_line(
                f"{path}: {found['examples']:,} examples in {found['shards']:,} "
                f"shard{'s' * (found['shards'] != 1)}, {found['bytes']:,} bytes, are as the "
                f"manifest says; {found['decoded']:,} were decoded"
            )
        )
    if found["failures"]:
        note(f"{found['failures']:,} files could not be packed; the manifest lists them")
    for one in problems:
        complain("verify", f"{one['file']}: {one['problem']}")
    return 1 if problems else 0


def verified(path: Path | Remote, manifest: Manifest, every: bool) -> Verified:
    """Verify with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], DownloadColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("tfdecode verify", total=manifest["bytes"])
        return bulk.verify(path, every=every, progress=lambda count: bar.advance(task, count))
