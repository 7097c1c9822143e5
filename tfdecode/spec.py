"""ArraySpec: the shape and dtype of an array and its codecs, shared by client and graph."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from . import spec_json
from .array_like import advice_on, as_array
from .codecs.base import AnyCodec
from .codecs.chain import Chain
from .codecs.chain_text import Alternatives, Codecs, brief, parse_any
from .codecs.compressors.seal import Seal
from .codecs.one_of import OneOf
from .dtypes import ITEM_SIZES, dtype_name, in_words, numpy_dtype
from .errors import DecodeError, EncodeError, SpecError
from .extras import tensorflow as tf
from .form import ArrayForm, Shape
from .lookalikes import hint
from .spec_graph import GraphSide


@dataclass(frozen=True, repr=False, init=False)
class ArraySpec(GraphSide):
    """The shape and dtype of one array, and the chain of codecs that encodes it as bytes.

    Parameters
    ----------
    shape : sequence of int or None
        The sizes of one example, without the batch. Those that vary are ``None``.
    dtype : dtype_like or tf.DType
        bool, (u)int8 to (u)int64, float16, bfloat16, float32, float64, complex64 or complex128.
    codecs : str, or sequence of str, mapping and codec objects, default "raw"
        Chain text (``"astype:uint8|zlib:9"``) or a list of its steps; without a container, ``raw``
        is added. Of several chains (`one_of`, or ``"astype:uint8|zlib or raw"``), ``encode`` takes
        the one with the smallest payload, and each row of a batch is decoded by its own.
    max_shape : sequence of int, optional
        The largest shape, which bounds the memory of a row. Needed if ``shape`` has a ``None``.
    label : str, default ""
        Distinguishes inputs of equal specs: a sealed payload of another label is refused.
    seal : bool, optional
        Whether the chain ends with ``seal``; by default if it has a compressor.

    Raises
    ------
    SpecError
        If the shape, the dtype or the chain is invalid.

    Examples
    --------
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
    #: A spec for each chain of ``one_of``; without ``one_of``, the spec itself.
    alternatives: tuple[ArraySpec, ...] = field(init=False, compare=False)

    def __init__(
        self,
        shape: Sequence[int | None] | tf.TensorShape,
        dtype: npt.DTypeLike | tf.DType,
        codecs: Codecs | Alternatives = "raw",
        *,
        max_shape: Sequence[int | None] | None = None,
        label: str = "",
        seal: bool | None = None,
    ) -> None:
        put = object.__setattr__  # frozen
        put(self, "shape", checked_sides(shape, "shape"))
        put(self, "dtype", dtype_name(dtype))
        bound = None if max_shape is None else checked_sides(max_shape, "max_shape")
        form = ArrayForm.of(self.shape, self.dtype, bound)
        # Without a None, it equals the shape.
        put(self, "max_shape", form.max_shape if form.none_axes else None)
        if not isinstance(label, str):
            raise SpecError(f"label is {label!r}, needs text")
        put(self, "label", label)
        codecs = parse_any(codecs)
        if isinstance(codecs, Alternatives):
            seals = [None if isinstance(one[-1], Seal) else seal for one in codecs]
            same: Any = {"max_shape": self.max_shape, "label": label}
            pairs = zip(codecs, seals, strict=True)
            self._join([ArraySpec(self.shape, self.dtype, c, seal=s, **same) for c, s in pairs])
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
        """Join specs that differ only in their chains, by ``one_of``.

        Parameters
        ----------
        specs : sequence of ArraySpec
            At least one, all of one shape, dtype, ``max_shape`` and label.
        """
        spec = cls.__new__(cls)
        spec._join(specs)
        return spec

    def __repr__(self) -> str:
        """Python that recreates the spec, except for sample bytes (see ``to_json``)."""
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
        options: Any = {"max_shape": self.max_shape, "label": self.label, "seal": self.seal}
        return partial(ArraySpec, **options), (self.shape, self.dtype, self.codecs)

    # -- numpy --------------------------------------------------------------------------------

    def encode(self, array: npt.ArrayLike) -> bytes:
        """Encode one array as a payload, with the same bytes on every machine.

        Parameters
        ----------
        array : array_like
            Of this shape and dtype, in any memory layout and byte order. Eager tensors and columns
            of pandas are taken too; sparse matrices and tables of several dtypes are told what to
            call.

        Raises
        ------
        EncodeError
            If shape or dtype differ, or a value is outside the chain's domain.

        Examples
        --------
        >>> ArraySpec((3,), "uint8").encode(np.uint8([1, 2, 3]))
        b'\\x01\\x02\\x03'
        """
        x = as_array(array)
        advice = advice_on(x)
        if advice:
            raise EncodeError(f"array is {in_words(x.dtype)}, spec needs {self.dtype}{advice}")
        form = self.chain.form
        if not form.takes(x.shape):
            limit = f" (at most {list(form.max_shape)})" if self.max_shape else ""
            raise EncodeError(f"array has shape {list(x.shape)}, spec needs {form}{limit}")
        # The name of a dtype takes NumPy 2 us.
        if x.dtype != numpy_dtype(self.dtype) and x.dtype.name != self.dtype:
            numbers = x.dtype.name in ITEM_SIZES
            advice = f"; convert it to {self.dtype} first" if numbers else ""
            raise EncodeError(f"array is {in_words(x.dtype)}, spec needs {self.dtype}{advice}")
        return self.chain.encode(x)

    def decode(self, payload: bytes) -> npt.NDArray[Any]:
        """Decode one payload with numpy.

        Parameters
        ----------
        payload : bytes
            What ``encode`` returned, or a file that a native container of the spec reads.

        Returns
        -------
        numpy.ndarray
            Of this shape and dtype, in native byte order and C order.

        Raises
        ------
        DecodeError
            If the payload is damaged or belongs to another spec.

        Examples
        --------
        >>> ArraySpec((3,), "uint8").decode(b"abc")
        array([97, 98, 99], dtype=uint8)
        """
        if not isinstance(payload, bytes | bytearray | memoryview):
            text = isinstance(payload, str)
            advice = "; decode base64 text first: base64.b64decode(text)" if text else ""
            raise DecodeError(f"payload is {type(payload).__name__}, needs bytes{advice}")
        try:
            x = self.chain.decode(bytes(payload))
        except DecodeError as error:
            looks_like = "" if "; it looks like" in str(error) else hint(payload, *self.mistaken)
            if not looks_like:
                raise
            raise DecodeError(f"{error}{looks_like}") from None
        assert x.dtype == numpy_dtype(self.dtype) and x.ndim == len(self.shape)
        return np.ascontiguousarray(x).reshape(x.shape)

    # -- JSON ---------------------------------------------------------------------------------

    def to_dict(self, *, canonical: bool = False) -> dict[str, Any]:
        """The spec as a JSON object, without fingerprints.

        Parameters
        ----------
        canonical : bool, default False
            Leave out the options that only encoders use.
        """
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
        """The spec as JSON text, with its fingerprint and those of its chains."""
        value = self.to_dict()
        for chain, one in zip(value.get("one_of", []), self.alternatives, strict=False):
            chain["fingerprint"] = one.fingerprint  # which keys the chain's seal
        return json.dumps({**value, "fingerprint": self.fingerprint}, indent=2)

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> ArraySpec:
        """Create the spec of a JSON object; SpecError for unknown keys and edited fields.

        Parameters
        ----------
        spec : dict
            What ``to_dict`` returned, or the object of ``to_json``.
        """
        stated = spec_json.from_dict(spec)
        shape, dtype, max_shape, label, chains = stated.fields
        seals = [any(isinstance(codec, Seal) for codec in one) for one in chains]
        same: Any = {"max_shape": max_shape, "label": label}
        pairs = zip(chains, seals, strict=True)
        specs = [cls(shape, dtype, codecs, seal=seal, **same) for codecs, seal in pairs]
        made = cls.joined(specs) if stated.one_of else specs[0]
        stated_of = [
            (stated.fingerprint, made),
            *zip(stated.chain_fingerprints, specs, strict=True),
        ]
        if any(text not in (None, one.fingerprint) for text, one in stated_of):
            raise SpecError("the spec's fingerprint does not match its fields: it was edited")
        return made

    @classmethod
    def from_json(cls, text: str | bytes) -> ArraySpec:
        """Create the spec of a JSON text; SpecError if it is not JSON, or as in ``from_dict``.

        Parameters
        ----------
        text : str or bytes
            What ``to_json`` returned.

        Examples
        --------
        >>> spec = ArraySpec((3,), "uint8", "zlib:9")
        >>> ArraySpec.from_json(spec.to_json()) == spec
        True
        """
        return cls.from_dict(spec_json.parse_json(text, "spec"))


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
