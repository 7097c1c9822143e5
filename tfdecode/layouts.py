"""Arrays of any length in one batch: as a tf.RaggedTensor, or padded and with their lengths."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import SpecError, said
from .form import ArrayForm
from .graph.ragged import padded
from .spec import ArraySpec

#: What is made of an input with ``None`` dimensions: a tf.RaggedTensor, or the padded array.
Layout: TypeAlias = Literal["ragged", "padded"]


def lengths_key(name: str) -> str:
    """The name of the lengths of a padded array: ``points_lengths`` for ``points``."""
    return f"{name}_lengths"


def check_ragged(
    specs: Mapping[str, ArraySpec], ragged: Mapping[str, Layout], taken: Collection[str]
) -> None:
    """SpecError unless ``ragged`` has a layout for inputs of any length; ``taken`` are names."""
    if not isinstance(ragged, Mapping):
        raise SpecError(f"ragged is {type(ragged).__name__}, needs a dict")
    for name, layout in ragged.items():
        if name not in specs:
            known = ", ".join(n for n, spec in specs.items() if None in spec.shape) or "none"
            padded = said("ragged", "--padded")
            raise SpecError(f"{padded} names {name!r}; inputs with a None dimension: {known}")
        if layout not in ("ragged", "padded"):
            raise SpecError(f"ragged of {name} is {layout!r}, needs 'ragged' or 'padded'")
        if None not in specs[name].shape:
            shape = list(specs[name].shape)
            raise SpecError(f"input {name} has shape {shape}, no None dimension: it is not ragged")
        if lengths_key(name) in taken:
            raise SpecError(
                f"{lengths_key(name)} is the name of the lengths of {name}, which ragged adds: "
                "rename the other"
            )


def decoded(
    name: str, spec: ArraySpec, layout: Layout | None, payloads: Any, **options: Any
) -> tuple[dict[str, Any], Any]:
    """Payloads decoded to a layout, by name, and the status of each row; None is for equal rows.

    ``options`` are those of ``decode_batch``.
    """
    batch = spec.decode_batch(payloads, layout or "dense", **options)
    tensor, lengths = batch.tensor, batch.lengths
    return laid_out(name, spec, layout, tensor, lengths), batch.status


def laid_out(
    name: str, spec: ArraySpec, layout: Layout | None, tensor: Any, lengths: Any
) -> dict[str, Any]:
    """The tensor of a layout by name, if it is padded with its lengths."""
    if layout != "padded":
        return {name: tensor}
    # Padded to the longest row, a row's array would depend on its neighbours.
    if tensor.shape.rank == len(spec.shape):  # of a scalar
        tensor = padded(tensor[None], spec.chain.form)[0]
    else:
        tensor = padded(tensor, spec.chain.form)
    return {name: tensor, lengths_key(name): lengths}


def any_length(shape: Sequence[int | None], max_shape: Sequence[int] | None) -> str:
    """What the ``None`` dimensions of a spec can be, in words; "" without one."""
    bounds = [most for side, most in zip(shape, max_shape or (), strict=False) if side is None]
    if len(bounds) < 2:
        return f"any length up to {bounds[0]}" if bounds else ""
    return f"any sizes up to {' x '.join(map(str, bounds))}"


def lengths_shape(form: ArrayForm) -> list[int | None]:
    """``[B]`` for one ``None`` dimension, ``[B, k]`` for several."""
    count = form.shape.count(None)
    return [None] if count == 1 else [None, count]


def lengths_of(shape: Sequence[int | None], sides: Sequence[int]) -> npt.NDArray[np.int32]:
    """int32, a scalar or ``[k]``: the ``sides`` of an array where its ``shape`` is ``None``."""
    lengths = [got for got, side in zip(sides, shape, strict=True) if side is None]
    return np.array(lengths[0] if len(lengths) == 1 else lengths, np.int32)


def stacked(arrays: Sequence[np.ndarray], sides: Sequence[int] | None = None) -> np.ndarray:
    """Arrays of one rank as a batch, padded with zeros to ``sides``, or to the longest."""
    if sides is None:
        sides = np.max([array.shape for array in arrays], axis=0)
    widths = [[(0, s - g) for s, g in zip(sides, x.shape, strict=True)] for x in arrays]
    return np.stack([np.pad(x, width) for x, width in zip(arrays, widths, strict=True)])
