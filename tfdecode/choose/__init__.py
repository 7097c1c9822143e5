"""infer: the chain that suits given arrays, and why."""

from .infer import BANDWIDTHS, Candidate, infer, rank

#: What a chain can be chosen for.
PREFER = tuple(BANDWIDTHS)

__all__ = ["BANDWIDTHS", "PREFER", "Candidate", "infer", "rank"]
