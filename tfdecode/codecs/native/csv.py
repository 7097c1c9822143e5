"""csv: a matrix as text, a row a line, as numpy.savetxt and spreadsheets write it (RFC 4180)."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ...dtypes import numpy_dtype
from ...errors import DecodeError, EncodeError, FileError, SpecError
from ...extras import tensorflow as tf
from ...form import ArrayForm, BytesForm
from ...formats import csv
from ...formats.contents import shown
from ...formats.notation import ERROR_VALUE
from ...graph.by_row import with_sides
from ...graph.casts import NORMAL, TINY
from ...graph.rows import Rows, Status
from ..base import Container

SEPARATORS = (",", ";", "\t", " ")
#: What Python's float and TensorFlow's to_number read alike: on others the op fails the batch, or
#: reads hexadecimal. Until at least 2.12 it failed on ``infinity`` and texts of 32 characters, too.
DECIMAL = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
NUMBER = rf"(?:[+-]?(?:{DECIMAL}|(?i:inf))|\+?(?i:nan))"
LONGEST = 31
#: Lines that are skipped, unless a spreadsheet wrote the value of a failed formula.
COMMENT = rb"#(?!%s)" % ERROR_VALUE.removeprefix("#").encode()
#: Lines of a payload beyond those of the longest array, at most; and the longest header.
EXTRA, MAX_HEADER = 64, 64
#: Bytes for each cell with its separator (savetxt takes 25), and for comments.
CELL, COMMENTS = 32, 4096
#: Limit of a text; the client's reader accepts no longer line.
MAX_TEXT_BYTES = 2**25 - 1
#: Bytes of the graph for a cell or line, at most: a string, its offset, its number.
MAX_CELL_NBYTES = 320
#: The bits of the NaN that ``nan`` is.
NAN = {"float32": 0x7FC00000, "float64": 0x7FF8000000000000}
EXACT = 2.0**53
ADVICE = "use astype:float64|csv, which accepts every value that float64 holds exactly"


@dataclass(frozen=True)
class Csv(Container):
    r"""Text, one row of a matrix per line, as `numpy.savetxt` and spreadsheets write it.

    Arrays have rank 2, or rank 1 with one number per line, and dtype float32 or float64. A cell is
    read as Python's `float` reads it, for float32 then rounded once more. Lines end in LF or CRLF;
    the last one may have no end. Blanks around cells, empty lines and lines that begin with ``#``
    are skipped.

    Parameters
    ----------
    separator : str, default ","
        Between cells: ``,``, ``;``, a tab, or a space for any number of blanks.
    header : int, default 0
        Number of lines to skip at the beginning, at most 64.

    Notes
    -----
    Format: RFC 4180, without quotes.

    A cell has at most 31 characters, a file at most 64 lines more than the array has rows. An
    integer that float64 cannot represent is refused. TensorFlow's ``to_number`` read 1,013,322
    texts with the same bits as Python.

    Examples
    --------
    >>> import numpy as np, tfdecode
    >>> spec = tfdecode.ArraySpec((2, 2), "float32", "csv")
    >>> spec.encode(np.float32([[1, -0.0], [0.1, np.inf]]))
    b'1,-0\n0.1,inf\n'
    >>> spec.decode(b"# x, y\r\n1.5, 2\r\n3e-2, 4\r\n").tolist()[0]
    [1.5, 2.0]
    """

    name = "csv"
    suffixes = (".csv", ".tsv", ".txt")
    contents = csv.contents
    separator: str = ","
    header: int = 0

    def __post_init__(self) -> None:
        if self.separator not in SEPARATORS:
            raise SpecError(
                f"codec csv: separator is {self.separator!r}, needs a comma, a semicolon, a tab "
                "or a space"
            )
        if type(self.header) is not int or not 0 <= self.header <= MAX_HEADER:
            raise SpecError(
                f"codec csv: header is {self.header!r}, needs a number of lines, 0 to {MAX_HEADER}"
            )

    @classmethod
    def file_configurations(cls, key: str, data: bytes) -> list[dict[str, Any]]:
        layout = csv.layout_of(data)
        separator = layout.mark or (" " if layout.columns > 1 else cls.separator)
        return [{"name": cls.name, "separator": separator, "header": layout.skip}]

    @classmethod
    def as_is_refusal(cls, data: bytes) -> str:
        reason = refusal(data, csv.layout_of(data))
        return f"{reason}; save it with numpy.savetxt(path, array, '%.17g', ',')" if reason else ""

    def resolve(self, form: ArrayForm) -> BytesForm:
        if form.dtype not in NAN:
            advice = "use npy" if "complex" in form.dtype else ADVICE
            raise SpecError(
                f"codec csv: text is read as float32 or float64, not {form.dtype}: {advice}"
            )
        form.require_sides_follow(self.name)
        if len(form.shape) not in (1, 2):
            raise SpecError(f"codec csv: {form} needs rank 1 or 2; use npy")
        if len(form.shape) == 2 and form.shape[1] is None:
            raise SpecError(
                f"codec csv: {form} needs a fixed number of columns; only the first dimension can "
                "be None"
            )
        cells, columns = prod(form.max_shape), columns_of(form)
        most = CELL * (cells + self.header * columns) + COMMENTS
        if most > MAX_TEXT_BYTES:
            raise SpecError(f"codec csv: {form} has {cells} cells, too many for text; use npy")
        least = 2 * cells - 1 + self.header if cells and not form.none_axes else 0
        return BytesForm(least, most, lambda: self.filler(form))

    def domain(self, form: ArrayForm) -> str:
        return "no NaN but the positive quiet one without a payload"

    def inflates(self, form: ArrayForm) -> int:
        return (
            MAX_CELL_NBYTES * (form.max_shape[0] + EXTRA + self.header + 1) * (columns_of(form) + 1)
        )

    def encode(self, x: np.ndarray, form: ArrayForm) -> bytes:
        x = np.ascontiguousarray(x, x.dtype.newbyteorder("=")).reshape(x.shape)
        bits = x.view(f"u{x.dtype.itemsize}")
        wrong = np.isnan(x) & (bits != NAN[form.dtype])
        if wrong.any():
            index = np.argwhere(wrong)[0]
            raise EncodeError(
                f"NaN with bits {bits[tuple(index)]:#x} at index {index.tolist()} cannot be "
                f"written as text ({np.count_nonzero(wrong)} such values); use numpy.nan"
            )
        columns = columns_of(form)
        texts = [text.removesuffix(".0") for text in shortest(x)]
        lines = [self.separator.join(f"c{i}" for i in range(columns))] * self.header
        if columns:
            starts = range(0, len(texts), columns)
            lines += [self.separator.join(texts[i : i + columns]) for i in starts]
        return "".join(f"{line}\n" for line in lines).encode()

    def decode(self, y: bytes, form: ArrayForm) -> np.ndarray:
        columns = columns_of(form)
        most = self.most_lines(form)
        lines = [line.strip() for line in y.split(b"\n", most)]
        if any(lines[most:]):
            raise DecodeError(f"payload has more than {most} lines, not {self.text(form)}")
        lines = lines[self.header :]
        lines = [line for line in lines if line and not re.match(COMMENT, line)]
        if not self.lines_fit(len(lines), form):
            raise DecodeError(f"payload has {len(lines)} lines of numbers, not {self.text(form)}")
        if self.separator == " ":
            lines = [b" ".join(line.split()) for line in lines]
        pattern, mark = re.compile(self.line.encode()), self.separator.encode()
        longer = re.compile(rb"[^,; \t]{%d}" % (LONGEST + 1))
        for line in lines:
            fits = line.count(mark) == columns - 1 and pattern.fullmatch(line)
            if not fits or longer.search(line):
                raise DecodeError(f"payload has a line of {len(line)} bytes, not {self.text(form)}")
        x = np.zeros(0)
        if lines:
            try:
                x = csv.contents(b"\n".join(lines)).read()
            except FileError as error:
                raise DecodeError(f"payload: {error}") from None
        with np.errstate(over="ignore"):
            y32 = x.astype(numpy_dtype(form.dtype))
        if (np.isinf(y32) & np.isfinite(x)).any():
            raise DecodeError(f"payload has a number beyond {form.dtype}")
        return y32.reshape(form.shape_of(y32.size))

    def text(self, form: ArrayForm) -> str:
        """What a payload is, for messages."""
        marks = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "blanks"}
        return f"a text of {form} with {marks[self.separator]} between"

    @property
    def line(self) -> str:
        """The pattern of a line without blanks at its ends, for RE2 and for Python."""
        between = r"[ \t]+" if self.separator == " " else f" *{self.separator} *"
        return f"{NUMBER}(?:{between}{NUMBER})*"

    def most_lines(self, form: ArrayForm) -> int:
        """A payload has no more lines."""
        return form.max_shape[0] + EXTRA + self.header

    def lines_fit(self, count: Any, form: ArrayForm) -> Any:
        """Whether so many lines of numbers are as many as there must be."""
        most = form.max_shape[0] if columns_of(form) else 0
        least = 0 if form.none_axes else most
        return (count >= least) & (count <= most)  # a graph of TensorFlow 1 has no ``==``

    def decode_rows(self, rows: Rows, form: ArrayForm) -> Rows:
        # What is too long must not be split.
        rows = rows.guard(self.filler(form))
        good, lines, cells = self.split(rows.data, form)
        length = tf.strings.length(rows.data)
        rows = rows.check(good, length, Status.HEADER, f"has {{}} bytes, not {self.text(form)}")

        def again() -> Any:
            payloads = tf.where(rows.ok, rows.data, self.filler(form))
            return list(self.split(payloads, form)[1:])

        lines, cells = tf.cond(tf.reduce_all(rows.ok), lambda: [lines, cells], again)
        numbers = tf.strings.to_number(cells, tf.float64)
        wrong = unlike(cells, numbers)
        data = numbers
        if form.dtype == "float32":
            data = narrowed(numbers)
            wrong |= tf.math.is_inf(data) & tf.math.is_finite(numbers)
        if form.none_axes:
            rows = with_sides(rows, lines[:, tf.newaxis], form)
        else:
            shape = tf.stack([rows.size, *form.max_shape])
            data, wrong = tf.reshape(data, shape), tf.reshape(wrong, shape)
        rows = replace(rows, data=data, unguarded=False)
        message = f"has {{}} numbers that {form.dtype} does not hold"
        return rows.check_elements(wrong, Status.VALUE, message)

    def split(self, payloads: Any, form: ArrayForm) -> tuple[Any, Any, Any]:
        """Whether each row is such a text, its number of lines, int64 ``[B]``, and all cells."""
        size, columns = tf.shape(payloads, tf.int64)[0], columns_of(form)
        indices, lines, _ = tf.raw_ops.StringSplitV2(
            input=payloads, sep="\n", maxsplit=self.most_lines(form)
        )
        lines = tf.strings.strip(lines)
        rest = tf.equal(indices[:, 1], self.most_lines(form)) & tf.not_equal(lines, "")
        longer = counts(tf.boolean_mask(indices[:, 0], rest), size) > 0
        kept = tf.not_equal(lines, "") & tf.not_equal(tf.strings.substr(lines, 0, 1), "#")
        kept |= tf.strings.regex_full_match(lines, f"{ERROR_VALUE}.*")
        kept &= indices[:, 1] >= self.header
        lines, row = tf.boolean_mask(lines, kept), tf.boolean_mask(indices[:, 0], kept)
        fits = tf.strings.regex_full_match(lines, self.line)
        whole = tf.where(fits, lines, "0")
        if self.separator == " ":  # split at any blanks, with a limit, the op adds an empty cell
            whole = tf.strings.regex_replace(whole, "[ \\t]+", " ")
        indices, cells, _ = tf.raw_ops.StringSplitV2(
            input=whole, sep=self.separator, maxsplit=columns
        )
        cells = tf.strings.strip(cells)
        # One that is too long counts for more than there may be.
        weight = tf.where(tf.strings.length(cells) <= LONGEST, 1, MAX_TEXT_BYTES)
        count = tf.math.unsorted_segment_sum(weight, indices[:, 0], tf.size(lines))
        fits &= tf.equal(count, columns)
        count = counts(row, size)
        all_fit = tf.equal(counts(tf.boolean_mask(row, fits), size), count)
        return all_fit & ~longer & self.lines_fit(count, form), count, cells


def refusal(data: bytes, layout: csv.Layout) -> str:
    """The first thing in a text that stock ops do not read; "" if there is none."""
    if layout.skip > MAX_HEADER:
        return f"its numbers begin after line {layout.skip}, and {MAX_HEADER} lines can be skipped"
    if layout.trailing:
        return f"its lines end with {layout.mark!r}, after which stock ops expect a number"
    if b"\r" in data.replace(b"\r\n", b""):
        return "its lines end in CR, without LF"
    if layout.mark not in (*SEPARATORS, None):
        return f"its cells are separated by {layout.mark!r}"
    lines = data.removesuffix(b"\n").split(b"\n")[layout.skip :]
    if not layout.skip and data.startswith(codecs.BOM_UTF8):
        return "it begins with a byte order mark"
    others = 0
    for number, line in enumerate(lines, layout.skip + 1):
        where = f"line {number}"
        if not line.strip() or re.match(COMMENT, line.strip()):
            others += 1
            continue
        if line.startswith(b"%"):
            return f"{where} begins with %, and stock ops skip only comments that begin with #"
        for column, cell in enumerate(line.split(layout.mark.encode() if layout.mark else None), 1):
            if b'"' in cell:
                return f"{where}, column {column} has quotes"
            if len(cell.strip()) > LONGEST:
                return f"{where}, column {column} has more than {LONGEST} characters"
            if not re.fullmatch(NUMBER.encode(), cell.strip()):
                text = shown(cell.strip().decode("utf-8", "replace"), 20)
                return f"{where}, column {column} is {text or 'empty'}, which stock ops do not read"
    if others > EXTRA:
        return f"it has {others} comments and empty lines, and {EXTRA} are skipped"
    return ""


def columns_of(form: ArrayForm) -> int:
    """Cells of a line."""
    return form.max_shape[1] if len(form.shape) == 2 else 1


def counts(places: Any, size: Any) -> Any:
    """How often each number below ``size`` stands in ``places``: int64 ``[size]``."""
    return tf.math.unsorted_segment_sum(tf.ones_like(places), places, size)


def shortest(x: np.ndarray) -> list[str]:
    """The shortest text of each number that is read as the same again."""
    numbers: list[float] = x.reshape(-1).tolist()
    if x.dtype == np.float64:
        return list(map(repr, numbers))
    # NumPy finds the digits; float64 keeps as many, and Python writes them alike for all versions.
    read = [float(text) for text in x.reshape(-1).astype("U32").tolist()]
    texts = list(map(repr, read))
    # Decoders read them as float64 first, which could round them to a neighbour.
    again = np.array(read, np.float64).astype(np.float32)
    for index in np.flatnonzero((again != x.reshape(-1)) & (again == again)).tolist():
        texts[index] = repr(numbers[index])
    return texts


def unlike(cells: Any, numbers: Any) -> Any:
    """Where a cell is an integer that its number is not: bool ``[n]``."""
    large = tf.abs(numbers) >= EXACT

    def different() -> Any:
        integer = tf.strings.regex_full_match(cells, "[+-]?[0-9]+")
        digits = tf.strings.regex_replace(cells, r"^\+?(-?)0*([0-9]+)$", r"\1\2")
        same = tf.equal(digits, tf.strings.as_string(numbers, precision=0))
        return large & integer & tf.logical_not(same)

    return tf.cond(tf.reduce_any(large), different, lambda: tf.zeros_like(large))


def narrowed(x: Any) -> Any:
    """float64 as the nearest float32, subnormal ones too, which TensorFlow's threads flush."""
    tiny = tf.abs(x) < NORMAL
    narrow = tf.cast(x, tf.float32)

    def exact() -> Any:
        size = tf.cast(tf.round(tf.where(tiny, tf.abs(x), 0) / TINY), tf.int32)
        bits = tf.where(x < 0, size - 2**31, size)
        some = tiny & (size > 0)
        return tf.where(some, tf.bitcast(bits, tf.float32), narrow)

    return tf.cond(tf.reduce_any(tiny & tf.not_equal(x, 0)), exact, lambda: narrow)
