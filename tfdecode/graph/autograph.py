"""Keeping a method out of AutoGraph."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from ..extras import tensorflow as tf

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def no_autograph(method: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Exclude ``method`` from AutoGraph, which has nothing to convert here and warns."""

    @wraps(method)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        result: Result = tf.autograph.experimental.do_not_convert(method)(*args, **kwargs)
        return result

    return call
