"""What a cell of a table is: a number, a missing value, a name, or data in a notation not read."""

from __future__ import annotations

import re

#: How programs write a missing value, in lower case; NaN itself is a number.
MISSING = {
    *("", "na", "n/a", "#n/a", "#n/a n/a", "#na", "<na>", "n.a.", "null", "none", "nil", "nat"),
    *("missing", ".", "..", "-", "--", "---", "?", "*", "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind"),
    *("nan(ind)", "-nan(ind)", "#div/0!", "#null!", "#num!", "#value!", "#ref!", "#name?"),
}
#: Values that spreadsheets write for a failed formula: a line that begins so is no comment.
ERROR_VALUE = r"#(?:N/A|DIV/0!|NULL!|NUM!|VALUE!|REF!|NAME\?)"

_DIGITS = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?"
#: Characters of a cell.
_LOOKED_AT = 200
_SAVE = "save the array by numpy.save"
_TIME = "write it as a number, such as seconds"
_WITH_TEXT = "is a number with a text; write the number alone"
#: 001.png
_FILE_NAME = r"\S+\.[A-Za-z]{2}\w{0,3}"
#: Notations of data that are not read (case is ignored), what each is, and what to do.
_NOTATIONS = [
    (r"[+-]?[1-9]\d{0,2},\d{3}", "has a comma, of decimals or of thousands; write 1.234 or 1234"),
    (r"[+-]?\d*,\d+(?:e[+-]?\d+)?", "has a decimal comma; write decimals with a point"),
    (r"[+-]?\d{1,3}(?:[,.' ]\d{3})+(?:[.,]\d+)?", "groups its digits; write them without a mark"),
    (r"[+-]?[\d.]+[dq][+-]?\d+", "has an exponent of Fortran; write e for the exponent"),
    (r"[+-]?(?:0x|&h|x')[\da-f.]+(?:p[+-]?\d+)?'?", "is hexadecimal; write decimal numbers"),
    (r"[+-]?0[bo]\d+", "is binary or octal; write decimal numbers"),
    (r"[+-]?\d+(?:_\d+)+(?:\.\d*)?", "has underscores between digits; leave them out"),
    (r"\d{1,4}(?P<mark>[-/.])\d{1,2}(?P=mark)\d{1,4}(?:[ t].*)?", f"is a date; {_TIME} since 1970"),
    (rf"(?:{_DAY},? )?\d{{1,2}}[-. ]*{_MONTH}[-. ,]*\d{{2,4}}.*", f"is a date; {_TIME} since 1970"),
    (rf"(?:{_DAY},? )?{_MONTH}[-. ]*\d{{1,4}}(?:,? .*)?", f"is a date; {_TIME} since 1970"),
    (r"(?:\d+ days? )?[+-]?\d{1,3}:\d{2}(?::.*)?(?: ?[ap]\.?m\.?)?", f"is a time; {_TIME}"),
    (r"true|false", "is a truth value; write 1 and 0"),
    (rf"\(?(?:{_DIGITS})?{_DIGITS}[ij]\)?", f"is a complex number; {_SAVE}"),
    (r"[+-]?1\.#inf0*|[+-]?∞", "is an infinity; write inf"),
    (rf"{_DIGITS} ?%", "is a percentage; write the number alone"),
    (rf"[+-]?[a-z]{{0,3}} ?[$€£¥₹] ?{_DIGITS}.*", "is an amount; write the number alone"),
    (r"(?:usd|eur|gbp|jpy|chf|cny|inr) ?[\d.,]+", "is an amount; write the number alone"),
    (rf"\({_DIGITS}\)", "is a number in brackets; write a minus for negative ones"),
    (rf"(?:{_DIGITS}\s*\|\s*)+(?:{_DIGITS})?", "is separated by |; separate cells by commas"),
    (rf"{_DIGITS}(?:\s+{_DIGITS})+", "is several numbers; separate all cells by one mark"),
    (rf"{_DIGITS}\s*[^\W\d_].*|{_DIGITS}\s*°.*", _WITH_TEXT),
    (r"[\[(]\s*\[?\s*[+-]?[\d.].*", f"is an array in a cell; {_SAVE}"),
    (r"[\u2212\u2013]\s*[\d.]+.*", "has a dash for a minus; write - for it"),
]
_WORDS = MISSING | {"true", "false", "nan", "inf", "infinity"}
_ANY_NOTATION = "|".join(pattern for pattern, _ in _NOTATIONS)


def number(cell: str) -> float:
    """The number as Python's float reads it, without 1_000 and digits of other scripts."""
    if "_" in cell or not cell.isascii():
        raise ValueError
    return float(cell)


def is_number(cell: str) -> bool:
    """Whether `number` reads it."""
    try:
        number(cell)
    except ValueError:
        return False
    return True


def is_missing(cell: str) -> bool:
    """Whether a program writes this for a value that is not there."""
    return cell.strip().casefold() in MISSING


def problem(cell: str) -> str:
    """What a cell is that `number` does not read, and what to do; "" for a word."""
    text = cell.strip()[:_LOOKED_AT]
    for pattern, what in _NOTATIONS:
        if re.fullmatch(pattern, text, re.IGNORECASE):
            return what
    if not text.isascii() and any(map(str.isnumeric, text)):
        return "has digits of another script; write 0 to 9"
    return ""


def is_text(cell: str) -> bool | None:
    """Whether a cell is of a column of words; None if it does not tell: missing, 5cm, 0a1b."""
    if is_missing(cell):
        return None
    if is_number(cell):
        return False
    what = "" if re.fullmatch(_FILE_NAME, cell.strip()) else problem(cell)
    return None if what == _WITH_TEXT else not what


def is_name(cell: str) -> bool:
    """Whether a cell cannot be data: a word that begins with a letter and is in no notation."""
    if cell.isascii() and cell.isalpha():  # most names; a table may have a million
        return cell.casefold() not in _WORDS
    first = next((sign for sign in cell if sign.isalnum()), "")
    letters = any(sign.isalpha() and not sign.isnumeric() for sign in cell)
    if not first.isalpha() or not letters or is_number(cell) or is_missing(cell):
        return False
    return not re.fullmatch(_ANY_NOTATION, cell.strip()[:_LOOKED_AT], re.IGNORECASE)
