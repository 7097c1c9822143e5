"""Specs and schemas: what payloads are, what they can carry and what they can cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...codecs.chain import Chain
from ...codecs.chain_text import brief, to_text
from ...codecs.one_of import OneOf
from ...form import ArrayForm, Form
from ...schema import Schema, bytes_key
from ...spec import ArraySpec
from ..batch import Facts
from ..show import dimensions, fields, table


def facts(spec: ArraySpec) -> Facts:
    """What one spec says, and what follows from it."""
    several = len(spec.alternatives) > 1
    steps = [] if several else steps_of(spec.chains[0])
    payload = spec.chain.payload
    return {
        "dtype": spec.dtype,
        "shape": list(spec.shape),
        "max_shape": None if spec.max_shape is None else list(spec.max_shape),
        "label": spec.label,
        "codecs": spec.chain.text,
        "domain": spec.domain,
        "array_bytes": spec.chain.form.max_nbytes,
        "payload_bytes": [payload.min_nbytes, payload.max_nbytes],
        "row_bytes": spec.row_nbytes,
        "inflates_to": max(
            codec.inflates(form) for chain in spec.chains for codec, form in chain.backwards()
        ),
        "max_rows": spec.max_rows,
        "sealed": spec.seal,
        "fingerprint": spec.fingerprint,
        "steps": steps,
        "one_of": [alternative(spec.chain, one) for one in spec.alternatives] if several else [],
    }


def alternative(chain: Chain | OneOf, spec: ArraySpec) -> Facts:
    """What the spec of one chain of ``one_of`` says, and whether it is known by its tag alone."""
    assert isinstance(chain, OneOf)
    return {**facts(spec), "only_tagged": spec.chain in chain.unreached}


def steps_of(chain: Chain) -> list[Facts]:
    """Each step of a chain: what it makes and what it can carry."""
    forms = zip(chain.codecs, chain.forms[:-1], chain.forms[1:], strict=True)
    return [
        {"codec": to_text(codec), "kind": codec.kind, **made(form), "domain": codec.domain(before)}
        for codec, before, form in forms
    ]


def made(form: Form) -> Facts:
    """What stands behind a step: its dtype and shape or None for bytes, and how long it can be."""
    if isinstance(form, ArrayForm):
        array = {"dtype": form.dtype, "shape": list(form.shape)}
        return {"array": array, "bytes": [form.min_nbytes, form.max_nbytes]}
    return {"array": None, "bytes": [form.min_nbytes, form.max_nbytes]}


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
    for one in [spec, *spec["one_of"]]:
        if one is not spec:
            tagged = "no file as it is, for none tells that it is of this chain; pack its array"
            fields(
                [
                    ("  or", brief(one["codecs"])),
                    ("  carries", carries(one)),
                    ("  takes", tagged if one["only_tagged"] else ""),
                ]
            )
        if len(one["steps"]) > 1:
            rows = [
                [
                    f"  {brief(step['codec'])}",
                    result(step),
                    span(step["bytes"]),
                    step["domain"] or "all",
                ]
                for step in one["steps"]
            ]
            table(("  step", "makes", "bytes", "carries"), rows, right=("bytes",))


def summary(spec: Facts) -> list[tuple[str, str]]:
    """Names and values of what a spec says as a whole."""
    normal, worst = spec["row_bytes"], spec["inflates_to"]
    memory = f"at most {normal:,} bytes" + (f", a hostile one {worst:,}" if worst > normal else "")
    sealed = "yes: damage and mix-ups are refused" if spec["sealed"] else "no: damage can pass"
    return [
        ("  chain", brief(spec["codecs"])),
        ("  label", spec["label"]),
        ("  carries", carries(spec)),
        ("  payload", f"{span(spec['payload_bytes'])} bytes"),
        ("  a row inflates to", memory),
        ("  rows of a request", f"at most {spec['max_rows']:,}, unless the model says otherwise"),
        ("  sealed", sealed),
        ("  fingerprint", spec["fingerprint"]),
    ]


def carries(spec: Facts) -> str:
    """The domain in words."""
    if spec["one_of"]:
        return "what any of its chains carries; encode takes the smallest payload"
    return spec["domain"] or "every array of this dtype and shape"


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
