"""Specs and schemas: the payloads, which arrays they can carry and what memory they can take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...codecs.chain import Chain
from ...codecs.chain_text import brief, to_text
from ...codecs.one_of import OneOf
from ...form import ArrayForm
from ...layouts import any_length
from ...names import bytes_key
from ...schema import Schema
from ...spec import ArraySpec
from ..batch import Report
from ..failure import one_line
from ..show import dimensions, fields, table


def report(spec: ArraySpec) -> Report:
    """A spec, and what follows from it."""
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


def alternative(chain: Chain | OneOf, spec: ArraySpec) -> Report:
    """One chain of ``one_of``, and whether payloads are recognised by its tag only."""
    assert isinstance(chain, OneOf)
    return {**report(spec), "only_tagged": spec.chain in chain.unreached}


def steps_of(chain: Chain) -> list[dict[str, Any]]:
    """Each step of a chain: what it makes and what it can carry."""
    return [
        {
            "codec": to_text(codec),
            "kind": codec.kind,
            "array": {"dtype": form.dtype, "shape": list(form.shape)}
            if isinstance(form, ArrayForm)
            else None,
            "bytes": [form.min_nbytes, form.max_nbytes],
            "domain": codec.domain(before),
        }
        for codec, before, form in zip(chain.codecs, chain.forms, chain.forms[1:], strict=False)
    ]


def file_report(path: Path, found: ArraySpec | Schema) -> Report:
    """The JSON file of a spec or a schema."""
    if isinstance(found, ArraySpec):
        return {"file": str(path), "kind": "spec", **report(found)}
    return {"file": str(path), "kind": "schema", "inputs": inputs(found)}


def inputs(schema: Schema) -> list[Report]:
    """Each input of a schema, of several signatures with the signature."""
    return [
        {"name": name, "key": bytes_key(name), **signature, **report(spec)}
        for signature, one in signatures(schema)
        for name, spec in one.items()
    ]


def signatures(schema: Schema) -> list[tuple[Report, Schema]]:
    """The schemas of several signatures, or the one schema."""
    if not schema.signatures:
        return [({}, schema)]
    return [({"signature": name}, one) for name, one in schema.signatures.items()]


def print_report(found: Report) -> None:
    """Print a spec, or the specs of a schema."""
    if found["kind"] == "spec":
        fields([(found["file"], f"a spec of {array(found)}")])
        print_spec(found)
        return
    count = len(found["inputs"])
    fields([(found["file"], f"a schema of {count} input{'' if count == 1 else 's'}")])
    print_inputs(found["inputs"])


def print_inputs(specs: Sequence[Report]) -> None:
    """Print each input of a schema under its name."""
    for spec in specs:
        of = f" of {spec['signature']}" if "signature" in spec else ""
        name = one_line(f"input {spec['name']}{of}")
        fields([(name, f"{array(spec)}, payload key {spec['key']}")])
        print_spec(spec)


def print_spec(spec: Report) -> None:
    """Print a spec in a few lines."""
    fields(summary(spec))
    print_steps(spec)
    for one in spec["one_of"]:
        packed_only = "packed arrays only: files cannot be recognised as this chain's"
        fields(
            [
                ("  or", brief(one["codecs"])),
                ("  carries", carries(one)),
                ("  accepts", packed_only if one["only_tagged"] else ""),
            ]
        )
        print_steps(one)


def print_steps(spec: Report) -> None:
    """Print a table of the steps, if there are several."""
    rows = [
        [f"  {brief(step['codec'])}", result(step), span(step["bytes"]), step["domain"] or "all"]
        for step in spec["steps"]
    ]
    if len(rows) > 1:
        table(("  step", "makes", "bytes", "carries"), rows, right=("bytes",))


def summary(spec: Report) -> list[tuple[str, str]]:
    """Names and values that describe a spec as a whole."""
    normal, worst = spec["row_bytes"], spec["inflates_to"]
    memory = f"at most {normal:,} bytes" + (f", a hostile one {worst:,}" if worst > normal else "")
    sealed = "yes: damaged or swapped payloads are refused" if spec["sealed"] else "no"
    return [
        ("  chain", brief(spec["codecs"])),
        ("  label", spec["label"]),
        ("  carries", carries(spec)),
        ("  payload", f"{span(spec['payload_bytes'])} bytes"),
        ("  a row inflates to", memory),
        (
            "  rows at a time",
            f"{spec['max_rows']:,} are decoded, unless the model sets another limit",
        ),
        ("  sealed", sealed),
        ("  fingerprint", spec["fingerprint"]),
    ]


def carries(spec: Report) -> str:
    """The domain in words."""
    if spec["one_of"]:
        return "every array that one of its chains carries; the smallest payload is used"
    return spec["domain"] or "every array of this dtype and shape"


def array(spec: Report) -> str:
    """The dtype and the shape of a spec."""
    words = any_length(spec["shape"], spec["max_shape"])
    return f"{spec['dtype']} {dimensions(spec['shape'])}{words and f' ({words})'}"


def result(step: Report) -> str:
    """The dtype and shape that a step makes, or "bytes"."""
    made = step["array"]
    return f"{made['dtype']} {dimensions(made['shape'])}" if made else "bytes"


def span(bounds: Sequence[int]) -> str:
    """Minimum and maximum as ``8..100``."""
    low, high = bounds
    return f"{high:,}" if low == high else f"{low:,}..{high:,}"
