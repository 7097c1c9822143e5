"""Tell whether a stock TensorFlow Serving can run a SavedModel, of any origin.

The protobuf is read, nothing is loaded. Problems: ops that call Python or are not stock, ops,
attributes, dtypes and CPU kernels that this TensorFlow lacks, variables that no server restores,
files that are read while serving, a schema that is not the graph's. The exit status is 1 then.
What a server can do with the signatures, and what not, follows.
"""

from __future__ import annotations

import argparse
import json

from ..saved_models.check import check
from .failure import one_line
from .parsing import local
from .quiet_import import import_quietly
from .show import say

EXAMPLES = """\
examples:
  tfdecode check models/pose
  tfdecode check theirs/ --tensorflow 2.8
  tfdecode check theirs/ --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``check``."""
    add = parser.add_argument
    add("model", type=local, metavar="MODEL", help="SavedModel, or the directory of its versions")
    version = "version of the server, 2.3 to 2.21 (default: the newest)"
    add("--tensorflow", metavar="VERSION", help=version)
    add("--json", action="store_true", help="print a JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Check one model."""
    import_quietly()
    report = check(arguments.model, arguments.tensorflow)
    lists = {"problems": report.problems, "notes": report.notes, "limits": report.limits}
    if arguments.json:
        result = {"model": str(report.path), "ok": report.ok, "ops": len(report.ops)}
        say(json.dumps({**result, **lists}, indent=2))
        return 0 if report.ok else 1
    verdict = f"{len(report.ops)} kinds of ops, all stock" if report.ok else "cannot be served"
    if (release := arguments.tensorflow) is not None:
        verdict += f" in TensorFlow {release}" if report.ok else f" by TensorFlow {release}"
    say(one_line(f"{report.path}: {verdict}"))
    for kind, sentences in lists.items():
        for sentence in sentences:
            say(one_line(f"{kind.removesuffix('s')}: {sentence}"))
    return 0 if report.ok else 1
