"""Make ``history.json.xz``, which ops, attributes, dtypes and CPU kernels each TensorFlow has.

Run once with the Python of each TensorFlow, then once with all that they wrote::

    python make.py dump 2.12.json
    python make.py table 2.3.json 2.4.json ... 2.21.json

A thing that came with the third version and stayed is written as 2; one that left with the seventh
as [2, 6]; what all versions of its op have is left out. An attribute that came later has its
default as a protobuf in text.
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("history.json.xz")


def dump(path: Path) -> None:
    """Write the registries of the TensorFlow of this Python."""
    import tensorflow as tf
    from tensorflow.core.framework import op_def_pb2, types_pb2
    from tensorflow.python.client import pywrap_tf_session
    from tensorflow.python.framework import kernels

    listed = op_def_pb2.OpList()
    listed.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    name = types_pb2.DataType.Name
    ops: dict[str, Any] = {}
    for op in listed.op:
        attributes = {
            one.name: {
                "allowed": [name(kind) for kind in one.allowed_values.list.type],
                "default": str(one.default_value).strip(),
            }
            for one in op.attr
        }
        ops[op.name] = {"attrs": attributes}
    found: dict[str, set[str]] = {}
    for kernel in kernels.get_all_registered_kernels().kernel:
        if kernel.device_type in ("CPU", "DEFAULT"):
            limits = sorted(
                f"{c.name}={'/'.join(name(k)[3:].lower() for k in c.allowed_values.list.type)}"
                for c in kernel.constraint
            )
            found.setdefault(kernel.op, set()).add(",".join(limits))
    kern = {op: sorted(texts) for op, texts in found.items()}
    here = {"ops": ops, "kern": kern, "dtypes": list(types_pb2.DataType.keys())}
    path.write_text(json.dumps({"version": tf.__version__, **here}))


def table(paths: Iterable[Path]) -> dict[str, Any]:
    """The table of what the registries of all versions hold, oldest first."""
    registries = [json.loads(path.read_text()) for path in paths]
    versions = [".".join(one["version"].split(".")[:2]) for one in registries]
    ops = {}
    for name in sorted({name for one in registries for name in one["ops"]}):
        have = [name in one["ops"] for one in registries]
        entry: dict[str, Any] = {"in": span(have)}
        known = [one["ops"].get(name, {"attrs": {}})["attrs"] for one in registries]
        for attribute in sorted({a for one in known for a in one}):
            entry["attrs"] = entry.get("attrs", {})
            found = [attribute in one for one in known]
            if found != have:
                entry["attrs"][attribute] = span(found)
                defaults = [one[attribute]["default"] for one in known if attribute in one]
                entry.setdefault("defaults", {})[attribute] = defaults[-1]
            allowed = [one.get(attribute, {"allowed": []})["allowed"] for one in known]
            kinds = sorted({kind for one in allowed for kind in one if kind.startswith("DT_")})
            if kinds:
                within = {k[3:].lower(): span([k in one for one in allowed]) for k in kinds}
                free = [attribute in one and not of for one, of in zip(known, allowed, strict=True)]
                if any(free):  # takes all dtypes
                    within["*"] = span(free)
                entry.setdefault("types", {})[attribute] = within
        kernels = [one["kern"].get(name, []) for one in registries]
        texts = sorted({text for one in kernels for text in one})
        entry["kernels"] = {text: span([text in one for one in kernels]) for text in texts}
        if not entry.get("attrs"):
            entry.pop("attrs", None)
        ops[name] = entry
    names = sorted({name for one in registries for name in one["dtypes"]})
    dtypes = {n[3:].lower(): span([n in one["dtypes"] for one in registries]) for n in names}
    dtypes = {name: came for name, came in dtypes.items() if came}
    return {"versions": versions, "dtypes": dtypes, "ops": ops}


def span(present: list[bool]) -> int | list[int]:
    """The first version that has it, and the last one unless that is the newest."""
    first, last = present.index(True), len(present) - 1 - present[::-1].index(True)
    return first if last == len(present) - 1 else [first, last]


if __name__ == "__main__":
    what, *names = sys.argv[1:]
    if what == "dump":
        dump(Path(names[0]))
    else:
        text = json.dumps(table(map(Path, names)), separators=(",", ":"), sort_keys=True)
        TABLE.write_bytes(lzma.compress(text.encode(), preset=9))
