"""backport: take out what a newer TensorFlow writes and an older one lacks, if it has no effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ExportError
from ..releases import release
from . import op_history
from .check import Report, check
from .protobuf import TEXT, read_protobuf

#: They tell another op how to copy a variable, which is always right, only not always as fast.
IDLE_OPS = ("DisableCopyOnRead",)
#: It has the checksum of the protobuf as it was.
FINGERPRINT = "fingerprint.pb"
#: Sentences of a message.
MAX_PROBLEMS = 5


def target(min_tensorflow: str | None) -> str | None:
    """The version to write for, as the table of ops has it; SpecError if it does not."""
    if min_tensorflow is None:
        return None
    release(min_tensorflow)
    return op_history.known_version(min_tensorflow)


def rewrite(path: Path, version: str | None) -> None:
    """Take out of the SavedModel in a directory what a version lacks; None leaves it as it is."""
    if version is None:
        return
    model = read_protobuf(path)
    backport(model, version)
    for name in (TEXT, FINGERPRINT):
        (path / name).unlink(missing_ok=True)
    (path / "saved_model.pb").write_bytes(model.SerializeToString(deterministic=True))


def backport(model: Any, version: str | None) -> None:
    """Take out of a SavedModel protobuf what a version lacks, if no answer depends on it.

    That is: no-ops, names for people, and attributes that have the default, which is what the op
    did before it had them. None takes nothing out.
    """
    if version is None:
        return
    for meta in model.meta_graphs:
        without_idle(meta.graph_def.node, version)
        for function in meta.graph_def.library.function:
            gone = without_idle(function.node_def, version)
            ends = function.control_ret
            idle = {name: node for name, node in ends.items() if node in gone}
            for name in idle:
                del ends[name]
            for node in sorted({n[1:] for n in idle.values() for n in waits_for([f"^{n}"], gone)}):
                if node not in ends.values():
                    ends[node] = node
                    function.signature.control_output.append(node)
            kept = [name for name in function.signature.control_output if name in ends]
            function.signature.control_output[:] = kept


def without_idle(nodes: Any, version: str) -> dict[str, list[str]]:
    """Leave out idle nodes and attributes; the nodes that are gone, with what they waited for."""
    gone = {
        node.name: [name for name in node.input if name.startswith("^")]
        for node in nodes
        if node.op in IDLE_OPS and op_history.lacks(node.op, version)
    }
    kept = [node for node in nodes if node.name not in gone]
    for node in kept:
        controls = [name for name in node.input if name.startswith("^")]
        if any(name[1:] in gone for name in controls):
            data = [name for name in node.input if not name.startswith("^")]
            node.ClearField("input")
            node.input.extend([*data, *waits_for(controls, gone)])
        for name in list(node.attr):
            if op_history.lacks_attribute(node, name, version) and op_history.is_idle(node, name):
                del node.attr[name]
    if gone:
        copies = [type(node).FromString(node.SerializeToString()) for node in kept]
        del nodes[:]
        nodes.extend(copies)
    return gone


def waits_for(controls: Iterable[str], gone: Mapping[str, list[str]]) -> Iterator[str]:
    """Control inputs, each once; in place of each node that is gone those that it had."""
    left, seen = list(controls)[::-1], set()
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        if name[1:] in gone:
            left.extend(reversed(gone[name[1:]]))
        else:
            yield name


def checked(path: Path, version: str | None, what: str) -> Report:
    """The report of `check`; ExportError if a stock server of the version cannot run the model."""
    report = check(path, version)
    if report.ok:
        return report
    newer = op_history.newer(version) if version else []
    able = next((f"; TensorFlow {one} can run it" for one in newer if check(path, one).ok), "")
    problems = "; ".join(report.problems[:MAX_PROBLEMS])
    server = f"TensorFlow {version}" if version else "a stock server"
    raise ExportError(f"{server} cannot run the {what}: {problems}{able}")
