"""SavedModels with byte inputs, for a stock TensorFlow Serving."""

from .check import check
from .export import export

__all__ = ["check", "export"]
