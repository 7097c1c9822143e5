"""Tables as other programs write them: read bit for bit or refused with the right reason."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import tfdecode as tfd
from tests.common import assert_same
from tfdecode.errors import FileError

NAN, INF = float("nan"), float("inf")
XY = [[1.5, 2.0], [-0.25, 4e-5]]
INDEXED = [[0, *XY[0]], [1, *XY[1]]]


class Written(NamedTuple):
    """A text, what it holds (or why it is refused), and its chain (or why no graph reads it)."""

    text: str
    rows: list[list[float]] | str
    as_is: str = ""


TABLES = {
    # pandas: DataFrame.to_csv
    "pandas": Written(",x,y\n0,1.5,2.0\n1,-0.25,4e-05\n", INDEXED, "csv:header=1"),
    "pandas index=False": Written("x,y\n1.5,2.0\n-0.25,4e-05\n", XY, "csv:header=1"),
    "pandas header=False": Written("0,1.5,2.0\n1,-0.25,4e-05\n", INDEXED, "csv"),
    "pandas without names": Written(",0,1\n0,1.5,2.0\n", "line 1 .* pandas writes for columns"),
    "pandas index_label": Written("time,x\n0.5,1.5\n0.75,-0.25\n", [[0.5, 1.5], [0.75, -0.25]]),
    "pandas sep": Written("x\ty\n1.5\t2.0\n-0.25\t4e-05\n", XY, r'csv:"\t",header=1'),
    "pandas missing": Written("x,y\n1.5,\n", "line 2, column 2 is empty; .*missing=.nan"),
    "pandas na_rep": Written("x,y\n1.5,NULL\n", "line 2, column 2 is NULL; .*missing=.nan"),
    "pandas na_rep nan": Written("x,y\n1.5,nan\n", [[1.5, NAN]], "csv:header=1"),
    "pandas decimal": Written("x;y\n1,5;2,0\n", "line 2, column 1 .* 1,5 has a decimal comma"),
    "pandas QUOTE_ALL": Written(
        '"x","y"\r\n"1.5","2.0"\r\n', [XY[0]], "line 2, column 1 has quotes"
    ),
    "pandas QUOTE_NONNUMERIC": Written('"x","y"\r\n1.5,2.0\r\n', [XY[0]], "csv:header=1"),
    "pandas two header rows": Written(
        ",a,a\n,x,y\ni,,\n0,1.5,2.0\n", [[0, 1.5, 2.0]], "csv:header=3"
    ),
    "pandas dates": Written(",x\n2020-01-02,1.5\n", "line 2, column 1 .* is a date; write it as"),
    "pandas truth values": Written("x,y\nTrue,1\n", "line 2, column 1 .* is a truth value; wr"),
    "pandas strings": Written("x,name\n1.5,cat\nb,a\n", "line 3, column 1 .*b; leave the column"),
    "pandas utf-8-sig": Written("\ufeffx,y\n1.5,2.0\n", [XY[0]], "csv:header=1"),
    "pandas utf-8-sig alone": Written("\ufeff1.5,2.0\n", [XY[0]], "begins with a byte order mark"),
    "pandas large integers": Written("x\n9007199254740993\n", "integer that float64 does not hold"),
    # R: write.csv, write.csv2, write.table
    "write.csv": Written(
        '"","x","y"\n"1",1.5,2\n"2",-0.25,4e-05\n',
        [[1, *XY[0]], [2, *XY[1]]],
        "line 2, column 1 has quotes",
    ),
    "write.csv row.names": Written('"x","y"\n1.5,2\n-0.25,4e-05\n', XY, "csv:header=1"),
    "write.csv NA": Written('"x","y"\n1.5,NA\n', "line 2, column 2 is NA; .*missing=.nan"),
    "write.csv Inf": Written('"x"\n-Inf\nInf\n', [[-INF], [INF]], "csv:header=1"),
    "write.csv TRUE": Written('"x"\nTRUE\n', "TRUE is a truth value"),
    "write.csv2": Written('"";"x"\n"1";1,5\n', "line 2, column 2 .* 1,5 has a decimal comma"),
    "write.csv iris": Written(
        '"Sepal.Length","Species"\n5.1,"setosa"\n4.9,"setosa"\n', [[5.1], [4.9]]
    ),
    "write.csv row names": Written(
        '"","mpg","cyl"\n"Mazda RX4",21,6\n"Fiat 128",32.4,4\n', [[21, 6], [32.4, 4]]
    ),
    "write.csv factors": Written(
        '"agegp","ncases"\n"25-34",0\n"75+",1\n', [[0], [1]]
    ),
    "write.csv Date": Written('"when","v"\n2020-01-01,1.5\n', "line 2, column 1 .* is a date"),
    "write.table": Written(
        '"x" "y"\n"1" 1.5 2\n"2" -0.25 4e-05\n',
        [[1, *XY[0]], [2, *XY[1]]],
        "line 2, column 1 has quotes",
    ),
    "write.table plain": Written("1.5 2\n-0.25 4e-05\n", XY, 'csv:" "'),
    "write.table names": Written('"Mazda RX4" 21 6\n', "column 1 .*RX4; leave the column out"),
    # numpy.savetxt
    "savetxt": Written(
        "1.500000000000000000e+00 2.000000000000000000e+00\n", [XY[0]], 'csv:" "'
    ),
    "savetxt header": Written("# x y\n# made today\n1.5,2.0\n# end\n", [XY[0]], "csv"),
    "savetxt complex": Written(" (1.5+2.0j)\n", "is a complex number; save the array by numpy"),
    # MATLAB: writematrix, writetable, dlmwrite, save -ascii; Octave
    "writematrix": Written("1.5,2\n-0.25,4e-05\n", XY, "csv"),
    "writematrix NaN": Written("NaN,Inf\n-Inf,0\n", [[NAN, INF], [-INF, 0]], "csv"),
    "writetable": Written("Var1,Var2\n1.5,2\n-0.25,4e-05\n", XY, "csv:header=1"),
    "writetable empty": Written("x,y\n1.5,\n,2\n", "line 2, column 2 is empty"),
    "save -ascii": Written(
        "   1.5000000e+00   2.0000000e+00\n  -2.5000000e-01   4.0000000e-05\n", XY, 'csv:" "'
    ),
    "MATLAB comment": Written(
        "% made by MATLAB\n1.5,2\n", [XY[0]], "csv:header=1"
    ),
    # Excel and other spreadsheets
    "Excel": Written("x,y\r\n1.5,2\r\n-0.25,0.00004\r\n", XY, "csv:header=1"),
    "Excel UTF-8": Written("\ufeffx;y\r\n1.5;2\r\n", [XY[0]], 'csv:";",header=1'),
    "Excel sep": Written("sep=;\r\nx;y\r\n1.5;2\r\n", [XY[0]], 'csv:";",header=2'),
    "Excel German": Written("x;y\r\n1,5;2\r\n", "line 2, column 1 .* has a decimal comma"),
    "Excel German without names": Written("1,5;2\r\n3;4\r\n", "line 1, .* has a decimal comma"),
    "Excel title": Written(
        "Results of May\r\n\r\nx,y\r\n1.5,2\r\n", [XY[0]], "csv:header=3"
    ),
    "Excel errors": Written("#DIV/0!,2\r\n3,4\r\n", "line 1, column 1 is #DIV/0!; .*missing=.nan"),
    "Excel times": Written("12:30,2\r\n3,4\r\n", "line 1, column 1 .* is a time"),
    "Excel percent": Written("x\r\n5%\r\n", "line 2, column 1 .* is a percentage"),
    "Excel empty rows": Written("x,y\r\n1.5,2\r\n,\r\n", "line 3, column 1 is empty"),
    # Others
    "trailing mark": Written("x,y,\n1.5,2,\n", [XY[0]], "lines end with ','"),
    "BIDS": Written("onset\tduration\n1.5\tn/a\n", "line 2, column 2 is n/a; .*missing=.nan"),
    "monitor": Written('#{"t_start": 1.5}\nr,l\n1.5,2\n', [XY[0]], "csv:header=2"),
    "Fortran": Written("1.5D0 2.0D0\n3 4\n", "line 1, column 1 .* has an exponent of Fortran"),
    "image list": Written("img,hash,x\n001.png,0a1b,1\n002.png,ffff,2\n", [[1], [2]]),
    "PSV": Written("x|y\n1.5|2\n", "line 2, column 1 .* is separated by"),
    "ESRI grid": Written("ncols 2\nnrows 1\n1 2\n", "line 1, column 1 is no number: ncols"),
    "old Mac": Written("1.5,2\r-0.25,4e-5\r", XY, "lines end in CR"),
}  # fmt: skip


#: Those with columns of words, which are left out.
WITH_WORDS = {"image list", "write.csv iris", "write.csv row names", "write.csv factors"}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_read_or_refused_with_its_reason(name: str, tmp_path: Path) -> None:
    written, path = TABLES[name], tmp_path / "table.csv"
    path.write_bytes(written.text.encode())
    if isinstance(written.rows, str):
        with pytest.raises(FileError, match=written.rows):
            tfd.load(path)
        return
    expected = np.array(written.rows, float)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert_same(tfd.load(path), expected)
    assert bool(caught) == (name in WITH_WORDS)
    if written.as_is.startswith("csv"):
        spec = tfd.infer(path, as_is=True)
        assert spec.chain.text == written.as_is
        assert_same(spec.decode(path.read_bytes()), expected)
    elif written.as_is:
        with pytest.raises(FileError, match=f"graph: .*{written.as_is}.*; save it with") as failure:
            tfd.infer(path, as_is=True)
        assert str(failure.value).count("pack its array") == 1


def test_columns_of_words_are_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('name,x,"home town"\n"Braund, Mr. Owen",1.5,Rome\nAnn,2,\n')
    said = r"table.csv: left out name, home town: column of text"
    for load in (tfd.load, lambda path: tfd.load_all(path)[""]):
        with pytest.warns(tfd.SkippedWarning, match=said) as caught:
            assert_same(load(path), np.array([[1.5], [2.0]]))
        assert list(caught[0].message.skipped) == ["name", "home town"]
        assert len(caught) == 1
    with pytest.warns(tfd.SkippedWarning), pytest.raises(FileError, match="has quotes"):
        tfd.infer(path, as_is=True)


def test_missing_cells_of_every_program_are_nan_if_asked_for(tmp_path: Path) -> None:
    asked = {name: table.text for name, table in TABLES.items() if "missing" in str(table.rows)}
    assert len(asked) >= 5
    for text in asked.values():
        path = tmp_path / "table.csv"
        path.write_text(text)
        array = tfd.load(path, missing="nan")
        assert np.isnan(array).sum() == 1
        assert list(tfd.load_all(path, missing="nan")) == [""]
