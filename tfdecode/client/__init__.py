"""Clients of models with byte inputs: in this process, or of a server over HTTP or gRPC."""

from .array_file import ArrayFile
from .grpc import Grpc
from .in_process import InProcess
from .request import request, response
from .rest import AsyncRest, Rest

__all__ = ["ArrayFile", "AsyncRest", "Grpc", "InProcess", "Rest", "request", "response"]
