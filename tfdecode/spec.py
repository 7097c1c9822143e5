"""ArraySpec: what one array is, and the chain that carries it; all that client and graph share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np

from . import spec_json
from .codecs.base import AnyCodec
from .codecs.chain import Chain
from .codecs.chain_text import Alternatives, Codecs, brief, parse_any
from .codecs.compressors.seal import Seal
from .codecs.one_of import OneOf
from .dtypes import ITEM_SIZES, dtype_name, numpy_dtype
from .errors import DecodeError, EncodeError, SpecError
from .extras import tensorflow as tf
from .form import ArrayForm, Shape
from .graph import ragged
from .graph import rows as graph
from .graph.autograph import no_autograph
from .graph.rows import as_batch

#: Decoded bytes that one request may ask for when nobody says ``max_rows``.
REQUEST_BUDGET = 2**30


@dataclass(frozen=True, repr=False, init=False)
class ArraySpec:
    """One array: its shape, its dtype and the chain of codecs that carries it as bytes.

    Parameters
    ----------
    shape : sizes of the dimensions, of one example (no batch); at most one may be ``None``
    dtype : bool, int8 .. int64, uint8 .. uint64, float16, bfloat16, float32, float64, complex64
        or complex128: a name, a numpy dtype or a tf.DType
    codecs : chain text (``"astype:uint8|zlib:9"``), or a list of names, dicts and codec objects;
        ``raw`` is the container where none is named. Several chains by `one_of` or as text with
        ``or`` between them (``"astype:uint8|zlib or raw"``): ``encode`` takes the smallest whose
        domain fits, and the graph decodes each row by its own
    max_shape : needed with a ``None``: the largest shape, which bounds the memory of a row
    label : tells inputs apart that are otherwise specified alike: it is in the fingerprint, so that
        a seal refuses the payload of the one where the other belongs
    seal : whether to end the chain with ``seal``; by default when it has a compressor

    Raises SpecError for a shape, dtype or chain that cannot be.

    >>> import numpy as np
    >>> spec = ArraySpec((2, 3), "float32", codecs="astype:uint8|zlib")
    >>> spec
    ArraySpec((2, 3), 'float32', codecs='astype:uint8|raw|zlib|seal')
    >>> spec.decode(spec.encode(np.ones((2, 3), "float32"))).sum()
    np.float32(6.0)
    """

    shape: Shape
    dtype: str
    codecs: tuple[AnyCodec, ...] | Alternatives
    max_shape: tuple[int, ...] | None
    label: str
    seal: bool = field(compare=False)  # as the codecs say
    chain: Chain | OneOf = field(init=False, compare=False)
    #: A spec for each chain of ``one_of``; of any other spec itself alone.
    alternatives: tuple[ArraySpec, ...] = field(init=False, compare=False)

    def __init__(
        self,
        shape: Any,
        dtype: Any,
        codecs: Codecs | Alternatives = "raw",
        *,
        max_shape: Any = None,
        label: str = "",
        seal: bool | None = None,
    ) -> None:
        put = object.__setattr__  # frozen
        put(self, "shape", checked_sides(shape, "shape"))
        put(self, "dtype", dtype_name(dtype))
        bound = None if max_shape is None else checked_sides(max_shape, "max_shape")
        form = ArrayForm.of(self.shape, self.dtype, bound)
        # Without a None it says nothing that shape does not.
        put(self, "max_shape", form.max_shape if form.unknown_axis is not None else None)
        if not isinstance(label, str):
            raise SpecError(f"label is {label!r}, needs text")
        put(self, "label", label)
        codecs = parse_any(codecs)
        if isinstance(codecs, Alternatives):
            options: Any = {"max_shape": self.max_shape, "label": label}
            seals = [None if isinstance(one[-1], Seal) else seal for one in codecs]
            self._join(
                [
                    ArraySpec(self.shape, self.dtype, one, seal=seal, **options)
                    for one, seal in zip(codecs, seals, strict=True)
                ]
            )
            return
        put(self, "alternatives", (self,))
        sealed = any(isinstance(codec, Seal) for codec in codecs)
        if seal is None:
            seal = sealed or any(codec.kind == "compressor" for codec in codecs)
        if sealed and not seal:
            raise SpecError("seal=False for a chain that names seal: leave one of them out")
        codecs = codecs if sealed or not seal else (*codecs, Seal())
        put(self, "codecs", codecs)
        put(self, "seal", seal)
        names = self.fingerprint, self.canonical_json
        put(self, "chain", Chain(tuple(codec.bind(*names) for codec in codecs), form))

    def _join(self, specs: Sequence[ArraySpec]) -> None:
        if not specs:
            raise SpecError("one_of has no chains, needs 2 to 32")
        put = object.__setattr__
        for name in ("shape", "dtype", "max_shape", "label"):
            put(self, name, getattr(specs[0], name))
        put(self, "alternatives", tuple(specs))
        chains = tuple(chain for spec in specs for chain in spec.chains)
        put(self, "codecs", Alternatives(chain.codecs for chain in chains))
        put(self, "seal", all(spec.seal for spec in specs))
        put(self, "chain", OneOf(chains))

    @classmethod
    def joined(cls, specs: Sequence[ArraySpec]) -> ArraySpec:
        """The spec of ``one_of`` the chains of ``specs``, which differ in nothing else."""
        spec = cls.__new__(cls)
        spec._join(specs)
        return spec

    def __repr__(self) -> str:
        """What makes it again, but for the bytes of a sample: see ``to_json``."""
        text = f"{self.shape}, {self.dtype!r}, codecs={brief(self.chain.text)!r}"
        if self.max_shape is not None:
            text += f", max_shape={self.max_shape}"
        if self.label:
            text += f", label={self.label!r}"
        if any(chain.packs and not chain.sealed for chain in self.chains):
            text += ", seal=False"
        return f"ArraySpec({text})"

    def __reduce__(self) -> tuple[Any, ...]:
        if len(self.alternatives) > 1:
            return ArraySpec.joined, (self.alternatives,)
        fields = {"max_shape": self.max_shape, "label": self.label, "seal": self.seal}
        return restored, (self.shape, self.dtype, self.codecs, fields)

    # -- numpy --------------------------------------------------------------------------------

    def encode(self, array: Any) -> bytes:
        """Pack an array of this spec's shape and dtype, in any memory layout and byte order.

        Raises EncodeError where shape or dtype differ, or a value is outside the chain's domain.
        """
        if isinstance(array, np.ma.MaskedArray):
            raise EncodeError("array is masked, and a payload has no mask: fill it, array.filled()")
        x = np.asarray(array)
        form = self.chain.form
        if not form.takes(x.shape):
            limit = f" (at most {list(form.max_shape)})" if self.max_shape else ""
            raise EncodeError(f"array has shape {list(x.shape)}, spec needs {form}{limit}")
        if x.dtype.name != self.dtype:
            numbers = x.dtype.name in ITEM_SIZES
            advice = f"; convert it first: array.astype({self.dtype!r})" if numbers else ""
            raise EncodeError(f"array is {x.dtype.name}, spec needs {self.dtype}{advice}")
        return self.chain.encode(x)

    def decode(self, payload: bytes) -> np.ndarray:
        """Unpack one payload to a new array, native and in C order.

        Raises DecodeError where the payload is not one that this spec's ``encode`` could have made.
        """
        if not isinstance(payload, bytes | bytearray | memoryview):
            raise DecodeError(f"payload is {type(payload).__name__}, needs bytes")
        x = self.chain.decode(bytes(payload))
        form = self.chain.form
        assert x.dtype == numpy_dtype(form.dtype) and x.ndim == len(form.shape)
        return np.ascontiguousarray(x).reshape(x.shape)

    # -- graph --------------------------------------------------------------------------------

    @no_autograph
    def decode_tensor(
        self, payloads: Any, *, input_name: str = "payload", max_rows: int | None = None
    ) -> Any:
        """Decode inside a graph (or eagerly), with stock ops only.

        Parameters
        ----------
        payloads : a string tensor, scalar or ``[B]``; B may be 0 or unknown
        input_name : the name of the input in error messages
        max_rows : the largest B; by default as many as decode to 1 GiB

        Returns a tensor of this dtype: ``[*shape]`` for a scalar, ``[B, *shape]`` for ``[B]``, with
        its static shape set. A ``None`` dimension is as long as the rows are, which must agree.

        Fails at run time with InvalidArgumentError, naming the row, what was expected and what
        came, when any row is bad.

        >>> spec = ArraySpec((2,), "int16")
        >>> spec.decode_tensor([spec.encode(np.array([1, 2], "int16"))]).numpy().tolist()
        [[1, 2]]
        """
        with tf.device("/cpu:0"):  # the ops on strings live there; mixed placement has failed
            payloads, scalar = as_batch(payloads, input_name)
            rows = self._decode_rows(payloads, input_name, max_rows).enforce(input_name)
            return self._dense(rows, payloads, scalar, input_name)

    @no_autograph
    def decode_checked(
        self, payloads: Any, *, input_name: str = "payload", max_rows: int | None = None
    ) -> tuple[Any, Any]:
        """Decode without failing on bad rows: ``(tensor, status)``.

        Takes what ``decode_tensor`` takes and gives the same tensor, bad rows all zeros, and
        ``status`` int32 ``[B]`` (or a scalar): 0 for a good row, else a `tfdecode.Status`. Good
        rows are what they would be without their bad neighbours. With a ``None`` dimension, rows
        shorter than the longest are zeros behind their end.

        A batch of more than ``max_rows`` still fails, and so does a corrupt stream of
        ``zlib``, ``zlib_bounded``, ``zstd``, ``png``, ``npz`` or ``mat`` in a chain without a seal.
        """
        with tf.device("/cpu:0"):
            payloads, scalar = as_batch(payloads, input_name)
            rows = self._decode_rows(payloads, input_name, max_rows).zero_bad()
            status = rows.status()
            status.set_shape(payloads.shape)
            data = self._dense(rows, payloads, scalar, input_name, pad=True)
            return data, tf.squeeze(status, 0) if scalar else status

    @no_autograph
    def decode_ragged(
        self, payloads: Any, *, input_name: str = "payload", max_rows: int | None = None
    ) -> Any:
        """Decode rows whose ``None`` dimension differs, to a tf.RaggedTensor ``[B, *shape]``.

        ``payloads`` is a string tensor ``[B]``. Bad rows fail as in ``decode_tensor``.
        Raises SpecError for a spec without a ``None`` dimension.
        """
        form = self.chain.form
        if form.unknown_axis is None:
            raise SpecError(f"{self!r} has no None dimension: use decode_tensor")
        with tf.device("/cpu:0"):
            payloads, scalar = as_batch(payloads, input_name)
            if scalar:
                raise SpecError(f"{input_name} is a scalar, decode_ragged needs a batch [B]")
            rows = self._decode_rows(payloads, input_name, max_rows).enforce(input_name)
            return ragged.to_ragged(rows, form)

    @no_autograph
    def encode_tensor(self, tensor: Any) -> Any:
        """Encode inside a graph: ``[B, *shape]`` of this dtype to strings ``[B]``, for outputs.

        Raises SpecError for a tensor of another dtype or shape, and where a codec of the chain has
        no stock op that encodes (``zlib``).
        """
        form = self.chain.form
        if form.unknown_axis is not None:
            raise SpecError(f"{self!r} has a None dimension, which cannot be encoded in a graph")
        with tf.device("/cpu:0"):
            tensor = tf.convert_to_tensor(tensor)
            if not tensor.shape.is_compatible_with([None, *form.shape]):
                raise SpecError(f"tensor has shape {tensor.shape}, needs a batch of {form}")
            tensor = tf.ensure_shape(tensor, [None, *form.shape])
            if tensor.dtype.name != self.dtype:
                raise SpecError(f"tensor is {tensor.dtype.name}, spec needs {self.dtype}")
            payloads = self.chain.encode_rows(tensor, tf.shape(tensor)[0]).data
            payloads.set_shape([tensor.shape[0]])
            return payloads

    @property
    def chains(self) -> tuple[Chain, ...]:
        """The chains of ``one_of``, or the only one."""
        return self.chain.chains if isinstance(self.chain, OneOf) else (self.chain,)

    @cached_property
    def domain(self) -> str:
        """The arrays that can be carried, in words; "" for every one of this dtype and shape."""
        domains = [chain.domain for chain in self.chains]
        return "" if "" in domains else " or ".join(domains)

    @cached_property
    def bounded(self) -> bool:
        """Whether the spec bounds the memory that decoding any bytes takes, hostile ones too.

        A batch then takes at most a few times its arrays, and 100 MB.
        """
        steps = (step for chain in self.chains for step in chain.backwards())
        return all(codec.bounded(form) for codec, form in steps)

    @cached_property
    def max_rows(self) -> int:
        """How many rows decode to at most 1 GiB (1 at the least): the default limit of a batch."""
        return max(1, REQUEST_BUDGET // max(1, self.row_nbytes))

    @property
    def row_nbytes(self) -> int:
        """The most bytes that a step makes of a row: a carrier may be wider, records take more."""
        takes = []
        for chain in self.chains:
            for codec, form in chain.backwards():
                if isinstance(form, ArrayForm) or not chain.sealed:
                    takes.append(codec.inflates(form))
                elif not isinstance(codec, Seal):  # only a holder of the spec could make it larger
                    takes.append(form.max_nbytes)
        return max(takes)

    def _decode_rows(self, payloads: Any, name: str, max_rows: int | None) -> graph.Rows:
        limit = self.max_rows if max_rows is None else max_rows
        if type(limit) is not int or not 1 <= limit < 2**31:
            raise SpecError(f"max_rows is {limit!r}, needs 1 to 2147483647")
        size = tf.shape(payloads)[0]
        return self.chain.decode_rows(graph.admit(payloads, size, limit, name), size)

    def _dense(
        self, rows: graph.Rows, payloads: Any, scalar: bool, name: str, pad: bool = False
    ) -> Any:
        data = rows.data
        form = self.chain.form
        if rows.lengths is not None:
            data = ragged.to_padded(rows, form) if pad else ragged.to_dense(rows, form, name)
        data.set_shape([payloads.shape[0], *form.shape])
        return tf.squeeze(data, 0) if scalar else data

    # -- JSON ---------------------------------------------------------------------------------

    def to_dict(self, *, canonical: bool = False) -> dict[str, Any]:
        """A JSON object; ``canonical`` leaves out what only encoders use."""
        chains = [cast("tuple[AnyCodec, ...]", one.codecs) for one in self.alternatives]
        fields = spec_json.Fields(self.shape, self.dtype, self.max_shape, self.label, chains)
        return spec_json.to_dict(fields, canonical=canonical)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON, as hex: equal where payloads mean the same."""
        import hashlib  # OpenSSL behind it takes 3 ms, a tenth of what importing tfdecode takes

        return hashlib.sha256(self.canonical_json.encode("ascii")).hexdigest()

    @cached_property
    def canonical_json(self) -> str:
        """The JSON text that says what payloads mean: without what only encoders use."""
        return json.dumps(self.to_dict(canonical=True), sort_keys=True, separators=(",", ":"))

    def to_json(self) -> str:
        """The spec as JSON, with its fingerprint and those of its chains."""
        value = self.to_dict()
        for chain, one in zip(value.get("one_of", []), self.alternatives, strict=False):
            chain["fingerprint"] = one.fingerprint  # which keys the chain's seal
        return json.dumps({**value, "fingerprint": self.fingerprint}, indent=2)

    @classmethod
    def from_dict(cls, spec: Any) -> ArraySpec:
        """The spec of a JSON object; SpecError for anything unknown in it."""
        stated = spec_json.from_dict(spec)
        shape, dtype, max_shape, label, chains = stated.fields
        specs = [
            cls(
                shape,
                dtype,
                codecs,
                max_shape=max_shape,
                label=label,
                seal=any(isinstance(codec, Seal) for codec in codecs),
            )
            for codecs in chains
        ]
        made = cls.joined(specs) if stated.one_of else specs[0]
        pairs = [(stated.fingerprint, made), *zip(stated.chain_fingerprints, specs, strict=True)]
        if any(text not in (None, one.fingerprint) for text, one in pairs):
            raise SpecError("the spec's fingerprint does not match its fields: it was edited")
        return made

    @classmethod
    def from_json(cls, text: str | bytes) -> ArraySpec:
        """The spec of a JSON text; SpecError for anything unknown in it.

        >>> spec = ArraySpec((3,), "uint8", "zlib:9")
        >>> ArraySpec.from_json(spec.to_json()) == spec
        True
        """
        return cls.from_dict(spec_json.parse_json(text, "spec"))


def restored(shape: Shape, dtype: str, codecs: Codecs, options: dict[str, Any]) -> ArraySpec:
    """The spec that was pickled with these parts (its chain holds what cannot be)."""
    return ArraySpec(shape, dtype, codecs, **options)


def checked_sides(shape: Any, what: str) -> Shape:
    """``shape`` as a tuple of sizes; SpecError for anything else."""
    if getattr(shape, "rank", None) is not None:  # a tf.TensorShape, of known rank
        shape = shape.as_list()
    if isinstance(shape, str | bytes) or not isinstance(shape, Sequence):
        raise SpecError(f"{what} is {shape!r}, needs a list of sizes")
    sides = []
    for side in shape:
        whole = isinstance(side, int | np.integer) and not isinstance(side, bool)
        if side is not None and (not whole or not 0 <= side < 2**31):
            raise SpecError(f"{what} {list(shape)} has the size {side!r}, needs 0 to 2147483647")
        sides.append(None if side is None else int(side))
    return tuple(sides)
