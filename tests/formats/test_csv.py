"""The csv reader gives the float64 that Python's float gives, and names the cell that is none."""

from __future__ import annotations

import contextlib
import io
import random
import time
import tracemalloc
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tfdecode.errors import FileError
from tfdecode.formats import csv

MATRICES = npst.arrays("f8", npst.array_shapes(min_dims=2, max_dims=2))


def read(text: str, **options: int) -> np.ndarray:
    return csv.contents(text.encode(), **options).read()


@given(
    MATRICES, st.sampled_from([",", ";", "\t", " ", ", "]), st.sampled_from(["\n", "\r\n", "\r"])
)
def test_repr_comes_back_bit_for_bit(array: np.ndarray, mark: str, end: str) -> None:
    text = "".join(mark.join(map(repr, row)) + end for row in array.tolist())
    got = read(text)
    assert (got.dtype, got.shape) == (np.dtype("f8"), array.shape)
    np.testing.assert_array_equal(got, array)
    assert (np.signbit(got) == np.signbit(array))[~np.isnan(array)].all()


@given(MATRICES, st.sampled_from([",", ";", None]))
def test_savetxt_reads_as_by_loadtxt(array: np.ndarray, mark: str | None) -> None:
    file = io.BytesIO()
    np.savetxt(file, array, delimiter=mark or " ", header="a b")
    by_numpy = np.loadtxt(io.BytesIO(file.getvalue()), delimiter=mark, ndmin=2)
    np.testing.assert_array_equal(csv.contents(file.getvalue()).read(), by_numpy)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("1,2\n3,4", [[1, 2], [3, 4]]),
        ("\n1,2\n\n3,4\n\n", [[1, 2], [3, 4]]),
        ("x,y\n1,2\n", [[1, 2]]),
        ('"x","a name, with comma"\n1,2\n', [[1, 2]]),
        ("x y\n1 2\n", [[1, 2]]),
        ("\ufeffx;y\n1;2\n", [[1, 2]]),
        ("größe\tx_1\n1\t2\n", [[1, 2]]),
        ("# made by a program\n1\t2\n", [[1, 2]]),
        ("% made by a program\n1;2\n", [[1, 2]]),
        ("My experiment, by me\n\nx;y\n1;2\n", [[1, 2]]),
        ("sep=;\nx;y\n1;2\n", [[1, 2]]),
        ('"sep=|"\n1|2\n', [[1, 2]]),
        (",x,y\n0,1,2\n", [[0, 1, 2]]),
        ("a,a\nx,y\nindex,\n1,2\n", [[1, 2]]),
        ('"x" "y"\n"1" 2 3\n', [[1, 2, 3]]),
        ("1,2,\n3,4,\n", [[1, 2], [3, 4]]),
        ("x,y,\n1,2,\n", [[1, 2]]),
        ('"1";"2.5"\n', [[1, 2.5]]),
        ("  1   2 \n 3  4\n", [[1, 2], [3, 4]]),
        ("1, 2\n", [[1, 2]]),
        ("5\n6\n", [[5], [6]]),
        ("inf,-inf,1e400,1e-400\n", [[np.inf, -np.inf, np.inf, 0]]),
        ("9007199254740992,18014398509481984\n", [[2.0**53, 2.0**54]]),
        ("9007199254740993.,1e23\n", [[2.0**53, 1e23]]),
    ],
    ids=repr,
)
def test_forms_of_tables(text: str, rows: list) -> None:
    assert read(text).tolist() == rows


def test_integers_are_float64_too() -> None:
    assert read("1,2\n").dtype == np.float64


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,2\n3\n", "line 2 has 1 cells where line 1 has 2"),
        ("x,y\n\n1,2\n3,4,5\n", "line 4 has 3 cells where line 3 has 2"),
        ("1,2\n3,\n", "line 2, column 2 is empty; if the value is missing, .*--missing nan"),
        (",0,1\n0,1,2\n", "line 1 may be numbers, or the header that pandas writes"),
        ("x,y,z\n1,2\n", "line 1 has 3 names where line 2 has 2 cells"),
        ("1,2,\n3,4,5\n", "line 1, column 3 is empty"),
        ("1,2\n3,cat\n", "line 2, column 2 is no number: cat; leave the column out$"),
        ("id,1\n3,4\n", "is no number: id; leave the column out, or the line if it is a header"),
        (
            "1;2\n3,5;4\n",
            "line 2, column 1 is no number: 3,5 has a decimal comma; write dec",
        ),
        ("1,1_000\n", "line 1, column 2 is no number: 1_000"),
        ("1,\u0661\n", "line 1, column 2 is no number"),
        ("1,0x10\n", "line 1, column 2 is no number"),
        ("1," + "secret" * 9, "column 2 is no number: secretsecretsecretse...; leave"),
        ('1,"2\n3",4\n', "is no table: line 1 has a quoted cell that does not end in it"),
        ("x,y\n", "holds no row of numbers below its header"),
        ("# nothing\n\n", "holds no row of numbers"),
        ("x\n9007199254740993\n", "line 2, column 1 is an integer that float64 does not hold"),
        ("1\n-18446744073709551615\n", "line 2, column 1 is an integer that float64 does not"),
        ("1\n" + "9" * 5000, "line 2, column 1 is an integer that float64 does not hold"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_matrix_names_line_and_column(text: str, reason: str) -> None:
    with pytest.raises(FileError, match=reason) as caught:
        read(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


NO_NAMES = [
    *("0,5", "-,5", "1.234,5", "1 000", "1'000", "1.0D0", "2q-3", "0x1", "0x1p3", "&H1F", "0b1"),
    *("1_000", "2020-01-02", "1/2/2020", "2.1.2020", "2020-01-02T03:04:05Z", "3-Jan-2020"),
    *("Jan-20", "Jan 3, 2020", "Mon, 3 May 2020", "12:30", "12:30 PM", "2 days 03:00:00", "1:"),
    *("True", "FALSE", "1+2j", "(1-2j)", "3i", "1.#INF", "\u221e", "5%", "$5", "\u20ac 5"),
    *("USD 5", "(5)", "5 kg", "5cm", "52\u00b030'", "1st", "--1", "1e", "1-", "\u22125"),
    *("\u0661", "\u00bd", "\u4e94", "[1 2]", "1/2", "#N/A", "NA", "n/a", "None", "NULL", ".", "?"),
    *("-", "1.#QNAN", "nan(ind)"),
]


@pytest.mark.parametrize("cell", NO_NAMES)
@pytest.mark.parametrize("missing", [None, "nan"])
def test_a_first_line_that_may_be_data_is_never_taken_for_a_header(
    cell: str, missing: Literal["nan"] | None
) -> None:
    """Whatever the notation, it is read or refused; the line never vanishes."""
    for text in (f"{cell};{cell}\n2;3\n", f"x;{cell}\n2;3\n"):
        try:
            array = csv.contents(text.encode(), missing=missing).read()
        except FileError as error:
            assert "line 1" in str(error)
        else:
            assert missing and array.tolist()[1:] == [[2, 3]] and np.isnan(array[0]).all()


@pytest.mark.parametrize(
    ("cell", "notation"),
    [
        ("0,5", "has a decimal comma; write decimals with a point"),
        ("1.0D0", "has an exponent of Fortran"),
        ("12:30", "is a time"),
        ("0x1", "is hexadecimal"),
        ("2020-01-02", "is a date"),
        ("True", "is a truth value; write 1 and 0"),
        ("1+2j", "is a complex number; save the array by numpy.save"),
        ("5 kg", "is a number with a text"),
        ("1|2", r"is separated by \|"),
    ],
)
def test_a_notation_that_is_not_read_is_named(cell: str, notation: str) -> None:
    for text in (f"{cell}\t1\n2\t3\n", f"2\t3\n{cell}\t1\n"):
        with pytest.raises(FileError, match=notation):
            read(text)


@pytest.mark.parametrize(
    "name",
    [
        "x",
        "x1",
        "T2 (\u00b0C)",
        "(mm)",
        "% fat",
        "i",
        "e5",
        "Jan",
        "\u65e5\u671f",
        "col 5",
        "v_0",
        "a-1",
    ],
)
def test_names_are_skipped(name: str) -> None:
    assert csv.contents(f"{name}\tother\n1\t2\n".encode()).read().tolist() == [[1, 2]]


@pytest.mark.parametrize("mark", ["", " ", "NA", "n/a", "N/A", "null", "NULL", "None", "#N/A", "."])
def test_missing_values_are_nan_if_asked_for(mark: str) -> None:
    text = f"a;b\n1;{mark}\n{mark};4\n"
    with pytest.raises(FileError, match=r"line 2, column 2 .*missing=\"nan\""):
        read(text)
    array = csv.contents(text.encode(), missing="nan").read()
    assert np.array_equal(array, [[1, np.nan], [np.nan, 4]], equal_nan=True)
    with pytest.raises(FileError, match="is no number: cat"):
        csv.contents(text.encode() + b"5;cat\n", missing="nan")


def test_another_word_for_missing_is_refused() -> None:
    with pytest.raises(FileError, match=r"missing is 'zero', needs None or \"nan\""):
        csv.contents(b"1,2\n", missing="zero")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("1,2\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ("größe\n1\n".encode("latin-1"), "is no UTF-8 text"),
        (bytes(100), "has null bytes"),
    ],
)
def test_other_encodings_are_named(data: bytes, reason: str) -> None:
    with pytest.raises(FileError, match=reason):
        csv.contents(data)


def test_the_name_of_a_column_says_where_it_is() -> None:
    with pytest.raises(FileError, match=r"no array named y: it is a column; .* take \[:, 1\]"):
        csv.contents(b"x,y\n1,2\n").read("y")


@pytest.mark.parametrize(
    ("text", "rows", "others"),
    [
        ('name,x\n"Braund, Mr. Owen",1\nMiss,2\n', [[1], [2]], ["name"]),
        (",x,city\nBob,1,Rome\nAnn,2,\n", [[1], [2]], ["column 1", "city"]),
        ("x\tcabin\ty\n1\t\t2\n3\tC85\t4\n", [[1, 2], [3, 4]], ["cabin"]),
        ("ticket;x;\nA/5 21171;1;\n113803;2;\n", [[1], [2]], ["ticket"]),
        ('"x" "who"\n"1" 2 "a b"\n', [[1, 2]], ["who"]),
        ("img,hash,x\n001.png,0a1b,1\n002.png,ffff,2\n", [[1], [2]], ["img", "hash"]),
        ("ages,x\n25-34,1\n", [[1]], ["ages"]),
    ],
    ids=repr,
)
def test_named_columns_of_words_are_left_out(text: str, rows: list, others: list) -> None:
    table = csv.contents(text.encode())
    assert table.read().tolist() == rows
    assert list(table.others) == others
    assert len(table.names) == len(rows[0])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,cat\n", "line 1, column 2 is no number: cat"),  # no names
        ("x,name\n1,cat\n2,dog\ntwo,eel\n", "line 4, column 1 is no number: two"),
        ("x,name\n1,cat\n,dog\n", "line 3, column 1 is empty"),
        ("x,day\n1,2020-01-02\n", "line 2, column 2 is no number: 2020-01-02 is a date"),
        ("x,price\n1,5 kg\n", "column 2 is no number: 5 kg is a number with a text"),
        ("a,x\ncat,9007199254740993\n", "line 2, column 2 is an integer that float64 does not"),
        ("a,b\n1 a,\nx y,d\n", "line 2, column 1 is no number"),
    ],
)
def test_no_number_is_left_out_with_a_column(text: str, reason: str) -> None:
    with pytest.raises(FileError, match=reason):
        read(text)


def test_max_bytes_bounds_the_matrix() -> None:
    assert read("1,2\n3,4\n", max_bytes=32).size == 4
    with pytest.raises(FileError, match="more than the limit of 31 bytes; raise the limit"):
        read("1,2\n3,4\n", max_bytes=31)


@pytest.mark.parametrize(
    "data",
    [piece * 2 * 10**6 for piece in (b"1\n", b"1,", b",", b"1 ", b'"', b"\n", b"1\x0c")],
    ids=lambda data: str(data[:2]),
)
def test_a_bomb_takes_memory_by_the_limit_and_not_by_its_cells(data: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(FileError):
        csv.contents(data, max_bytes=10**6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**27 + 2 * len(data)


def test_cells_that_do_not_tell_their_column_take_no_time_without_end() -> None:
    began = time.process_time()
    with pytest.raises(FileError, match="line 2, column 2 is no number: 5cm is a number with a"):
        csv.contents(b"a,b\n" + b"1,5cm\n" * 10**6)
    assert time.process_time() - began < 20  # without a limit: over a minute


def test_mutants_give_a_matrix_or_a_file_error() -> None:
    source, data = random.Random(3), b'\xef\xbb\xbfx;y\n1.5;2\n"3";4e5\nnan;9007199254740992\n'
    for _ in range(5000):
        mutant = bytearray(data)
        for _ in range(source.randint(1, 4)):
            mutant[source.randrange(len(mutant))] = source.choice(
                [source.randrange(256), *b',;"\n ']
            )
        with contextlib.suppress(FileError):
            assert csv.contents(bytes(mutant)).read().ndim == 2
