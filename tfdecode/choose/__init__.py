"""infer: the chain that suits given arrays, and why."""

from .infer import infer, rank
from .order import BANDWIDTHS
from .trials import Candidate

#: What a chain can be chosen for.
PREFER = tuple(BANDWIDTHS)

__all__ = ["BANDWIDTHS", "PREFER", "Candidate", "infer", "rank"]
