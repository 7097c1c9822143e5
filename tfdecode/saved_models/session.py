"""Run a SavedModel as a server does: loaded into a session, not as Python objects."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import asserted
from ..extras import tensorflow as tf


class ServingSession:
    """A SavedModel as servers load it; tf.saved_model.load finds variables that no server does."""

    def __init__(self, directory: Path) -> None:
        self.closed = False
        graph = tf.Graph()
        self.session = tf.compat.v1.Session(graph=graph)
        with graph.as_default(), quiet():
            meta = tf.compat.v1.saved_model.load(self.session, ["serve"], str(directory))
        self.signatures = {  # name: (inputs, outputs), each a dict of key -> TensorInfo protobuf
            name: (dict(sorted(signature.inputs.items())), dict(sorted(signature.outputs.items())))
            for name, signature in sorted(meta.signature_def.items())  # protobuf maps have no order
            if not name.startswith("__saved_model")  # what the loader itself runs
        }

    def run(self, signature: str, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs of one signature, as numpy arrays (strings: object arrays of bytes)."""
        inputs, outputs = self.signatures[signature]
        fetches = {key: info.name for key, info in outputs.items()}
        named = {inputs[key].name: value for key, value in feeds.items()}
        results: dict[str, Any] = self.session.run(fetches, named)
        return results

    def close(self) -> None:
        """Free the model's memory."""
        self.closed = True
        self.session.close()

    def __enter__(self) -> ServingSession:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def reason(error: Any) -> str:
    """Why a run failed, in one line: the message of a TensorFlow error without its traceback."""
    text = str(error.message)
    sentence = asserted(text)
    if sentence is not None:
        return sentence
    frame = re.compile(r"\s|Graph execution error|Detected at|Node: |File |\d+ root error|\(\d+\) ")
    lines = [line for line in text.splitlines() if line and not frame.match(line)]
    return lines[0][:300] if lines else type(error).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """Log only errors: the session loader warns that it is deprecated."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
