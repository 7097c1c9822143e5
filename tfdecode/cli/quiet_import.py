"""Import TensorFlow without its log lines: stderr is for the command's own message."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator

#: Users set it to see TensorFlow's log; stderr is then left alone.
LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_quietly() -> None:
    """Import TensorFlow, if it is there; log lines only if ``TF_CPP_MIN_LOG_LEVEL`` is set."""
    if LEVEL in os.environ or "tensorflow" in sys.modules:
        return
    os.environ[LEVEL] = "3"  # read once, at the import
    # TensorFlow 2.21 logs six lines while its libraries load, whatever the level.
    with no_stderr(), contextlib.suppress(ImportError):  # reported when it is used
        importlib.import_module("tensorflow")


@contextlib.contextmanager
def no_stderr() -> Iterator[None]:
    """Discard what native code writes to file descriptor 2."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
