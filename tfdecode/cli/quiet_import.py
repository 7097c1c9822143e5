"""Import TensorFlow without its log lines: stderr is for the command's own message."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator

#: Users set it to 0 or 1 to see TensorFlow's log; stderr is then left alone.
LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_quietly() -> None:
    """Import TensorFlow, if it is there; log lines if ``TF_CPP_MIN_LOG_LEVEL`` asks for them."""
    level = os.environ.setdefault(LEVEL, "3")  # read once, at the import
    if level not in ("2", "3") or "tensorflow" in sys.modules:
        return
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
