"""Many files into the shards of one TFRecord data set, on all cores or on an engine."""

from .engines import run
from .features import read_features
from .manifest import finish
from .plans import Plan, plan
from .shard import Facts, Shard
from .spark import register
from .verify import verify

__all__ = ["Facts", "Plan", "Shard", "finish", "plan", "read_features", "register", "run", "verify"]
