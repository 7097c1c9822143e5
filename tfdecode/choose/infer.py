"""infer: tries the chains that could suit given arrays, and takes the one that costs least."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from ..codecs.registry import CODECS
from ..errors import SpecError
from ..releases import release
from ..spec import ArraySpec
from .as_is import spec_of_file
from .order import BANDWIDTHS
from .samples import form_of, samples_of
from .search import Search
from .trials import Candidate

#: Who encodes: the client an input, the graph an output.
ROLES = ("input", "output")


def infer(
    arrays: Any,
    *,
    prefer: str = "balanced",
    min_tensorflow: str = "2.12",
    portable: bool = False,
    bandwidth: float | None = None,
    key: str | None = None,
    max_shape: Sequence[int] | None = None,
    label: str = "",
    fallback: bool = True,
    trusted: bool = False,
    as_is: bool = False,
    role: Literal["input", "output"] = "input",
) -> ArraySpec:
    """Choose the spec that suits an array, several arrays of a kind, or a file.

    The result follows from the arguments alone: no cache and no property of the machine changes it.

    Parameters
    ----------
    arrays : numpy.ndarray, sequence of numpy.ndarray, or os.PathLike
        Samples. The dimensions in which several differ become ``None``. A file is a
        `pathlib.Path`, never a ``str``.
    prefer : {"balanced", "smallest", "fastest"}
        The goal. "balanced" is smaller than zlib and decodes faster, if a chain is both and no
        other is half as large; it is never larger and slower than plain deflate at any level.
    min_tensorflow : str, default "2.12"
        The oldest TensorFlow version that must run the model, "2.3" or later. ``zstd`` needs
        "2.20". Before 2.12 it needs an export with the same ``min_tensorflow``.
    portable : bool, default False
        Use only codecs that the JavaScript client supports.
    bandwidth : float, optional
        Bytes per second of the network, for which the time to encode, send and decode is minimised.
    key : str, optional
        Which array of a file that has several.
    max_shape : sequence of int, optional
        The largest shape, needed if the samples differ in a dimension.
    label : str, default ""
        The label of the spec.
    fallback : bool, default True
        If the best chain cannot encode every array of this form, add a second one (`one_of`).
    trusted : bool, default False
        Whether you trust all clients. If so, chains are proposed in which a hostile payload can
        take more memory than the spec says (`ArraySpec.bounded`): ``zlib`` on rows above 32 KiB.
    as_is : bool, default False
        Find the spec under which a whole file is the payload; takes only ``key`` and ``label``.
    role : {"input", "output"}
        "output" chooses for an output of a model, which the graph encodes and the client decodes:
        only of codecs that have the ops for it, not ``zlib``, ``zstd`` or ``sparse``.

    Returns
    -------
    ArraySpec
        Bounded unless ``trusted`` or ``as_is``.

    Raises
    ------
    SpecError
        If one spec cannot describe all arrays.
    EncodeError
        If a bool array has bytes other than 0 and 1.
    FileError
        If the file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.kron(np.arange(6.0).reshape(2, 3), np.ones((32, 32)))
    >>> len(infer(labels).encode(labels)) < labels.nbytes / 50
    True
    """
    if as_is:
        if not isinstance(arrays, PathLike):
            raise SpecError("as_is=True needs a single pathlib.Path")
        if max_shape is not None:
            raise SpecError("max_shape= has no effect with as_is=True: a file has one shape")
        given = prefer, min_tensorflow, portable, bandwidth, role
        if given != ("balanced", "2.12", False, None, "input"):
            names = "prefer, min_tensorflow, portable, bandwidth and role"
            raise SpecError(f"{names} have no effect with as_is=True")
        return spec_of_file(Path(arrays), key, label=label)[0]
    candidates = rank(
        arrays,
        prefer=prefer,
        min_tensorflow=min_tensorflow,
        portable=portable,
        bandwidth=bandwidth,
        key=key,
        max_shape=max_shape,
        label=label,
        trusted=trusted,
        role=role,
    )
    best = candidates[0]
    if not fallback or not best.domain:
        return best.spec
    # Every client encodes by both chains, so the second one has to be quick unless size is all.
    most = 99.0 if prefer == "smallest" else 1.0
    total = next(one for one in candidates if not one.domain and one.effort <= most)
    return ArraySpec.joined([best.spec, total.spec])


def rank(
    arrays: Any,
    *,
    prefer: str = "balanced",
    min_tensorflow: str = "2.12",
    portable: bool = False,
    bandwidth: float | None = None,
    key: str | None = None,
    max_shape: Sequence[int] | None = None,
    label: str = "",
    trusted: bool = False,
    role: str = "input",
) -> list[Candidate]:
    """The chains that were tried, the best first; at least one carries every array."""
    if role not in ROLES:
        raise SpecError(f"role is {role!r}, known: {', '.join(ROLES)}")
    if prefer not in BANDWIDTHS:
        raise SpecError(f"prefer is {prefer!r}, known: {', '.join(BANDWIDTHS)}")
    if bandwidth is not None and not (isinstance(bandwidth, int | float) and bandwidth > 0):
        raise SpecError(f"bandwidth is {bandwidth!r}, needs bytes per second")
    samples = samples_of(arrays, key)
    fields = {**form_of(samples, max_shape), "label": label}
    ArraySpec(**fields)  # a SpecError that is of the arrays and of no chain
    if role == "output" and None in fields["shape"]:
        raise SpecError("the arrays differ in shape, but an output needs one that is fixed")
    oldest = release(min_tensorflow)
    codecs = [
        codec
        for codec in CODECS.values()
        if codec.min_tensorflow <= oldest
        and (codec.portable or not portable)
        and (codec.encodes_in_graph() or role == "input")
    ]
    return Search(samples, fields, codecs, trusted, prefer, bandwidth).run()
