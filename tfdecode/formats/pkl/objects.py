"""What there is to enter in a record: items, keys, attributes; and how to name the rest."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .arrays import Found, Masked, Objects, array_of, name_of
from .keys import key_of
from .unpickler import Call, Dict, Global, Set

_DICTS = {("collections", name) for name in ("OrderedDict", "defaultdict", "Counter")}
_DICTS |= {("builtins", "dict"), ("__builtin__", "dict")}
_LISTS = {("collections", "deque"), ("builtins", "list"), ("__builtin__", "list")}
_SETS = {(of, name) for of in ("builtins", "__builtin__") for name in ("set", "frozenset")}
_RECONSTRUCTORS = {(module, "_reconstructor") for module in ("copyreg", "copy_reg")}
_NEWOBJ = {
    (module, name) for module, _ in _RECONSTRUCTORS for name in ("__newobj__", "__newobj_ex__")
}
_MAKERS = _RECONSTRUCTORS | _NEWOBJ
# Many calls may share the same million arguments.
_ARGUMENTS = 16


Child: TypeAlias = tuple[str, object, object]
"""The kind of step that leads to a child (``[``, ``.`` or ``""``), its key, and the child."""

Pairs: TypeAlias = list[tuple[object, object]]


class Part(NamedTuple):
    """Children of one container; ``owner`` is the object that may be reached again elsewhere."""

    owner: object
    children: Iterator[Child]


def parts(value: object, made: Found | Objects | Masked | str | None) -> list[Part] | None:
    """What to enter in a record, None if it is no container; nothing in it is read yet."""
    if isinstance(value, (list, tuple)):
        return [_items(value)]
    if isinstance(value, Dict):
        return [_keys(value, value.pairs)]
    if isinstance(made, Objects):
        return [_elements(made)]
    if isinstance(made, Masked):
        return [Part(value, iter([(".", "data", made.data), (".", "mask", made.mask)]))]
    if not isinstance(value, Call) or made is not None or _conversion(value):
        return None
    found = _standard(value)
    if found is None:
        found = _arguments(value)
    if value.items:
        found.append(_items(value.items))
    if value.pairs:
        found.append(_keys(value.pairs, value.pairs))
    return found + _state(value.state, value.pairs or _base(value))


def _items(values: list[object] | tuple[object, ...], start: int = 0) -> Part:
    items = islice(values, start, None)
    return Part(values, (("[", index, item) for index, item in enumerate(items)))


def _keys(owner: object, pairs: Pairs) -> Part:
    return Part(owner, (("[", key_of(key), item) for key, item in pairs))


def _elements(array: Objects) -> Part:
    if not array.shape or not array.items:
        return Part(array.items, (("", None, item) for item in array.items))
    if len(array.shape) == 1:
        return _items(array.items)
    indices = np.ndindex(array.shape)
    return Part(
        array.items, (("[", at, item) for at, item in zip(indices, array.items, strict=True))
    )


def _standard(call: Call) -> list[Part] | None:
    """The arguments of a container of the standard library."""
    name, found = name_of(call.function), []
    if name in _LISTS:
        return [_items(one) for one in call.args[:1] if isinstance(one, (list, tuple)) and one]
    if name not in _DICTS:
        return None
    for argument in call.args[:2]:
        if isinstance(argument, Dict):
            found.append(_keys(argument, argument.pairs))
        if isinstance(argument, list):  # Python 2 gives the items of an OrderedDict as pairs
            found.append(Part(argument, _pairs(argument)))
    return found


def _pairs(items: list[object]) -> Iterator[Child]:
    for item in items:
        if isinstance(item, (list, tuple)) and len(item) == 2:
            yield "[", key_of(item[0]), item[1]


def _arguments(call: Call) -> list[Part]:
    """The items of a subclass of tuple, list or dict, such as a namedtuple."""
    if call.new:
        return [_items(call.args)] if call.args else []
    if name_of(call.function) in _NEWOBJ:
        return [_items(call.args, 1)] if len(call.args) > 1 else []
    # Protocols 0 and 1: the class, its built-in base, and the value of that.
    if name_of(call.function) in _RECONSTRUCTORS and len(call.args) == 3:
        base = call.args[2]
        if isinstance(base, (list, tuple)):
            return [_items(base)]
        if isinstance(base, Dict):
            return [_keys(base, base.pairs)]
    return []


def _base(call: Call) -> Pairs:
    base = call.args[2] if len(call.args) == 3 else None
    return base.pairs if isinstance(base, Dict) else []


def _state(state: Any, own: Pairs) -> list[Part]:
    """Attributes; without those in ``own``, which are also items (as of an EasyDict)."""
    if isinstance(state, Dict):
        return [Part(state, _attributes(state, own))]
    slots = isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], Dict)
    if slots and (state[0] is None or isinstance(state[0], Dict)):  # of a class with __slots__
        return [part for one in state for part in _state(one, own)]
    if isinstance(state, (list, tuple)):
        return [_items(state)]
    return [] if state is None else [Part(None, iter([("", None, state)]))]


def _attributes(state: Dict, own: Pairs) -> Iterator[Child]:
    items = {(key, id(item)) for key, item in own if type(key) is str}
    for key, item in state.pairs:
        if type(key) is not str:
            yield "[", key_of(key), item
        elif (key, id(item)) not in items:
            named = key_of(key)
            yield ("." if type(named) is str else "["), named, item


def unread_arguments(call: Call) -> bool:
    """Whether a function of the file would be given arguments that are not entered."""
    known = is_container(call) or isinstance(array_of(call), (Objects, Masked))
    entered = call.new or known or name_of(call.function) in _MAKERS
    return not entered and any(
        isinstance(one, (Call, Dict, list, tuple)) for one in call.args[:_ARGUMENTS]
    )


def made_by(call: Call) -> str:
    """The name of the class or the function that makes an object."""
    made = call.args[0] if name_of(call.function) in _MAKERS and call.args else call.function
    return str(made) if isinstance(made, Global) else "unnamed"


def set_of(call: Call) -> Set | None:
    """The set that protocols 0 to 3 make of a list."""
    items = call.args[0] if len(call.args) == 1 else None
    return Set(items) if name_of(call.function) in _SETS and isinstance(items, list) else None


def is_container(call: Call) -> bool:
    """Whether a record is a list or a dict of the standard library."""
    return name_of(call.function) in _DICTS | _LISTS


def advice(call: Call, made: Found | Objects | Masked | str | None = None) -> str:
    """What an object is, and how to save its numbers."""
    if isinstance(made, Objects):
        dims = ",".join(map(str, made.shape))
        numbers = made.items and {type(item) for item in made.items} <= {bool, int, float}
        how = "numpy.asarray(x.tolist())" if numbers else "the numbers in it as arrays"
        return f"object array [{dims}] of {_counted(made.items)}; save {how}"
    return f"{made_by(call)} object; save {_conversion(call) or 'its arrays on their own'}"


def _conversion(call: Call) -> str | None:
    name = made_by(call)
    return next((text for of, text in _CONVERSIONS.items() if name.startswith(f"{of}.")), None)


# Objects that hold numbers, by the package that made them, and how to get at the numbers.
_CONVERSIONS = {
    **dict.fromkeys(("pandas", "polars", "xarray"), "its .to_numpy()"),
    "scipy.sparse": "its .toarray()",
    "array": "numpy.asarray(...) of it",
    **dict.fromkeys(("torch", "tensorflow"), "the .numpy() of each tensor"),
    **dict.fromkeys(("jax", "jaxlib", "PIL"), "numpy.asarray(...) of it"),
}
_ADVICE = "not an array; save numpy.asarray(...) of it"
_NAMES: dict[type[Any], str]
_NAMES = {bool: "bool", int: "int", float: "float", str: "text", memoryview: "bytes", list: "list"}


def described(value: object) -> str:
    """What a value without arrays is; a container is scanned once, so ask once for each."""
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {_counted(value)}, {_ADVICE}"
    if isinstance(value, Dict):
        return f"a dict of {len(value.pairs)} items without arrays"
    if isinstance(value, Set):
        return f"a set of {_counted(value.items)}, which has no order; save a sorted array of it"
    if isinstance(value, Global):
        return f"the name {value}, which is not imported"
    if isinstance(value, Call):
        return f"a {made_by(value)} without arrays"
    if isinstance(value, str) or value is None:
        return "text, not an array" if value is not None else "nothing (None)"
    return f"{_NAMES[type(value)]}, {_ADVICE}"


def _counted(values: list[object] | tuple[object, ...]) -> str:
    kinds = {type(item) for item in values}
    noun = _NAMES.get(kinds.pop(), "item") if len(kinds) == 1 else "item"
    plural = noun if noun in ("text", "bytes") else f"{noun}{'' if len(values) == 1 else 's'}"
    return f"{len(values)} {plural}"
