"""Arrays in a pickle, recognised among inert records and built from checked numbers only.

NumPy's own unpickling is never used, not even for an allow-list of its names: a dtype whose pickled
state lies about its flags gives an object array over bytes of the file, and reading it crashes.
The forms are those that `numpy.ndarray.__reduce_ex__` has written from NumPy 1 and Python 2 on.
"""

from __future__ import annotations

from ...errors import FileError
from ..contents import MAX_BYTES, Contents, Entry, shown
from ..sniff import sniff
from .arrays import array_of, name_of
from .unpickler import Call, Dict, Global, Set, unpickle

# A record costs some 128 bytes, so that a limit on opcodes is one on memory.
_OPCODE_BYTES = 128
_OPCODES = 2**20
# Paths longer than these would let a small file ask for quadratic memory.
_DEPTH = 64
_PATH = 512
_SEGMENT = 256

_DICTS = {("collections", "OrderedDict"), ("collections", "defaultdict")}
_DICTS |= {("builtins", "dict"), ("__builtin__", "dict")}
_MAKERS = {
    (module, name)
    for module in ("copyreg", "copy_reg")
    for name in ("_reconstructor", "__newobj__", "__newobj_ex__")
}


def contents(data: bytes, *, max_bytes: int = MAX_BYTES) -> Contents:
    """The arrays in nested dicts, lists and tuples; a key is the path to one, joined by ``/``.

    A tuple as dict key gives ``a,b``, a list item its index, a bare array ``""``. An object that
    two paths reach is listed under the first, an array under each.
    """
    kind = sniff(data)
    if kind and kind.format != "pkl":
        raise FileError(f"is not a pickle but {kind.name}")
    root = unpickle(data, max(_OPCODES, max_bytes // _OPCODE_BYTES))
    found: list[tuple[str, Entry | str]] = []
    listed: set[tuple[str, int]] = set()
    entered: set[int] = set()
    pending: list[tuple[str, int, object]] = [("", 0, root)]
    while pending:
        path, depth, value = pending.pop()
        children = _children(value)
        if children is None:
            if isinstance(value, Call) and (path, id(value)) not in listed:
                listed.add((path, id(value)))
                found.append((path, _array(path, value)))
            continue
        if id(value) in entered:  # each container once: shared or cyclic ones would never end
            continue
        entered.add(id(value))
        if depth >= _DEPTH or len(path) > _PATH:
            found.append((path, "nested too deep to be named; save it flat"))
            continue
        for key, child in reversed(children):
            if not isinstance(child, (Call, Dict, list, tuple)):
                continue
            segment = _segment(key)
            if segment is None:
                found.append((f"{path}/?" if path else "?", "under a key that is not a short text"))
            else:
                pending.append((f"{path}/{segment}" if depth else segment, depth + 1, child))
    return Contents.of(found) if found else Contents([], _plain(root))


def _array(path: str, value: Call) -> Entry | str:
    try:
        found = array_of(value)
    except FileError as error:
        raise FileError(f"the array {shown(path)} {error}" if path else str(error)) from None
    if found is None:
        name = _made_by(value)
        advice = (text for package, text in _CONVERSIONS.items() if name.startswith(f"{package}."))
        return f"{name} object; save {next(advice, 'its arrays on their own')}"
    return found if isinstance(found, str) else Entry(path, found.dtype, found.shape, found.read)


def _children(value: object) -> list[tuple[object, object]] | None:
    """Keys and values of a container in file order; None if it is none."""
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if isinstance(value, Dict):
        return value.pairs
    if not isinstance(value, Call) or name_of(value.function) not in _DICTS:
        return None
    pairs = list(value.pairs or [])
    for argument in value.args:  # Python 2 gives the items of an OrderedDict as a list of pairs
        for item in argument if isinstance(argument, list) else []:
            if isinstance(item, (list, tuple)) and len(item) == 2:
                pairs.append((item[0], item[1]))
    return pairs


def _segment(key: object) -> str | None:
    if type(key) is str and len(key) <= _SEGMENT:
        return key
    if type(key) is bool or (type(key) is int and key.bit_length() <= 64):
        return str(key)
    if type(key) is tuple and len(key) <= 8:
        parts = [None if type(part) is tuple else _segment(part) for part in key]
        text = ",".join(part for part in parts if part is not None)
        return text if None not in parts and len(text) <= _SEGMENT else None
    return None


def _made_by(value: Call) -> str:
    made = value.args[0] if name_of(value.function) in _MAKERS and value.args else value.function
    return str(made) if isinstance(made, Global) else "unnamed"


# Objects that hold numbers, by the package that made them, and how to get at the numbers.
_CONVERSIONS = {
    **dict.fromkeys(("pandas", "polars", "xarray"), "its .to_numpy()"),
    "scipy.sparse": "its .toarray()",
    **dict.fromkeys(("torch", "tensorflow"), "the .numpy() of each tensor"),
    **dict.fromkeys(("jax", "jaxlib", "PIL"), "numpy.asarray(...) of it"),
}


_ADVICE = "not an array; save numpy.asarray(...) of it"
_NAMES = {bool: "bool", int: "int", float: "float", str: "text", memoryview: "bytes", list: "list"}


def _plain(root: object) -> dict[str, str]:
    """What a pickle without arrays or objects holds, for the message that says so."""
    if not isinstance(root, Dict):
        return {"": _described(root)}
    return {_segment(key) or "?": _described(value) for key, value in root.pairs}


def _described(value: object) -> str:
    if isinstance(value, (list, tuple)):
        kinds = {type(item) for item in value}
        noun = _NAMES.get(kinds.pop(), "item") if len(kinds) == 1 else "item"
        plural = noun if noun in ("text", "bytes") else f"{noun}{'' if len(value) == 1 else 's'}"
        return f"a {type(value).__name__} of {len(value)} {plural}, {_ADVICE}"
    if isinstance(value, (Dict, Set)):
        count = len(value.pairs if isinstance(value, Dict) else value.items)
        return f"a {type(value).__name__.lower()} of {count} items without arrays"
    if isinstance(value, Global):
        return f"the name {value}, which is not imported"
    return f"{_NAMES.get(type(value), 'nothing (None)')}, {_ADVICE}"
