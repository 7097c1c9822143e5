"""Add nodes to the graph of a SavedModel, as a protobuf: nothing of the model is loaded or run.

Loading a model and saving it again loses what the loader does not know: signatures, assets,
variables under the names of the checkpoint. Adding nodes to the protobuf keeps all of it.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

#: An input of a control-flow frame of TensorFlow 1, which lives or is copied as a whole.
ENTER = ("Enter", "RefEnter")
PLACEHOLDERS = ("Placeholder", "PlaceholderV2")


class Tensor(NamedTuple):
    """An output of a node."""

    node: str
    output: int

    def __str__(self) -> str:
        return self.node if self.output == 0 else f"{self.node}:{self.output}"


def tensor(name: str) -> Tensor:
    """The tensor of a name: ``a`` and ``a:0`` are the first output of node ``a``."""
    node, _, output = name.partition(":")
    # A protobuf may say anything; no node has such a name.
    known = not output or (output.isdecimal() and len(output) < 10)
    return Tensor(node, int(output or 0)) if known else Tensor(name, 0)


class Splice:
    """Adds nodes to a GraphDef, in place, all under a ``prefix`` that no node of it has."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self._nodes = {node.name: node for node in graph.node}
        taken = {name.split("/")[0] for name in self._nodes}
        names = (f"tfdecode_{number}" if number else "tfdecode" for number in range(len(taken) + 1))
        self.prefix = next(name for name in names if name not in taken)

    def insert(self, piece: Any, folder: str, fed: Mapping[str, str]) -> None:
        """Add the nodes and functions of another graph under ``prefix/folder``.

        ``fed`` names the placeholders of ``piece`` that tensors of this graph take the place of.
        """
        piece = copy.deepcopy(piece)
        _rename_functions(piece, f"__{self.prefix}_{folder}_")
        inside = f"{self.prefix}/{folder}"

        def moved(control: bool, source: Tensor) -> str:
            if source.node in fed:
                replaced = tensor(fed[source.node])
                return f"^{replaced.node}" if control else str(replaced)
            return f"{'^' if control else ''}{inside}/{source}"

        names = {node.name for node in piece.node}
        self._add((node for node in piece.node if node.name not in fed), inside, names, moved)
        self.graph.library.function.extend(piece.library.function)
        self.graph.library.gradient.extend(piece.library.gradient)
        least = max(self.graph.versions.min_consumer, piece.versions.min_consumer)
        self.graph.versions.min_consumer = least

    def copy(
        self, fed: Mapping[Tensor, Tensor], outputs: Iterable[Tensor]
    ) -> Callable[[Tensor], Tensor]:
        """Copy the nodes between the tensors ``fed`` and the outputs, with those replaced.

        Returns
        -------
        callable
            Where a tensor is in the copy: elsewhere, itself, or the one that it is replaced by.
        """
        between, inside = self._between(fed, outputs), f"{self.prefix}/model"

        def moved(control: bool, source: Tensor) -> str:
            if control and self._stands_for(source.node, fed):
                return f"^{fed[Tensor(source.node, 0)].node}"
            if not control and source in fed:
                return str(fed[source])
            here = f"{inside}/{source}" if source.node in between else str(source)
            return f"^{here}" if control else here

        # In the order of the graph, so that the same model gives the same bytes.
        nodes = [copy.deepcopy(node) for node in self.graph.node if node.name in between]
        for node in nodes:
            if node.op in ENTER:
                frame = node.attr["frame_name"]
                frame.s = f"{inside}/".encode() + frame.s
        self._add(nodes, inside, between, moved)
        return lambda source: tensor(moved(False, source))

    def _add(
        self,
        nodes: Iterable[Any],
        inside: str,
        names: set[str],
        moved: Callable[[bool, Tensor], str],
    ) -> None:
        """Add renamed nodes; ``moved`` says what each of their inputs becomes."""
        for original in nodes:
            node = self.graph.node.add()
            node.CopyFrom(original)
            node.name = f"{inside}/{original.name}"
            inputs = [moved(control, source) for control, source in inputs_of(original)]
            node.ClearField("input")
            node.input.extend(inputs)
            if "_class" in node.attr:  # the nodes on whose device it must be
                node.attr["_class"].list.s[:] = [
                    f"loc:@{inside}/{one[5:].decode()}".encode()
                    if one.startswith(b"loc:@") and one[5:].decode() in names
                    else one
                    for one in original.attr["_class"].list.s
                ]

    def _stands_for(self, name: str, fed: Mapping[Tensor, Tensor]) -> bool:
        """Whether waiting for this node means waiting for a tensor that is fed."""
        return Tensor(name, 0) in fed and self._nodes[name].op in PLACEHOLDERS

    def _between(self, fed: Mapping[Tensor, Tensor], outputs: Iterable[Tensor]) -> set[str]:
        """The nodes that an output needs and that need a tensor of ``fed``, with whole frames."""
        needed = self._needed(fed, outputs)
        consumers: dict[str, list[str]] = defaultdict(list)
        frames: dict[bytes, list[str]] = defaultdict(list)
        left: list[str] = []
        for name in needed:
            node = self._nodes[name]
            if node.op in ENTER:
                frames[node.attr["frame_name"].s].append(name)
            for control, source in inputs_of(node):
                if source in fed or (control and self._stands_for(source.node, fed)):
                    left.append(name)
                else:
                    consumers[source.node].append(name)
        between: set[str] = set()
        while left:
            name = left.pop()
            if name in between:
                continue
            between.add(name)
            left.extend(consumers[name])
            node = self._nodes[name]
            if node.op in ENTER:
                left.extend(frames.pop(node.attr["frame_name"].s, ()))
        return between

    def _needed(self, fed: Mapping[Tensor, Tensor], outputs: Iterable[Tensor]) -> set[str]:
        """The nodes that run for the outputs if the tensors ``fed`` are given."""

        def given(control: bool, source: Tensor) -> bool:
            return self._stands_for(source.node, fed) if control else source in fed

        return upstream(self._nodes, outputs, given)


def upstream(
    nodes: Mapping[str, Any],
    outputs: Iterable[Tensor],
    given: Callable[[bool, Tensor], bool],
) -> set[str]:
    """The nodes that run for the outputs; ``given`` says which inputs or control inputs do not."""
    needed: set[str] = set()
    left = [(False, output) for output in outputs]
    while left:
        control, source = left.pop()
        if not given(control, source) and source.node not in needed:
            needed.add(source.node)
            left.extend(inputs_of(nodes[source.node]))
    return needed


def inputs_of(node: Any) -> Iterator[tuple[bool, Tensor]]:
    """Whether each input is only waited for, and which tensor it is."""
    for name in node.input:
        control = name.startswith("^")
        yield control, Tensor(name[1:], 0) if control else tensor(name)


def _rename_functions(graph: Any, prefix: str) -> None:
    """Put a prefix before the names of all functions of a graph."""
    names = {f.signature.name: f"{prefix}{f.signature.name}" for f in graph.library.function}

    def rename(attributes: Mapping[str, Any]) -> None:
        for value in attributes.values():
            for function in (value.func, *value.list.func):
                # Reading ``func`` of another kind of value gives an empty one and changes nothing.
                if function.name in names:
                    function.name = names[function.name]
                    rename(function.attr)

    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        for node in nodes:
            node.op = names.get(node.op, node.op)
            rename(node.attr)
    for function in graph.library.function:
        function.signature.name = names[function.signature.name]
        rename(function.attr)
    for gradient in graph.library.gradient:
        for field in ("function_name", "gradient_func"):
            name = getattr(gradient, field)
            setattr(gradient, field, names.get(name, name))
