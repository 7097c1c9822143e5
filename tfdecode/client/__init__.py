"""Clients of a model whose inputs are payloads."""

from .in_process import InProcess
from .inputs import ArrayFile

__all__ = ["ArrayFile", "InProcess"]
