"""What TensorFlow Serving cannot do with a signature, as sentences: JSON of dtypes, batching."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import OPTIONS, said, shown
from ..extras import tensorflow as tf
from ..schema import SIGNATURE

#: The output that ``on_invalid="mask"`` adds.
STATUS = "status"


def mask_option() -> str:
    """What asks for it, for messages."""
    return said("on_invalid='mask'", "--mask")


def mask_options() -> str:
    """The same, also of a command that has no such option."""
    if OPTIONS and "--mask" not in OPTIONS:
        return "--mask of wrap and convert, in Python on_invalid='mask',"
    return mask_option()


#: The dtypes that the server's JSON has no numbers for.
NOT_IN_JSON = {"uint16", "float16", "bfloat16", "complex64", "complex128"}


def limits(signatures: Any) -> Iterator[str]:
    """A sentence for each limit of a map of signature name -> SignatureDef."""
    found: dict[str, list[str]] = {}
    for name, signature in sorted(signatures.items()):
        # The loader's own, and that of the schema, which every client knows.
        if not name.startswith("__saved_model") and name != SIGNATURE:
            for sentence in limits_of_one(signature):
                found.setdefault(sentence, []).append(shown(name))
    for sentence, names in found.items():
        yield f"signature{'s' * (len(names) > 1)} {' and '.join(names)}: {sentence}"
    if SIGNATURE in signatures:
        yield from shared_batches(signatures)


#: What to do about an input or output without a batch dimension.
ADVICE = {
    "input": "make it a constant of the model, or an input with a value for each row",
    "output": "return a value for each row",
}


def limits_of_one(definition: Any) -> Iterator[str]:
    """JSON cannot carry a dtype; batching needs a first dimension of any size."""
    for kind, infos in (("input", definition.inputs), ("output", definition.outputs)):
        for name, info in sorted(infos.items()):
            dtype = dtype_name(info.dtype)
            if dtype in NOT_IN_JSON:
                spec = said(f"an ArraySpec in {kind}s=", f"--{kind} NAME=SPEC")
                yield (
                    f"REST cannot carry {kind} {shown(name)}, as JSON has no {dtype} in TensorFlow "
                    f"Serving; gRPC can, and payloads: give it {spec}"
                )
            if kind == "output" and dtype == "string" and not name.endswith("_bytes"):
                yield (
                    f"REST sends the string output {shown(name)} as text, which must "
                    "be UTF-8; as base64 if its name ends in _bytes"
                )
            shape = info.tensor_shape
            if not shape.unknown_rank and (not shape.dim or shape.dim[0].size >= 0):
                yield (
                    f"{kind} {shown(name)} has no batch dimension [None, ...], so a server with "
                    f"batching refuses the signature; {ADVICE[kind]}"
                )


def shared_batches(signatures: Any) -> Iterator[str]:
    """That a bad row fails a whole batch, if no output tells which rows are bad."""
    for name, signature in sorted(signatures.items()):
        keys = [key for key, info in signature.inputs.items() if key.endswith("_bytes")]
        if keys and STATUS not in signature.outputs:
            yield (
                f"signature {shown(name)}: a bad row fails its whole batch, in which a server with "
                f"batching puts requests of several clients; {mask_options()} answers the others"
            )


def dtype_name(number: int) -> str:
    """The name of a DataType of the protobuf; empty if it is unknown."""
    try:
        name: str = tf.dtypes.as_dtype(number).name
    except TypeError:
        return ""
    return name
