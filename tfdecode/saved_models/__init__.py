"""Models with byte inputs: SavedModels that a stock TensorFlow Serving loads and runs."""

from .check import check
from .export import export

__all__ = ["check", "export"]
