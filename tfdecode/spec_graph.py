"""The graph side of an ArraySpec: decoding payloads with stock ops, and the memory it takes."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

from .codecs.chain import Chain
from .codecs.chain_text import brief
from .codecs.compressors.seal import Seal
from .codecs.one_of import OneOf
from .errors import SpecError, shown
from .extras import tensorflow as tf
from .form import ArrayForm, Shape
from .graph import ragged
from .graph import rows as graph
from .graph.autograph import no_autograph
from .graph.by_row import with_sides
from .graph.casts import as_bits, movable, movable_dtype
from .graph.lookalikes import hint
from .graph.slices import in_slices
from .spec_encode import EncodeSide

#: Bytes that decoding may hold at a time if ``max_rows`` is not given.
STEP_BUDGET = 2**30
#: Bytes of the decoded arrays of one batch if ``max_batch_size`` is not given: more than the 1,000
#: pose maps ``[256, 192, 18]`` that a server merges by default.
BATCH_BUDGET = 2**32


#: Indices of rows are int32.
MAX_ROWS = 2**31 - 1
#: From as many rows on, more than servers merge, a batch that cannot be decoded at once is refused:
#: small rows need no loop, which took a sixth of the time to read 32 rows of 48 KiB in tf.data.
MANY_ROWS = 2**12


def batch_limit(max_rows: int, nbytes: int) -> int:
    """The largest batch of arrays of ``nbytes`` bytes of which ``max_rows`` decode at a time."""
    if max_rows >= MANY_ROWS:
        return max_rows
    return max(max_rows, min(BATCH_BUDGET // max(1, nbytes), MANY_ROWS))


def check_limit(name: str, number: Any) -> None:
    """SpecError unless a limit of rows is one."""
    if type(number) is not int or not 1 <= number <= MAX_ROWS:
        raise SpecError(f"{name} is {number!r}, needs 1 to {MAX_ROWS}")


class Decoded(NamedTuple):
    """What ``decode_batch`` returns."""

    tensor: Any
    lengths: Any
    status: Any


class GraphSide(EncodeSide):
    """The methods of ArraySpec that run in a graph, and the limits that they keep."""

    shape: Shape
    dtype: str
    chain: Chain | OneOf

    @no_autograph
    def decode_tensor(
        self,
        payloads: Any,
        *,
        input_name: str = "payload",
        max_rows: int | None = None,
        max_batch_size: int | None = None,
    ) -> Any:
        """Decode inside a graph or eagerly, with stock ops only.

        Parameters
        ----------
        payloads : tf.Tensor of string
            A scalar or ``[B]``; B may be 0 or unknown.
        input_name : str, default "payload"
            The name of the input in error messages.
        max_rows : int, optional
            Rows that are decoded at a time, a larger batch in several steps; by default as many
            as decode within 1 GiB.
        max_batch_size : int, optional
            The largest B, more fail; by default as many rows as arrays of 4 GiB have, but at most
            4,096, and at least ``max_rows``.

        Returns
        -------
        tf.Tensor
            ``[*shape]`` for a scalar, ``[B, *shape]`` for ``[B]``, with a static shape. All rows
            must have the same size along each ``None`` dimension.

        Raises
        ------
        tf.errors.InvalidArgumentError
            At run time, if a row is bad. The message names the row, and expected and actual values.

        Examples
        --------
        >>> import numpy as np, tfdecode as tfd
        >>> spec = tfd.ArraySpec((2,), "int16")
        >>> spec.decode_tensor([spec.encode(np.array([1, 2], "int16"))]).numpy().tolist()
        [[1, 2]]
        """
        options: Any = {"max_rows": max_rows, "max_batch_size": max_batch_size}
        return self.decode_batch(payloads, "dense", input_name=input_name, **options).tensor

    @no_autograph
    def decode_checked(
        self,
        payloads: Any,
        *,
        input_name: str = "payload",
        max_rows: int | None = None,
        max_batch_size: int | None = None,
    ) -> tuple[Any, Any]:
        """Decode without failing on bad rows.

        A batch of more than ``max_batch_size`` still fails, and so does one with a forged row: a
        broken stream of ``zlib``, ``zlib_bounded``, ``zstd`` or ``png`` under a seal that matches.

        Parameters
        ----------
        payloads, input_name, max_rows, max_batch_size : tf.Tensor of string, str, int, int
            As ``decode_tensor`` takes them.

        Returns
        -------
        tensor : tf.Tensor
            Bad rows are zeros, and do not change the others. Short rows are padded with zeros.
        status : tf.Tensor of int32
            ``[B]`` or a scalar: 0 for a good row, else a `tfdecode.Status`.
        """
        options: Any = {"max_rows": max_rows, "max_batch_size": max_batch_size}
        options.update(input_name=input_name, on_invalid="mask")
        decoded = self.decode_batch(payloads, "padded", **options)
        return decoded.tensor, decoded.status

    @no_autograph
    def decode_ragged(
        self,
        payloads: Any,
        *,
        input_name: str = "payload",
        max_rows: int | None = None,
        max_batch_size: int | None = None,
    ) -> Any:
        """Decode rows that differ along ``None`` dimensions to a tf.RaggedTensor ``[B, *shape]``.

        It is ragged along each ``None`` dimension.

        Parameters
        ----------
        payloads, input_name, max_rows, max_batch_size : tf.Tensor of string ``[B]``, str, int, int
            As ``decode_tensor`` takes them. Bad rows fail as there; SpecError for a scalar, or if
            the spec has no ``None`` dimension.
        """
        options: Any = {"max_rows": max_rows, "max_batch_size": max_batch_size}
        return self.decode_batch(payloads, "ragged", input_name=input_name, **options).tensor

    @no_autograph
    def decode_padded(
        self,
        payloads: Any,
        *,
        input_name: str = "payload",
        max_rows: int | None = None,
        max_batch_size: int | None = None,
    ) -> tuple[Any, Any]:
        """Decode rows that differ along ``None`` dimensions, padded with zeros.

        Parameters
        ----------
        payloads, input_name, max_rows, max_batch_size : tf.Tensor of string, str, int, int
            As ``decode_tensor`` takes them. Bad rows fail as there; SpecError if the spec has no
            ``None`` dimension.

        Returns
        -------
        tensor : tf.Tensor
            ``[B, *shape]``, with the largest size in this batch along each ``None`` dimension.
        lengths : tf.Tensor of int32
            ``[B]``: the size of each row along the ``None`` dimension; ``[B, k]`` if there are k.

        Examples
        --------
        >>> import numpy as np, tfdecode as tfd
        >>> spec = tfd.ArraySpec((None,), "uint8", max_shape=(9,))
        >>> tensor, lengths = spec.decode_padded([b"ab", b"c"])
        >>> tensor.numpy().tolist(), lengths.numpy().tolist()
        ([[97, 98], [99, 0]], [2, 1])
        """
        self._require_none()
        options: Any = {"max_rows": max_rows, "max_batch_size": max_batch_size}
        decoded = self.decode_batch(payloads, "padded", input_name=input_name, **options)
        return decoded.tensor, decoded.lengths

    @no_autograph
    def decode_batch(
        self,
        payloads: Any,
        layout: Literal["dense", "padded", "ragged"] = "dense",
        *,
        on_invalid: Literal["error", "mask"] = "error",
        input_name: str = "payload",
        max_rows: int | None = None,
        max_batch_size: int | None = None,
    ) -> Decoded:
        """Decode to any layout, with lengths and status: what the other methods return parts of.

        Parameters
        ----------
        payloads : tf.Tensor of string
            A scalar or ``[B]``.
        layout : str, default "dense"
            Of rows of different sizes: ``"dense"`` fails, ``"padded"`` adds zeros up to the
            largest, ``"ragged"`` makes a tf.RaggedTensor (SpecError for a scalar, or without
            a ``None`` dimension).
        on_invalid : str, default "error"
            ``"mask"`` gives a bad row a status. The row is zeros, and of size 0 along each
            ``None`` dimension, so that ``"dense"`` pads too.
        input_name, max_rows, max_batch_size : str, int, int
            As ``decode_tensor`` takes them.

        Returns
        -------
        tensor : tf.Tensor or tf.RaggedTensor
            ``[B, *shape]``, or ``[*shape]`` for a scalar.
        lengths : tf.Tensor of int32, or None
            As ``decode_padded`` returns them, a scalar's without B; None if no size varies.
        status : tf.Tensor of int32, or None
            ``[B]`` or a scalar, as ``decode_checked`` returns it; None if bad rows fail.
        """
        if layout not in ("dense", "padded", "ragged") or on_invalid not in ("error", "mask"):
            raise SpecError(
                f"layout is {layout!r} and on_invalid {on_invalid!r}, needs dense, padded or "
                "ragged, and error or mask"
            )
        mask, form = on_invalid == "mask", self.chain.form
        if layout == "ragged":
            self._require_none()
        with tf.device("/cpu:0"):  # the ops on strings live there; mixed placement has failed
            payloads, scalar = graph.as_batch(payloads, input_name)
            if scalar and layout == "ragged":
                raise SpecError(f"{input_name} is a scalar, decode_ragged needs a batch [B]")
            rows, status = self._decode(payloads, input_name, max_rows, max_batch_size, mask)
            lengths, data = None, rows.data
            if rows.lengths is not None:
                lengths = ragged.none_lengths(rows, form)
                if layout == "ragged":
                    return Decoded(ragged.to_ragged(rows, form), lengths, status)
                pad = layout == "padded" or mask
                data = (
                    ragged.to_padded(rows, form) if pad else ragged.to_dense(rows, form, input_name)
                )
            data.set_shape([payloads.shape[0], *form.shape])
            if scalar:
                parts = (data, lengths, status)
                return Decoded(*(None if part is None else tf.squeeze(part, 0) for part in parts))
            return Decoded(data, lengths, status)

    def _require_none(self) -> None:
        if None not in self.shape:
            raise SpecError(f"{self!r} has no None dimension: use decode_tensor")

    def _decode(
        self,
        payloads: Any,
        name: str,
        max_rows: int | None,
        max_batch_size: int | None,
        mask: bool = False,
    ) -> tuple[graph.Rows, Any]:
        """The rows of a batch, all of them good, or with zeros and a status if ``mask``."""
        slice_size = self.max_rows if max_rows is None else max_rows
        check_limit("max_rows", slice_size)
        limit = max_batch_size
        if limit is None:
            limit = batch_limit(slice_size, self.batch_nbytes)
        check_limit("max_batch_size", limit)
        payloads = graph.admit(payloads, limit, name)
        form, size = self.chain.form, tf.size(payloads)
        flat = bool(form.none_axes)

        def step(payloads: Any, start: Any) -> list[Any]:
            rows = self.chain.decode_rows(payloads, tf.size(payloads))
            rows = replace(rows, data=movable(rows.data))
            if mask:
                rows = rows.zero_bad()
            else:
                rows = rows.enforce(name, start, size, lambda row: self._advise(payloads, row))
            sides = [rows.sides] if flat else []
            return [rows.data, *sides, *([rows.status()] if mask else [])]

        results = [
            tf.TensorSpec([None] if flat else [None, *form.shape], movable_dtype(form.dtype))
        ]
        results += [tf.TensorSpec([None, len(form.none_axes)], tf.int64)] if flat else []
        results += [tf.TensorSpec([None], tf.int32)] if mask else []
        data, *others = in_slices(step, payloads, min(slice_size, limit), limit, results)
        for part in others:
            part.set_shape([payloads.shape[0], *part.shape[1:]])
        rows = graph.Rows(as_bits(data, form.dtype), size)
        return with_sides(rows, others[0], form) if flat else rows, others[-1] if mask else None

    def _advise(self, payloads: Any, row: Any) -> Any:
        """What follows the message of a bad row: what it looks like, and what to send."""
        looks_like = hint(tf.gather(payloads, row), *self.mistaken)
        return tf.strings.join([looks_like, f"; send {self.wanted}"])

    @cached_property
    def mistaken(self) -> tuple[tuple[bytes, ...], int | None]:
        """How payloads begin, and the bytes of the bare array unless they are a payload."""
        begins = tuple(magic for chain in self.chains for magic in chain.magics)
        size = self.chain.form.max_nbytes
        lengths = [(one.payload.min_nbytes, one.payload.max_nbytes) for one in self.chains]
        bare = not self.chain.form.none_axes and size > 0 and (size, size) not in lengths
        return begins, size if bare else None

    @cached_property
    def wanted(self) -> str:
        """The payloads in words, for messages; without quotes, which ``Assert`` escapes."""
        chains = " or ".join(brief(chain.text) for chain in self.chains)
        return f"{self.chain.form} packed by {shown(chains, 200)}"

    @property
    def chains(self) -> tuple[Chain, ...]:
        """The chains of ``one_of``, or the single one."""
        return self.chain.chains if isinstance(self.chain, OneOf) else (self.chain,)

    @cached_property
    def domain(self) -> str:
        """The arrays that can be encoded, in words; "" if all of this dtype and shape can."""
        domains = [chain.domain for chain in self.chains]
        return "" if "" in domains else " or ".join(domains)

    @cached_property
    def bounded(self) -> bool:
        """Whether hostile bytes too decode in a few times the arrays' memory and 100 MB."""
        steps = (step for chain in self.chains for step in chain.backwards())
        return all(codec.bounded(form) for codec, form in steps)

    @cached_property
    def max_rows(self) -> int:
        """How many rows are decoded at a time by default: those that take 1 GiB, at least 1."""
        return max(1, STEP_BUDGET // self.held_nbytes)

    @cached_property
    def max_batch_size(self) -> int:
        """The largest batch by default: arrays of 4 GiB, at most 4,096, at least ``max_rows``."""
        return batch_limit(self.max_rows, self.batch_nbytes)

    @property
    def batch_nbytes(self) -> int:
        """Bytes of a decoded row in its batch."""
        return self.chain.form.max_nbytes + self.chain.form.partition_nbytes

    @property
    def held_nbytes(self) -> int:
        """Bytes that a step holds for one row: its payload, what it decodes to, and its checks."""
        packed = min(self.row_nbytes, max(chain.payload.max_nbytes for chain in self.chains))
        codecs = [codec for chain in self.chains for codec in chain.codecs]
        overhead = max(codec.row_overhead for codec in codecs)
        return self.row_nbytes + packed + overhead + self.chain.form.partition_nbytes

    @property
    def row_nbytes(self) -> int:
        """Peak bytes any step needs for one row; dtypes on the way can be wider than its own."""
        takes = []
        for chain in self.chains:
            for codec, form in chain.backwards():
                if isinstance(form, ArrayForm) or not chain.sealed:
                    takes.append(codec.inflates(form))
                elif not isinstance(codec, Seal):  # only a holder of the spec could make it larger
                    takes.append(form.max_nbytes)
        return max(takes)
