"""infer: the chain that suits given arrays, and why."""

from .infer import WIRES, Candidate, infer, rank

#: What a chain can be chosen for.
PREFER = tuple(WIRES)

__all__ = ["PREFER", "WIRES", "Candidate", "infer", "rank"]
