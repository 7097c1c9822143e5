"""Reading array files of many programs safely, with nothing executed; the suffixes are below."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy.typing as npt

from . import reading
from .codecs.registry import CODECS
from .conversion import Casting, converted
from .dtypes import ITEM_SIZES, dtype_name
from .errors import RAISE_LIMIT, EncodeError, FileError, SkippedWarning
from .formats import headerless, npy, npz, safetensors
from .formats.contents import MAX_BYTES, Array, Contents, beyond
from .formats.readers import READERS, by_suffix, suffix_of
from .formats.sniff import GZIP_MAGIC, HDF5_MAGIC, ZIP_MAGIC, Kind, sniff
from .sources import Held, Source, held

if TYPE_CHECKING:
    from .spec import ArraySpec

#: Files up to this many bytes are read whole.
LARGE = 2**20


def load(
    path: str | os.PathLike[str] | bytes | BinaryIO,
    key: str | None = None,
    *,
    dtype: npt.DTypeLike | None = None,
    shape: Sequence[int] | None = None,
    casting: Casting = "equiv",
    max_bytes: int = MAX_BYTES,
    sparse: Literal["dense"] | None = None,
    missing: Literal["nan"] | None = None,
) -> Array:
    """Read one array of a file, in any shape and numeric dtype.

    Without ``dtype`` it is exactly as it was saved.

    Parameters
    ----------
    path : str, os.PathLike, bytes or binary file
        A regular file, or what is in one: bytes, or an object with a method ``read``, whose
        attribute ``name`` has the suffix. That says the format (``.npy .npz .mat .pkl .pickle .p
        .csv .tsv .txt .safetensors .h5 .hdf5 .nc .png .jpg .tif .nii .nii.gz .bin``), or else the
        first bytes do.
        HDF5, which ``.mat`` of version 7.3 is too, needs the extra ``hdf5``, JPEG ``jpeg``.
    key : str, optional
        Which of several arrays: the member of an ``.npz``, the variable of a ``.mat`` or the path
        in its structs and cells (``"S.seg"``, ``"C[1]"``, ``"S[2].seg"``; indices begin at 0 and
        count in column order), the tensor of a ``.safetensors``, the path in an ``.h5`` or in a
        pickle (``"S1,54138969/R"`` for ``data[("S1", 54138969)]["R"]``).
    dtype : dtype_like, optional
        The dtype to convert to, as ``casting`` allows. A ``.bin`` has no header: for it, the dtype
        in which its numbers are stored, little-endian unless ``">f4"`` says otherwise.
    shape : sequence of int, optional
        The shape of a file without a header, ``.bin`` or of an unknown suffix; one size may be -1.
        By default all its numbers are one dimension.
    casting : {"no", "equiv", "same_kind", "unsafe"}
        Which changes ``dtype`` may make, in NumPy's words, but decided by the values: "no" refuses
        another dtype; "equiv" none, each value stays the same number; "same_kind" rounds floats to
        a shorter float, and refuses values out of range; "unsafe" does what
        `numpy.ndarray.astype` does.
    max_bytes : int, default 2 GiB
        Most bytes that the array may have; checked before any of them is decoded. Of a large
        ``.npy``, ``.npz``, ``.safetensors`` or ``.h5`` only this array is read. Other files are
        read whole and may have twice as many bytes, or 4 GiB if that is more.
    sparse : {"dense"}, optional
        Read sparse arrays densely: those of a ``.mat``, and an ``.npz`` of `scipy.sparse.save_npz`.
        Without it they are refused, with their shape and number of non-zeros.
    missing : {"nan"}, optional
        Read the missing cells of a table as NaN: empty ones, ``NA``, ``n/a``, ``NULL`` and how else
        programs write them. Without it they are refused.

    Returns
    -------
    numpy.ndarray
        Read-only, often a view of the file's bytes, in the byte order and axis order as saved.

    Raises
    ------
    EncodeError
        If ``casting`` does not allow the conversion to ``dtype``: which value would change, to
        what, and by how much at most.
    FileError
        If the file cannot be read, is damaged, too large, holds no array or several without a
        ``key``; the message lists what it holds. Nothing that a pickle names is imported or run.

    Warns
    -----
    SkippedWarning
        If columns of text in a table were left out; it names them.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/maps.npz", pose=np.zeros((2, 3)), depth=np.ones(4))
    ...     load(f"{folder}/maps.npz", "depth")
    array([1., 1., 1., 1.])
    """
    if not isinstance(key, str | None):
        raise TypeError(f"key is {type(key).__name__}, needs a str as load_all has it, such as '7'")
    source = held(path, 2 * max(max_bytes, MAX_BYTES))
    form: Any = {"dtype": dtype, "shape": shape}
    found = listing(source, max_bytes=max_bytes, missing=missing, **form)
    return read_one(_with_sparse(found, sparse), source, key, dtype, casting, max_bytes)


def read_one(
    contents: Contents,
    path: str | os.PathLike[str],
    key: str | None,
    dtype: npt.DTypeLike | None,
    casting: Casting,
    max_bytes: int,
) -> Array:
    """One array of the contents of a file, as `load` returns it."""
    with naming(path):
        array = contents.read(key, max_bytes=max_bytes)
        if dtype is None:
            return array
        nbytes = array.size * ITEM_SIZES[dtype_name(dtype)]
        if nbytes > max_bytes:
            raise beyond("the array", nbytes, max_bytes)
        array = converted(array, dtype, casting)
    array.flags.writeable = False
    return array


def form_for(spec: ArraySpec, path: str | os.PathLike[str], rows: bool = False) -> dict[str, Any]:
    """The ``dtype`` and ``shape`` by which a file without a header is read; {} for any other.

    ``rows``: the spec is that of a row.
    """
    shape = (None, *spec.shape) if rows else spec.shape
    if not os.fspath(path).lower().endswith(headerless.SUFFIX) or shape.count(None) > 1:
        return {}
    return {"dtype": spec.dtype, "shape": [-1 if n is None else n for n in shape]}


def load_all(
    path: str | os.PathLike[str] | bytes | BinaryIO,
    *,
    max_bytes: int = MAX_BYTES,
    sparse: Literal["dense"] | None = None,
    missing: Literal["nan"] | None = None,
) -> dict[str, Array]:
    """Read all numeric arrays of a file, by key; formats and errors are those of `load`.

    Parameters
    ----------
    path : str, os.PathLike, bytes or binary file
        The file, or what is in it.
    max_bytes : int, default 2 GiB
        Most bytes that all arrays together may have.
    sparse : {"dense"}, optional
        Read sparse arrays densely.
    missing : {"nan"}, optional
        Read the missing cells of a table as NaN.

    Warns
    -----
    SkippedWarning
        If the file holds anything besides these arrays, such as text; it says what, and why.

    Examples
    --------
    >>> import io, numpy as np
    >>> file = io.BytesIO()
    >>> np.savez(file, pose=np.zeros((2, 3)), depth=np.ones(4))
    >>> {key: array.shape for key, array in load_all(file.getvalue()).items()}
    {'pose': (2, 3), 'depth': (4,)}
    """
    source = held(path, 2 * max(max_bytes, MAX_BYTES))
    contents = _with_sparse(listing(source, max_bytes=max_bytes, missing=missing), sparse)
    with naming(source):
        arrays = contents.read_all(max_bytes=max_bytes)
    if not contents.partial:
        _warn_of_skipped(source, contents, 3)
    return arrays


def _warn_of_skipped(path: str | os.PathLike[str], contents: Contents, level: int) -> None:
    if contents.others:
        text = f"{reading.name(path)}: left out {contents.left_out}"
        warnings.warn(SkippedWarning(text, dict(contents.others)), stacklevel=level)


def _with_sparse(contents: Contents, sparse: Literal["dense"] | None) -> Contents:
    if sparse not in (None, "dense"):
        raise FileError(f'sparse is {sparse!r}, needs None or "dense"')
    return contents.dense or contents if sparse else contents


def listing(
    path: str | os.PathLike[str],
    *,
    max_bytes: int = MAX_BYTES,
    missing: Literal["nan"] | None = None,
    dtype: npt.DTypeLike | None = None,
    shape: Sequence[int] | None = None,
) -> Contents:
    """What a file holds: its arrays, not decoded yet, and what else is there. See `load`.

    Of a large ``.npy``, ``.npz``, ``.safetensors`` or ``.h5`` only headers are read, and later
    those arrays that are asked for.
    """
    contents = by_headers(path, max_bytes) if shape is None else None
    form: Any = {"dtype": dtype, "shape": shape}
    return contents or opened(path, max_bytes=max_bytes, missing=missing, **form)[2]


def by_headers(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> Contents | None:
    """What a large file holds, by its headers alone; None if the whole file is needed."""
    if isinstance(path, Held):
        return None
    named = _format_of_suffix(_suffix(path))
    if named not in ("npy", "npz", "safetensors", "hdf5") or reading.size_of(path) < LARGE:
        return None
    data = reading.Slices(path)
    start = data[:9]
    with naming(path):
        if named == "npy" and start.startswith(npy.MAGIC):
            return npy.by_header(data)
        # Each member takes memory before any of it is read.
        if named == "npz" and start.startswith(ZIP_MAGIC) and len(data) <= 2 * max_bytes:
            kind = sniff(data[:4096], named)
            return npz.contents(data, max_bytes=max_bytes) if kind and kind.format else None
        if named == "safetensors" and start.endswith(b"{"):
            return safetensors.contents(data)
        if named == "hdf5" and start.startswith(HDF5_MAGIC):
            return READERS[named].contents(data, max_bytes=max_bytes)
    return None


def opened(
    path: str | os.PathLike[str],
    *,
    max_bytes: int = MAX_BYTES,
    missing: Literal["nan"] | None = None,
    dtype: npt.DTypeLike | None = None,
    shape: Sequence[int] | None = None,
) -> tuple[str, bytes, Contents]:
    """The format of a file (``"pkl"``), all its bytes, and what it holds. See `load`.

    ``dtype`` and ``shape`` are of a file without a header.
    """
    data = reading.read(path, 2 * max(max_bytes, MAX_BYTES), RAISE_LIMIT)
    with naming(path):
        suffix = _suffix(path)
        named = _format_of_suffix(suffix)
        if named is None and (shape is not None or (dtype is not None and not _known(data))):
            return headerless.NAME, data, headerless.contents(data, dtype, shape)
        if shape is not None:
            raise FileError(f"is a {suffix}, which says its shape; shape is for files without one")
        found = _format(suffix, named, data)
        if found in READERS:
            return found, data, READERS[found].contents(data, max_bytes=max_bytes)
        reader = CODECS.container(found).contents
        options = {"missing": missing} if found == "csv" and missing else {}
        contents = reader(data, max_bytes=max_bytes, **options)
        if contents.partial:
            _warn_of_skipped(path, contents, 5)
        return found, data, contents


def _suffix(path: str | os.PathLike[str]) -> str:
    return suffix_of(path.name if isinstance(path, Source) else reading.check_type(path))


def has_suffix(path: Path) -> bool:
    """Whether the name says that this is an array file."""
    return _format_of_suffix(suffix_of(path)) is not None


class naming:  # a generator as context manager takes three times as long
    """Put the file's name before the message of a FileError or an EncodeError."""

    __slots__ = ("_path",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, FileError | EncodeError):
            name = f"{reading.name(self._path)}: "
            if not str(error).startswith(name):
                raise type(error)(f"{name}{error}") from None


def _format(suffix: str, named: str | None, data: bytes) -> str:
    found = sniff(data, named)
    if named is None and not (found and found.format):
        found = _registered(data) or found
    if not data:
        raise FileError("is empty")
    if named is None:
        if found and found.format:
            return found.format
        holds = f" and holds {found.name}" if found else ""
        known = [suffix for codec in CODECS.native() for suffix in codec.suffixes]
        known += [s for reader in READERS.values() for s in reader.suffixes]
        listed = ", ".join([*known, headerless.SUFFIX])
        advice = "" if found else f"; if it is numbers without a header, {headerless.ADVICE}"
        if suffix == headerless.SUFFIX and not found:
            raise FileError(f"has no header that says what its numbers are; {headerless.ADVICE}")
        raise FileError(f"has an unknown suffix{holds}; the known ones are {listed}{advice}")
    # Some programs leave out the text by which MATLAB v7.3 differs from HDF5: .mat decides.
    hdf5_mat = named == "mat" and found is not None and found.format == "hdf5"
    ours = named in READERS or named in CODECS.built_in  # another codec knows its own files
    if suffix == ".nii.gz" and data.startswith(GZIP_MAGIC):
        return named
    if found and found.format != named and not hdf5_mat and ours:
        advice = ""
        if found.format:
            reader = READERS.get(found.format) or CODECS.container(found.format)
            advice = f"; rename it to {reader.suffixes[0]}"
        raise FileError(f"is named {suffix} but holds {found.name}{advice}")
    return named


def _format_of_suffix(suffix: str) -> str | None:
    if found := by_suffix(suffix):
        return found
    codec = CODECS.by_suffix(suffix) if suffix else None
    return codec.name if codec else None


def _known(data: bytes) -> bool:
    """Whether the first bytes are of a format that is read."""
    kind = sniff(data, None) or _registered(data)
    return bool(kind and kind.format)


def _registered(data: bytes) -> Kind | None:
    """The kind of a file of which only a codec from outside knows the first bytes."""
    found = (c for c in CODECS.native() if c.name not in CODECS.built_in and c.magics)
    codec = next((codec for codec in found if data.startswith(codec.magics)), None)
    return Kind(codec.name, f"a file of codec {codec.name}") if codec else None
