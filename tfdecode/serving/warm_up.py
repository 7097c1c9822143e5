"""warm_up: requests that TensorFlow Serving runs itself before it serves a model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..client.in_process import InProcess
from ..client.inputs import Inputs
from ..errors import ExportError, TfdecodeError
from ..saved_models.warmup import ASSET, MOST, add_warmup


def warm_up(
    saved_model: str | os.PathLike[str],
    inputs: Inputs | Sequence[Inputs],
    *,
    signature: str | None = None,
    keep: bool = False,
) -> Path:
    """Write the requests that warm up a model, so that its first client does not wait.

    Each is run here first, loaded as the server loads it: one that fails would keep the model from
    loading.

    Parameters
    ----------
    saved_model : str or os.PathLike
        The directory of a SavedModel, or of its versions; the newest version is meant.
    inputs : mapping, or sequence of mappings
        What `tfdecode.client.InProcess.predict` takes, once or for each request. Send a batch of
        each size that clients will send: a server with batching pads to its allowed sizes.
    signature : str, optional
        The signature to run, by default that of the schema, else ``serving_default``.
    keep : bool, default False
        Keep the records of earlier calls and of `tfdecode.export`, of other signatures for example.
        They are replaced by default.

    Returns
    -------
    pathlib.Path
        The file, ``assets.extra/tf_serving_warmup_requests`` in the version directory.

    Raises
    ------
    ExportError
        If a request fails, or there are none or more than 1,000 in all; the old file stays.

    Examples
    --------
    >>> import tempfile, numpy as np, tfdecode as tfd
    >>> spec = tfd.ArraySpec((3,), "float32", codecs="zlib")
    >>> with tempfile.TemporaryDirectory() as models:
    ...     path = tfd.export(lambda pose: pose * 2, models, inputs={"pose": spec})
    ...     warm_up(path, {"pose": [np.ones(3, "float32")] * 2}).name
    'tf_serving_warmup_requests'
    """
    requests: list[Inputs] = [inputs] if isinstance(inputs, Mapping) else list(inputs)
    if not 1 <= len(requests) <= MOST:
        raise ExportError(f"{len(requests)} warm-up requests, needs 1 to {MOST}")
    feeds = []
    with InProcess(saved_model, signature) as model:
        for index, request in enumerate(requests):
            try:
                prepared = model.prepare(request)
                model.run(prepared)
            except TfdecodeError as error:
                raise ExportError(f"warm-up request {index}: {error}") from None
            feeds.append((model.signature, {key: one.array for key, one in prepared.items()}))
        path = model.directory / ASSET
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        if keep and path.exists():
            shutil.copyfile(path, temporary)
        if not add_warmup(temporary, feeds):
            raise ExportError(f"with the records that are kept, there are more than {MOST}")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
