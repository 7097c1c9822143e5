"""Configuration of TensorFlow Serving for models with byte inputs."""

from .config import Model, batching_config, command, compose_file, largest_batch, models_config

__all__ = [
    "Model",
    "batching_config",
    "command",
    "compose_file",
    "largest_batch",
    "models_config",
]
