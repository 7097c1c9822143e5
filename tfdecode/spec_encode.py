"""Encoding in a graph, for the outputs of a model: a part of the graph side of an ArraySpec."""

from __future__ import annotations

from typing import Any

from .codecs.chain import Chain
from .codecs.chain_text import brief
from .codecs.one_of import OneOf
from .errors import SpecError
from .extras import tensorflow as tf
from .form import Shape
from .graph import rows as graph
from .graph.autograph import no_autograph
from .graph.map_rows import LARGE
from .graph.one_by_one import one_by_one


class EncodeSide:
    """The methods of ArraySpec that encode in a graph."""

    shape: Shape
    dtype: str
    chain: Chain | OneOf
    domain: Any

    @no_autograph
    def encode_tensor(self, tensor: Any, *, output_name: str = "output") -> Any:
        """Encode inside a graph, for outputs of a model: to ``[B]`` payloads.

        A payload can have other bytes than that of ``encode``, as TensorFlow deflates by another
        library. Both decode to the same array.

        Parameters
        ----------
        tensor : tf.Tensor
            ``[B, *shape]`` of this dtype.
        output_name : str, default "output"
            The name of the output in error messages.

        Raises
        ------
        SpecError
            If dtype or shape differ, or a codec has no stock op that encodes (``zlib``).
        tf.errors.InvalidArgumentError
            At run time, if a row is outside the domain of the chain, of all chains of ``one_of``.

        Examples
        --------
        >>> import numpy as np, tfdecode as tfd
        >>> spec = tfd.ArraySpec((2, 3), "bool", "packbits")
        >>> spec.encode_tensor(np.ones((1, 2, 3), bool)).numpy().tolist()
        [b'?']
        """
        with tf.device("/cpu:0"):
            rows = self._encode(tensor)
            return rows.enforce(output_name, advice=lambda _: self._advice).data

    @no_autograph
    def encode_checked(self, tensor: Any) -> tuple[Any, Any]:
        """Encode without failing on rows that the chain cannot carry.

        Parameters
        ----------
        tensor : tf.Tensor
            As ``encode_tensor`` takes it.

        Returns
        -------
        payloads : tf.Tensor of string
            ``[B]``. Bad rows are payloads of an array that the chain carries, zeros if it can.
        status : tf.Tensor of int32
            ``[B]``: 0 for a good row, else a `tfdecode.Status`.
        """
        with tf.device("/cpu:0"):
            rows = self._encode(tensor)
            filler = self.chain.payload.filler() if rows.unguarded else b""
            return rows.guard(filler).data, rows.status()

    def _encode(self, tensor: Any) -> graph.Rows:
        """The payloads of a batch; rows outside the domain are bad."""
        form = self.chain.form
        if None in form.shape:
            raise SpecError(
                f"{self!r} has a None dimension, which cannot be encoded in a graph: let the model "
                "pad it to a fixed shape, or leave it out of outputs, then it is sent as numbers"
            )
        tensor = tf.convert_to_tensor(tensor)
        if not tensor.shape.is_compatible_with([None, *form.shape]):
            raise SpecError(f"tensor has shape {tensor.shape}, needs a batch of {form}")
        tensor = tf.ensure_shape(tensor, [None, *form.shape])
        if tensor.dtype.name != self.dtype:
            raise SpecError(f"tensor is {tensor.dtype.name}, spec needs {self.dtype}")
        size = tf.shape(tensor)[0]
        if form.max_nbytes < LARGE or tf.executing_eagerly():
            rows = self.chain.encode_rows(tensor, size)
        else:
            rows = one_by_one(self.chain.encode_rows, tensor, size, self.chain.encodes_all)
        rows.data.set_shape([tensor.shape[0]])
        return rows

    @property
    def _advice(self) -> str:
        """What to do about rows outside the domain, for the message."""
        text = brief(self.chain.text)
        # Without quotes, which TensorFlow escapes.
        return f"; its codecs carry only {self.domain}: the chain {text} or raw carries all"
