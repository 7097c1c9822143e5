"""The specs of a run of ``pack``: files of one dtype and shape share theirs."""

from __future__ import annotations

import argparse
import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from ..dtypes import dtype_name
from ..errors import EncodeError, FileError, SpecError, TfdecodeError, shown
from ..files import listing
from ..spec import ArraySpec
from .batch import Report
from .failure import note
from .inputs import Input
from .packing import preferences, read
from .show import dimensions, doing
from .source import listing_of, reading_of

#: A chain is chosen by up to so many files, of so many bytes in all.
SAMPLES, SAMPLE_BYTES = 16, 2**26

Form: TypeAlias = tuple[str, tuple[int, ...]]


class Group:
    """Files that are packed by one spec, which is chosen when the first of them is packed."""

    def __init__(self, inputs: Sequence[Input], arguments: argparse.Namespace) -> None:
        self.inputs = inputs
        self.arguments = arguments
        self.chosen: ArraySpec | SpecError | None = None

    def samples(self) -> list[np.ndarray]:
        """Arrays of files at even distances, of those that can be read and fit ``--max-shape``."""
        count = min(SAMPLES, len(self.inputs))
        found: list[np.ndarray] = []
        for number in range(count):
            one = self.inputs[number * len(self.inputs) // count]
            try:
                array = read(one.path, one.key, None, self.arguments)
                bounded([array], self.arguments.max_shape)
            except (TfdecodeError, OSError):  # reported when its turn comes
                continue
            found.append(array)
            if sum(array.nbytes for array in found) > SAMPLE_BYTES:
                break
        return found

    def choose(self, array: np.ndarray) -> tuple[ArraySpec, list[Report]]:
        """The spec, if ``array`` is of this group; at first also the chains that were tried."""
        chains: list[Report] = []
        if self.chosen is None:
            bounded([array], self.arguments.max_shape)
            samples = (self.samples() if len(self.inputs) > 1 else []) or [array]
            try:
                if self.arguments.explain:
                    chains = tried(samples, self.arguments)
                self.chosen = spec_of(samples, self.arguments)
            except SpecError as error:  # not tried again for each file
                self.chosen = error
        if isinstance(self.chosen, SpecError):
            raise self.chosen
        return self.chosen, chains


def groups_of(inputs: Sequence[Input], arguments: argparse.Namespace) -> list[Group | None]:
    """The group of each file; None if its form is not known, because it cannot be read.

    SpecError if ``--one-spec`` or ``--max-shape`` asks for one spec and the forms do not allow it.
    """
    forms = [form_in(one, arguments) for one in inputs]
    longest: tuple[int, ...] | None = arguments.max_shape
    known = [form for form in dict.fromkeys(forms) if form is not None]
    one_spec = arguments.one_spec or longest is not None
    if one_spec:
        check_one_spec(known, longest)
    members: dict[Form | None, list[Input]] = {}
    for one, form in zip(inputs, forms, strict=True):
        members.setdefault(known[0] if one_spec and form else form, []).append(one)
    if not one_spec and len(known) > 1 and mergeable(known):
        note(
            f"the arrays differ in size, so they have {len(known)} specs, and no one input of a "
            f"model takes all of them; --max-shape {text_of(longest_of(known))} makes one spec"
        )
    groups = {form: Group(files, arguments) for form, files in members.items()}
    return [groups[known[0] if one_spec else form] if form is not None else None for form in forms]


def form_in(one: Input, arguments: argparse.Namespace) -> Form | None:
    """The dtype and shape of the array of a file, after ``--dtype``; None if it is not known."""
    try:
        entries = listing(one.path, **listing_of(arguments)).entries
        found = [entry for entry in entries if one.key in (None, entry.key)]
        if len(found) != 1:
            return None
        return dtype_name(arguments.dtype or found[0].dtype), found[0].shape
    except (TfdecodeError, OSError):  # reported when its turn comes
        return None


def check_one_spec(forms: Sequence[Form], longest: tuple[int, ...] | None) -> None:
    """SpecError unless one spec can describe arrays of these forms."""
    dtypes = sorted({dtype for dtype, _ in forms})
    if len(dtypes) > 1:
        raise SpecError(
            f"the arrays are {' and '.join(dtypes)}, but a spec has one dtype; convert them with "
            "--dtype, or pack them by several commands"
        )
    if longest is None and len(forms) > 1:
        shapes = [shape for _, shape in forms]
        listed = ", ".join(dimensions(shape) for shape in shapes[:5])
        advice = "pack them by several commands"
        if mergeable(forms):
            advice = f"pass the largest that may come: --max-shape {text_of(longest_of(forms))}"
        raise SpecError(f"the arrays have {len(shapes)} shapes, {listed}; {advice}")


def mergeable(forms: Sequence[Form]) -> bool:
    """Whether the arrays have one dtype and one number of dimensions."""
    return len({(dtype, len(shape)) for dtype, shape in forms}) == 1


def longest_of(forms: Sequence[Form]) -> tuple[int, ...]:
    """The largest size along each dimension."""
    return tuple(max(column) for column in zip(*(shape for _, shape in forms), strict=True))


def text_of(shape: Sequence[int]) -> str:
    """A shape as an argument of ``--max-shape``."""
    return ",".join(map(str, shape))


def bounded(
    samples: Sequence[np.ndarray], longest: tuple[int, ...] | None
) -> tuple[list[np.ndarray], tuple[int, ...] | None]:
    """Samples that differ along the dimensions that ``--max-shape`` leaves open, and that shape.

    EncodeError for a sample that is larger.
    """
    found = list(samples)
    if longest is None:
        return found, None
    for array in found:
        if array.ndim != len(longest) or any(map(int.__gt__, array.shape, longest)):
            shape = dimensions(array.shape)
            raise EncodeError(f"array has shape {shape}, --max-shape is {text_of(longest)}")
    free = [axis for axis, side in enumerate(longest) if any(x.shape[axis] < side for x in found)]
    for axis in free:
        if len({x.shape[axis] for x in found}) == 1 and found[0].shape[axis]:
            # All are of one size: only with another one does `infer` see what varies.
            found.append(np.moveaxis(np.moveaxis(found[0], axis, 0)[:-1], 0, axis))
    return found, longest if free else None


def spec_of(samples: Sequence[np.ndarray], arguments: argparse.Namespace) -> ArraySpec:
    """The spec that arrays are packed by, if ``--spec`` is not given; SpecError if none can."""
    label = arguments.label or ""
    found, longest = bounded(samples, arguments.max_shape)
    if arguments.codec is not None:
        shape: list[int | None] = list(found[0].shape)
        if longest is not None:
            shape = [None if len(set(side)) > 1 else side[0] for side in sides(found)]
            longest = longest if None in shape else None
        return ArraySpec(
            shape,
            dtype_name(found[0].dtype),
            arguments.codec,
            max_shape=longest,
            label=label,
            seal=arguments.seal,
        )
    from ..choose import infer

    doing("choosing a chain")
    spec = infer(found, max_shape=longest, label=label, **preferences(arguments))
    if not arguments.seal:
        return spec
    form = spec.shape, spec.dtype, spec.codecs
    return ArraySpec(*form, max_shape=spec.max_shape, label=label, seal=True)


@contextlib.contextmanager
def of_array(name: str) -> Iterator[None]:
    """Put the name of the array before the message of an error."""
    try:
        yield
    except (EncodeError, SpecError) as error:
        raise type(error)(f"array {shown(name)}: {error}") from None


def shared_spec(sample: Sequence[Input], arguments: argparse.Namespace) -> ArraySpec:
    """The spec for all files, by some of them: the form that most of these have."""
    split = arguments.split_axis is not None
    arrays = rows_of(sample, arguments) if split else Group(sample, arguments).samples()
    if not arrays:
        try:
            first = read(sample[0].path, sample[0].key, None, arguments)
            if split and not (first.ndim and len(first)):
                array = f"{sample[0].path}#{sample[0].key or ''}".removesuffix("#")
                reason = f"{array} has no rows to split"
            else:
                reason = f"they do not fit --max-shape {text_of(arguments.max_shape or ())}"
        except (TfdecodeError, OSError) as error:
            reason = str(error)
        raise FileError(f"none of the {len(sample)} files that were tried can be used: {reason}")
    forms = Counter((array.dtype.name, array.shape) for array in arrays)
    ((dtype, shape), count), *_ = forms.most_common(1)
    if arguments.max_shape is None and len(forms) > 1:
        advice = "others are packed if they can be converted to it"
        if mergeable([*forms]):
            advice = f"--max-shape {text_of(longest_of([*forms]))} would make one spec for all"
        tried = f"{count} of {len(arrays)} files that were tried are {dtype} {dimensions(shape)}"
        note(f"{tried}; {advice}")
    return spec_of([a for a in arrays if fits(a, dtype, shape, arguments)], arguments)


def rows_of(sample: Sequence[Input], arguments: argparse.Namespace) -> list[np.ndarray]:
    """Rows of the arrays of files, at even distances."""
    from ..bulk.reader import Reader  # SQLite and more: not for those who pack a file

    reader = Reader(1, reading_of(arguments))
    found: list[np.ndarray] = []
    each = -(-SAMPLES // len(sample))
    for one in sample:
        with contextlib.suppress(TfdecodeError, OSError):  # reported when its turn comes
            rows = reader.rows(str(one.path), one.key) or 0
            for number in range(min(each, rows)):
                row = number * rows // min(each, rows)
                array = reader.read(None, str(one.path), one.key, row)
                bounded([array], arguments.max_shape)
                found.append(array)
                if sum(array.nbytes for array in found) > SAMPLE_BYTES:
                    return found
    return found


def fits(
    array: np.ndarray, dtype: str, shape: Sequence[int], arguments: argparse.Namespace
) -> bool:
    """Whether one spec can describe an array and those of this form."""
    if arguments.max_shape is None:
        return (array.dtype.name, array.shape) == (dtype, shape)
    return bool(array.dtype.name == dtype and array.ndim == len(shape))


def sides(samples: Sequence[np.ndarray]) -> Iterator[tuple[int, ...]]:
    """The sizes of all samples along each dimension."""
    return zip(*(sample.shape for sample in samples), strict=True)


def tried(samples: Sequence[np.ndarray], arguments: argparse.Namespace) -> list[Report]:
    """The chains that were tried on arrays, the best first, for ``--explain``."""
    from ..choose import rank
    from . import explain

    found, longest = bounded(samples, arguments.max_shape)
    candidates = rank(found, max_shape=longest, **preferences(arguments))
    return explain.report(candidates, samples[0].nbytes)
