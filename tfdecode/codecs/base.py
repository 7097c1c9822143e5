"""The three kinds of codec. A codec is a frozen dataclass whose fields are its configuration.

``form`` is always the form *before* the step in the order of encoding: ``decode`` gives it back. No
codec raises on bad rows in the graph: it narrows ``rows`` by ``rows.check`` and, before an op that
can throw, crash or allocate by what a row claims, calls ``rows.guard``. The chain checks the
lengths of byte strings between the steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar

import numpy as np

from ..dtypes import LARGEST
from ..errors import SpecError, meant
from ..form import ArrayForm, BytesForm
from ..graph.rows import Rows
from ..releases import OLDEST

if TYPE_CHECKING:  # these modules are not needed to encode
    from ..formats.contents import Contents
    from ..formats.zlib_stream import Data
    from ..statistics import Statistics


def encoder_only(default: Any) -> Any:
    """A field that steers the encoder and that no decoder needs: left out of the fingerprint."""
    return field(default=default, metadata={"encoder_only": True})


def bound_by_spec(default: Any) -> Any:
    """A field that ``bind`` fills: no part of the configuration, of ``repr`` or of equality."""
    return field(default=default, repr=False, compare=False, metadata={"bound_by_spec": True})


def from_base64(what: str, text: object, max_nbytes: int) -> bytes:
    """The bytes of an option; SpecError if it is not base64 in its one form, or far too long."""
    import base64  # not at the top: few specs have such an option

    if isinstance(text, str) and len(text) <= 2 * max_nbytes:
        try:
            data = base64.b64decode(text, validate=True)
            if base64.b64encode(data).decode() == text:
                return data
        except ValueError:  # also of binascii
            pass
    left_out = " ('...' stands for bytes left out: take the spec as JSON)" if text == "..." else ""
    raise SpecError(f"codec {what} is not base64 with its padding{left_out}")


@dataclass(frozen=True)
class Cost:
    """What one step costs: nanoseconds per byte of its array side, and of its packed side.

    A filter's are per element of the array, unless it moves bytes (``counts_bytes``). The figures
    are chosen near those that fit the decode table of ``benchmarks/RESULTS.md`` best (2 cores,
    TensorFlow 2.21, batch 32); ``python -m benchmarks costs`` measures each codec by itself.
    """

    per_output: float
    per_input: float = 0.0


Source = TypeVar("Source")
Target = TypeVar("Target")
SourceForm = TypeVar("SourceForm")
TargetForm = TypeVar("TargetForm")


@dataclass(frozen=True)
class Codec(ABC, Generic[Source, Target, SourceForm, TargetForm]):
    """One step of a chain."""

    name: ClassVar[str]
    #: Steps up when the payloads of a codec change their meaning.
    version: ClassVar[int] = 1
    kind: ClassVar[str]
    #: What all payloads begin with, one of these; empty if not known. `one_of` goes by it.
    magics: ClassVar[tuple[bytes, ...]] = ()
    #: Whether its op fails the whole batch on a damaged row that no seal has held back. No codec of
    #: this package does: see ``graph.try_rows``.
    throws: ClassVar[bool] = False

    # What `infer` asks: see also ``proposals`` of each kind.
    #: Of decoding in the graph, and of encoding with numpy.
    decode_cost: ClassVar[Cost] = Cost(1.0)
    encode_cost: ClassVar[Cost] = Cost(1.0)
    #: Whether the JavaScript client of ``examples/js`` packs it too.
    portable: ClassVar[bool] = False
    #: The first TensorFlow release that decodes it.
    min_tensorflow: ClassVar[tuple[int, int]] = OLDEST

    @abstractmethod
    def resolve(self, form: SourceForm) -> TargetForm:
        """What this step makes of ``form``; SpecError where it cannot."""

    @abstractmethod
    def encode(self, x: Source, form: SourceForm) -> Target:
        """EncodeError where ``x`` is outside the domain."""

    @abstractmethod
    def decode(self, y: Target, form: SourceForm) -> Source:
        """DecodeError where ``y`` is nothing that ``encode`` makes."""

    @abstractmethod
    def decode_rows(self, rows: Rows, form: SourceForm) -> Rows:
        """The graph side of ``decode``, the whole batch at once."""

    def encode_rows(self, rows: Rows, form: SourceForm) -> Rows:
        """The graph side of ``encode``, for the outputs of a model.

        Rows outside the domain are bad. Their numbers may be any: no op may fail on them.
        """
        advice = "; zlib_bounded can" if self.kind == "compressor" else ""
        raise SpecError(
            f"codec {self.name} cannot encode in a graph: no stock op does what it needs{advice}"
        )

    @classmethod
    def encodes_in_graph(cls) -> bool:
        """Whether ``encode_rows`` is implemented, so that outputs of a model can have it."""
        return cls.encode_rows is not Codec.encode_rows

    @property
    def effort(self) -> float:
        """How many times ``encode_cost`` encoding takes with these options."""
        return 1.0

    def begins(self, form: SourceForm) -> tuple[bytes, ...]:
        """``magics``, for those to whom they depend on ``form``."""
        return self.magics

    def domain(self, form: SourceForm) -> str:
        """What of ``form`` this step can carry, in words; "" where it is everything."""
        return ""

    def inflates(self, form: SourceForm) -> int:
        """The most bytes that the graph makes of one row when it decodes this step."""
        assert isinstance(form, ArrayForm | BytesForm)
        return form.max_nbytes

    @property
    def row_overhead(self) -> int:
        """The most bytes that the graph holds for a row beside its data: strings, checks."""
        # 30,000 of the worst rows of a 16 byte array take 20 (raw) to 730 (png) each.
        return 1024

    def bounded(self, form: SourceForm) -> bool:
        """Whether ``form`` bounds the memory that decoding any bytes takes, the worst included."""
        return True

    @classmethod
    def packed_nbytes(cls, payload: bytes, nbytes: int) -> int:
        """The bytes of ``payload`` that ``Cost.per_input`` counts; it decodes to ``nbytes``."""
        return len(payload)

    @classmethod
    def options(cls) -> list[Field[Any]]:
        """The fields that are the configuration."""
        return [option for option in fields(cls) if "bound_by_spec" not in option.metadata]

    def bind(self, fingerprint: str, description: str) -> AnyCodec:
        """This codec inside the spec of that fingerprint and canonical JSON."""
        return self

    def to_dict(self, *, canonical: bool = False) -> dict[str, Any]:
        """The configuration, defaults left out; ``canonical`` leaves out what only encoders use."""
        config: dict[str, Any] = {"name": self.name}
        if self.version != 1:
            config["version"] = self.version
        for option in self.options():
            value = getattr(self, option.name)
            shown = not (canonical and option.metadata.get("encoder_only"))
            if shown and (option.default is MISSING or value != option.default):
                config[option.name] = list(value) if isinstance(value, tuple) else value
        return config

    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> AnyCodec:
        """The codec of a configuration; SpecError lists the known options."""
        options = {key: value for key, value in config.items() if key != "name"}
        version = options.pop("version", 1)
        if type(version) is not int or version != cls.version:
            known = f"is not known, only {cls.version}"
            raise SpecError(f"codec {cls.name}: version {version!r} {known}")
        names = [option.name for option in cls.options()]
        for key in options:
            if key not in names:
                known = ", ".join(names) or "none"
                close = meant(key, names)
                raise SpecError(f"codec {cls.name}: unknown option {key!r}{close}; known: {known}")
        for option in cls.options():
            if option.default is MISSING and option.name not in options:
                raise SpecError(f"codec {cls.name}: needs the option {option.name!r}")
        for key, value in options.items():
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int) and abs(number) > LARGEST:  # repr refuses such numbers
                    raise SpecError(f"codec {cls.name}: {key} has a number of too many digits")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})


AnyCodec: TypeAlias = Codec[Any, Any, Any, Any]

#: The filters of a chain that `infer` proposes, at most one of each stage, in this order: what the
#: values are, the order of the axes, differences to neighbours, the layout of bytes and bits.
STAGES = ("values", "axes", "difference", "bytes")


class Filter(Codec[np.ndarray, np.ndarray, ArrayForm, ArrayForm]):
    """Array to array."""

    kind = "filter"
    #: Which step of a chain it is when `infer` proposes it: one of `STAGES`.
    stage: ClassVar[str] = "values"
    #: Whether `infer` need not look at chains without it, once it is proposed.
    supersedes: ClassVar[bool] = False
    #: Whether its cost is that of bytes, not of elements.
    counts_bytes: ClassVar[bool] = False

    @classmethod
    def proposals(cls, statistics: Statistics) -> Iterable[str]:
        """Chain texts to try on such arrays: `infer` drops those that cannot carry the array."""
        return ()


class Container(Codec[np.ndarray, bytes, ArrayForm, BytesForm]):
    """Array to bytes."""

    kind = "container"
    #: Whether it compresses by itself: `infer` puts no compressor after it.
    compresses: ClassVar[bool] = False
    #: Of files of other programs that are payloads as they are, the suffixes (``".npy"``).
    suffixes: ClassVar[tuple[str, ...]] = ()
    #: Reads such a file: bytes and ``max_bytes`` to what is in it, or a FileError.
    contents: ClassVar[Callable[..., Contents]]
    #: What to do with a file whose array no graph can read, for the message; see `as_is_refusal`.
    as_is_advice: ClassVar[str] = ""

    @classmethod
    def proposals(cls, statistics: Statistics) -> Iterable[str]:
        """Chain texts of this container that are worth trying on such arrays."""
        return ()

    @classmethod
    def as_is_refusal(cls, data: bytes) -> str:
        """Why no graph can read the array of such a file, and what to do; "" if it is not known."""
        return cls.as_is_advice

    @property
    def row_overhead(self) -> int:
        # 780 (npz) to 2,210 (pkl) in the same measurement: headers are compared with many.
        return 4096 if self.suffixes else super().row_overhead

    @classmethod
    def file_configurations(cls, key: str, data: bytes) -> Iterable[dict[str, Any]]:
        """Configurations under which the file ``data`` may be the payload of its array ``key``."""
        if any(option.name == "key" and option.default is MISSING for option in cls.options()):
            return [{"name": cls.name, "key": key}] if key else []
        return [{"name": cls.name}]

    def filler(self, form: ArrayForm) -> bytes:
        """A constant good payload."""
        return self.encode(form.zeros(), form)


class Compressor(Codec[bytes, bytes, BytesForm, BytesForm]):
    """Bytes to bytes."""

    kind = "compressor"
    #: Chain texts that `infer` tries after every container that does not compress; those that it
    #: tries too if the first leaves more than 1/16 of the bytes; and per preference, on the best.
    #: ``baselines`` it tries after ``raw`` and transposes alone: no choice is worse than these.
    trials: ClassVar[tuple[str, ...]] = ()
    baselines: ClassVar[tuple[str, ...]] = ()
    trials_incompressible: ClassVar[tuple[str, ...]] = ()
    efforts: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def encode_pieces(
        self, pieces: Callable[..., Iterable[Data]], nbytes: int, form: BytesForm
    ) -> BytesIO | None:
        """As ``encode`` for ``nbytes`` bytes of a large array; None if it needs them at once.

        ``pieces(n)`` gives them anew at each call, n bytes at a time.
        """
        return None

    def filler(self, form: BytesForm) -> bytes:
        """A constant good payload."""
        return self.encode(form.filler(), form)
