"""Many files into the shards of one TFRecord data set, on all cores or on an engine."""

from .engines import run
from .manifest import finish
from .plans import Plan, plan
from .shard import Facts, Shard

__all__ = ["Facts", "Plan", "Shard", "finish", "plan", "run"]
