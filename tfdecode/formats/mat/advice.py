"""What to do about the values of MATLAB that are no numeric arrays, by class."""

from __future__ import annotations

from ..contents import shown

_ADVICE = {
    "char": "text; save its numbers by double(...)",
    "function_handle": "function; save its results",
    "string": "string array; save its numbers by double(...)",
    "table": "table; save table2array(...), or a struct by table2struct(..., 'ToScalar', true)",
    "timetable": "timetable; save its .Variables",
    "datetime": "dates; save posixtime(...)",
    "duration": "durations; save seconds(...)",
    "calendarDuration": "durations; save them as numbers",
    "categorical": "categories; save double(...)",
    "containers.Map": "map; save its keys(...) and values(...)",
    "dictionary": "dictionary; save its keys(...) and values(...)",
}


def advice(matlab_class: str) -> str:
    """The refusal of a value of a class; classes of the user are objects."""
    name = shown(matlab_class, 64)
    named = f" of class {name}" if name not in ("", "object", "opaque") else ""
    return _ADVICE.get(matlab_class, f"object{named}; save struct(...) of it")
