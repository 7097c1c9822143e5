"""Clients of models with byte inputs: in this process, or of a server over HTTP."""

from .in_process import InProcess
from .inputs import ArrayFile
from .request import request, response
from .rest import AsyncRest, Rest

__all__ = ["ArrayFile", "AsyncRest", "InProcess", "Rest", "request", "response"]
