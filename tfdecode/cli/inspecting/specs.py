"""Specs and schemas: what payloads are, what they can carry and what they can cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...codecs.chain import to_text
from ...codecs.form import ArrayForm, Form
from ...schema import Schema, bytes_key
from ...spec import ArraySpec
from ..each import Facts
from ..show import dimensions, fields, table


def facts(spec: ArraySpec) -> Facts:
    """What one spec says, and what follows from it."""
    steps = [
        {"codec": to_text(codec), "kind": codec.kind, **made(form), "domain": codec.domain(before)}
        for codec, before, form in zip(
            spec.codecs, spec.chain.forms[:-1], spec.chain.forms[1:], strict=True
        )
    ]
    payload = spec.chain.payload
    return {
        "dtype": spec.dtype,
        "shape": list(spec.shape),
        "max_shape": None if spec.max_shape is None else list(spec.max_shape),
        "label": spec.label,
        "codecs": spec.chain.text,
        "domain": "; ".join(str(step["domain"]) for step in steps if step["domain"]),
        "array_bytes": spec.chain.form.max_nbytes,
        "payload_bytes": [payload.least, payload.most],
        "row_bytes": spec.row_nbytes,
        "inflates_to": max(codec.inflates(form) for codec, form in spec.chain.backwards()),
        "max_rows": spec.max_rows,
        "sealed": spec.seal,
        "fingerprint": spec.fingerprint,
        "steps": steps,
    }


def made(form: Form) -> Facts:
    """What stands behind a step: its dtype and shape or None for bytes, and how long it can be."""
    if isinstance(form, ArrayForm):
        array = {"dtype": form.dtype, "shape": list(form.shape)}
        return {"array": array, "bytes": [form.min_nbytes, form.max_nbytes]}
    return {"array": None, "bytes": [form.least, form.most]}


def file_facts(path: Path, found: ArraySpec | Schema) -> Facts:
    """What the JSON file of a spec or a schema says."""
    if isinstance(found, ArraySpec):
        return {"file": str(path), "kind": "spec", **facts(found)}
    return {"file": str(path), "kind": "schema", "inputs": inputs(found)}


def inputs(schema: Schema) -> list[Facts]:
    """What a schema says of each input."""
    return [{"name": name, "key": bytes_key(name), **facts(spec)} for name, spec in schema.items()]


def show(found: Facts) -> None:
    """A spec, or the specs of a schema."""
    if found["kind"] == "spec":
        fields([(found["file"], f"a spec of {array(found)}")])
        show_spec(found)
        return
    count = len(found["inputs"])
    fields([(found["file"], f"a schema of {count} input{'' if count == 1 else 's'}")])
    show_inputs(found["inputs"])


def show_inputs(specs: Sequence[Facts]) -> None:
    """Each input of a schema under its name."""
    for spec in specs:
        fields([(f"input {spec['name']}", f"{array(spec)}, payloads under {spec['key']}")])
        show_spec(spec)


def show_spec(spec: Facts) -> None:
    """What a spec says, in a few lines."""
    fields(summary(spec))
    if len(spec["steps"]) > 1:
        rows = [
            [f"  {step['codec']}", result(step), span(step["bytes"]), step["domain"] or "all"]
            for step in spec["steps"]
        ]
        table(("  step", "makes", "bytes", "carries"), rows, right=("bytes",))


def summary(spec: Facts) -> list[tuple[str, str]]:
    """Names and values of what a spec says as a whole."""
    normal, worst = spec["row_bytes"], spec["inflates_to"]
    memory = f"at most {normal:,} bytes" + (f", a hostile one {worst:,}" if worst > normal else "")
    sealed = "yes: damage and mix-ups are refused" if spec["sealed"] else "no: damage can pass"
    return [
        ("  chain", spec["codecs"]),
        ("  label", spec["label"]),
        ("  carries", spec["domain"] or "every array of this dtype and shape"),
        ("  payload", f"{span(spec['payload_bytes'])} bytes"),
        ("  a row inflates to", memory),
        ("  rows of a request", f"at most {spec['max_rows']:,}, unless the model says otherwise"),
        ("  sealed", sealed),
        ("  fingerprint", spec["fingerprint"]),
    ]


def array(spec: Facts) -> str:
    """The dtype and the shape of a spec."""
    shape = dimensions(spec["shape"])
    bound = f" (at most {dimensions(spec['max_shape'])})" if spec["max_shape"] else ""
    return f"{spec['dtype']} {shape}{bound}"


def result(step: Facts) -> str:
    """What a step makes."""
    return array({**step["array"], "max_shape": None}) if step["array"] else "bytes"


def span(bounds: Sequence[int]) -> str:
    """Least and most as ``8..100``."""
    least, most = bounds
    return f"{most:,}" if least == most else f"{least:,}..{most:,}"
