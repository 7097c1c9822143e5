"""Clients of models with byte inputs."""

from .in_process import InProcess
from .inputs import ArrayFile

__all__ = ["ArrayFile", "InProcess"]
