"""The structure of inputs that a Keras model takes: nested dicts, lists, tuples, namedtuples."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import ExportError, meant

#: The key of each level down to a leaf, and the leaf: a KerasTensor, or a shape.
Path = tuple[str, ...]
#: Names that Keras or habit gives, and nobody means.
NO_NAME = re.compile(r"(x|args?|inputs?|input_layer|keras_tensor)(_\d+)?")


def structure_of(model: Any) -> Any:
    """What a Keras model takes as its one argument; None if it does not know.

    A functional model has tensors at the leaves. A subclass has shapes, from its first call; a
    model that was loaded has lists in place of tuples and namedtuples.
    """
    if inputs := getattr(model, "inputs", None):  # a Sequential model has no `input`
        return getattr(model, "input", inputs[0])
    shapes = getattr(model, "_build_shapes_dict", None) or {}
    (structure,) = shapes.values() if len(shapes) == 1 else (None,)
    return None if is_leaf(structure) else structure


def is_leaf(structure: Any) -> bool:
    """Whether it is a tensor or a shape."""
    if isinstance(structure, list | tuple):
        return all(side is None or isinstance(side, int) for side in structure)
    return not isinstance(structure, Mapping)


def mapped(structure: Any, leaf: Callable[[Path, Any], Any], path: Path = ()) -> Any:
    """The structure with ``leaf(path, it)`` in place of each leaf."""
    if is_leaf(structure):
        return leaf(path, structure)
    if isinstance(structure, Mapping):
        return {key: mapped(one, leaf, (*path, str(key))) for key, one in structure.items()}
    fields = getattr(structure, "_fields", None) or map(str, range(len(structure)))
    found = [mapped(one, leaf, (*path, key)) for key, one in zip(fields, structure, strict=True)]
    if hasattr(structure, "_fields"):
        return type(structure)(*found)
    return found if isinstance(structure, list) else tuple(found)


def leaves(structure: Any) -> list[tuple[Path, Any]]:
    """Each leaf, with its path."""
    found: list[tuple[Path, Any]] = []
    mapped(structure, lambda *one: found.append(one))
    return found


def places(structure: Any, names: list[str]) -> dict[Path, str] | None:
    """The name for the leaf of each path; None if the leaves have other names.

    A leaf may be named by its path, ``pair_left``; by its own key, ``left``; or by its tensor.
    """
    found = leaves(structure)
    for names_of in namings(found):
        if sorted(names_of) == sorted(names):
            return dict(zip((path for path, _ in found), names_of, strict=True))
    return None


def namings(found: list[tuple[Path, Any]]) -> Iterator[list[str]]:
    """The names that the leaves can have: those of the tensors last."""
    yield ["_".join(path) for path, _ in found]
    yield [path[-1] for path, _ in found if path]
    yield [leaf.name for _, leaf in found if hasattr(leaf, "name")]


class Word(str):
    """A name that a structure prints without quotes."""

    __repr__ = str.__str__


def misplaced(structure: Any, names: list[str]) -> ExportError:
    """The error for names that are not those of the leaves, with what to pass."""
    found = leaves(structure)
    own = [getattr(leaf, "name", path[-1]) for path, leaf in found]
    if not any(name.isdigit() for name in own):
        return not_named(names, own)
    if len(names) != len(found):
        takes = repr(mapped(structure, lambda _, shape: list(shape)))
        return ExportError(f"inputs are named {', '.join(names)}, but the model takes {takes}")
    waiting = iter([name for name in names if name not in own])
    put = mapped(structure, lambda path, _: Word(path[-1] if path[-1] in names else next(waiting)))
    return ExportError(
        "the model takes a structure in which not every place has a name: pass a function that "
        f"puts each input into its place, as lambda {', '.join(names)}: model({put!r})"
    )


def not_named(names: list[str], wanted: list[str]) -> ExportError:
    """The error for names that the model does not have."""
    takes = ", ".join(wanted) or "none"
    strange = [name for name in names if name not in wanted]
    close = meant(strange[0], [one for one in wanted if one not in names]) if strange else ""
    return ExportError(f"inputs are named {', '.join(names)}, but the model takes: {takes}{close}")


def check_typo(what: str, name: str, own: str, deliberate: str) -> None:
    """ExportError if a single input or output has nearly the name that the model gives it.

    Any other name is a deliberate one.
    """
    if name != own and not NO_NAME.fullmatch(own) and (close := meant(name, [own])):
        raise ExportError(
            f"{what} is named {name!r}, but the model calls it {own!r}{close}; if the new name is "
            f"meant, pass {deliberate}"
        )


def output_name(model: Any) -> str | None:
    """The name of the only output of a functional Keras model; None if nobody chose it."""
    outputs = getattr(model, "outputs", None) or []
    history = getattr(outputs[0], "_keras_history", None) if len(outputs) == 1 else None
    if not history:
        return None
    layer = history[0]
    automatic = re.sub(r"_\d+$", "", layer.name).replace("_", "")
    return None if automatic == type(layer).__name__.lower() else str(layer.name)
