"""models.config, batching.config and command lines of TensorFlow Serving, as text.

Sources: https://www.tensorflow.org/tfx/serving/serving_config (the models, the batching
parameters), https://www.tensorflow.org/tfx/serving/docker (ports, volumes).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..dtypes import checked_number
from ..errors import FileError, SpecError
from ..schema import ASSET, Schema

#: What a batch has at most if no model says less: enough for a busy accelerator.
MAX_BATCH_SIZE = 64
#: Where the models are inside a container.
INSIDE = PurePosixPath("/models")
IMAGE = "tensorflow/serving"
#: The largest number that a configuration can hold.
MOST = 2**31 - 1


@dataclass(frozen=True)
class Model:
    """A model to serve.

    Parameters
    ----------
    path : pathlib.Path
        The directory of its versions.
    name : str, optional
        By default the name of that directory.
    versions : tuple of int, optional
        The versions to serve; by default the newest one.
    labels : mapping of str to int, optional
        Names for versions: ``{"stable": 3}`` is served as ``/labels/stable``.

    Raises
    ------
    SpecError
        If the name is not one that a URL can hold, the path has control characters or is not UTF-8,
        or a label names a version that is not served.
    FileError
        If the directory has no version, or lacks one of these.
    """

    path: Path
    name: str = ""
    versions: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        path = Path(self.path).resolve()  # the server takes absolute paths only
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "name", self.name or path.name)
        if not str(path).isprintable():
            raise SpecError(f"{str(path)!r} has characters that a configuration cannot hold")
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", self.name):
            raise SpecError(
                f"model name {self.name!r} needs letters, digits and . _ -, at most 128"
            )
        there = self.there()
        if not there:
            single = (path / "saved_model.pb").exists()
            what = "is a SavedModel; pass the directory of its versions" if single else "has none"
            raise FileError(f"{path}: has no version directories: it {what}")
        missing = sorted(set(self.versions) - set(there))
        if missing:
            listed = ", ".join(map(str, there))
            raise FileError(f"{path}: has no version {missing[0]}; it has {listed}")
        for label, version in self.labels.items():
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", label):
                raise SpecError(f"label {label!r} needs letters, digits, _ and -, at most 128")
            if version not in self.served():
                listed = ", ".join(map(str, self.served()))
                raise SpecError(f"label {label} is for version {version}, served are: {listed}")

    def there(self) -> list[int]:
        """The versions in the directory."""
        return sorted(self._directories())

    def directory(self, version: int) -> Path:
        """The directory of a version, which may be called ``001``."""
        return self._directories()[version]

    def _directories(self) -> dict[int, Path]:
        try:
            found = [entry for entry in self.path.iterdir() if entry.is_dir()]
        except OSError as error:
            raise FileError(f"{self.path}: cannot be read: {error.strerror}") from None
        return {int(one.name): one for one in found if re.fullmatch("[0-9]{1,19}", one.name)}

    def served(self) -> tuple[int, ...]:
        """The versions that a server loads."""
        return self.versions or (self.there()[-1],)


def largest_batch(models: Sequence[Model], wanted: int | None = None) -> int:
    """The largest batch that all models take, at most ``wanted`` (default: 64).

    A server merges the requests of several clients. If a batch is larger than a model allows, the
    graph refuses it, and all of these clients get the error.

    Parameters
    ----------
    models : sequence of Model
        The models of a server.
    wanted : int, optional
        The batch that you want; SpecError if it is more than one of them takes.

    Examples
    --------
    >>> largest_batch([]), largest_batch([], wanted=16)
    (64, 16)
    """
    limits = {}
    for model in models:
        for version in model.served():
            directory = model.directory(version)
            if not (directory / ASSET).exists():  # not a model of ours: it says no limit
                continue
            schema = Schema.load(directory)
            known = [one.max_batch_size for one in (schema, *schema.signatures.values())]
            if least_known := min(filter(None, known), default=None):
                limits[f"{model.name} version {version}"] = least_known
    if wanted is not None:
        checked_number("max_batch_size", wanted, 1, MOST)
    least = min(limits, key=lambda name: limits[name], default=None)
    if wanted is not None and least is not None and wanted > limits[least]:
        raise SpecError(f"a batch of {wanted} is more than {least} takes: {limits[least]}")
    return wanted or min([MAX_BATCH_SIZE, *limits.values()])


def models_config(models: Sequence[Model], inside: PurePosixPath | None = None) -> str:
    """The file of ``--model_config_file``.

    Parameters
    ----------
    models : sequence of Model
        What to serve; their names must differ.
    inside : pathlib.PurePosixPath, optional
        The directory in a container that the models' directories are mounted in.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "pose" / "1").mkdir(parents=True)
    ...     text = models_config([Model(Path(folder) / "pose")], PurePosixPath("/models"))
    >>> [line.strip() for line in text.splitlines()][2:4]
    ['name: "pose"', 'base_path: "/models/pose"']
    """
    names = [model.name for model in models]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpecError(f"two models are named {twice[0]}")
    return _block("model_config_list", [_model(model, inside) for model in models])


def _model(model: Model, inside: PurePosixPath | None) -> str:
    base = inside / model.name if inside else model.path
    lines = [f"name: {_text(model.name)}", f"base_path: {_text(str(base))}"]
    lines.append('model_platform: "tensorflow"')
    if model.versions:
        numbers = [f"versions: {version}" for version in model.versions]
        lines.append(_block("model_version_policy", [_block("specific", numbers)]))
    for label, version in model.labels.items():
        lines.append(_block("version_labels", [f"key: {_text(label)}", f"value: {version}"]))
    return _block("config", lines)


def batching_config(
    max_batch_size: int, *, timeout_micros: int = 2000, threads: int = 4, queue: int = 100
) -> str:
    """The file of ``--batching_parameters_file``.

    Parameters
    ----------
    max_batch_size : int
        Rows of a batch; see `largest_batch`.
    timeout_micros : int, default 2000
        Microseconds to wait for a batch to fill.
    threads : int, default 4
        Batches at the same time: the number of cores, for a model on the CPU.
    queue : int, default 100
        Batches that may wait; more requests are refused with 503.

    Examples
    --------
    >>> batching_config(6).splitlines()[-3:]
    ['allowed_batch_sizes: 2', 'allowed_batch_sizes: 4', 'allowed_batch_sizes: 6']
    """
    checked_number("max_batch_size", max_batch_size, 1, MOST)
    checked_number("timeout_micros", timeout_micros, 0, MOST)
    checked_number("threads", threads, 1, MOST)
    checked_number("queue", queue, 1, MOST)
    sizes = [1]
    while sizes[-1] * 2 < max_batch_size:
        sizes.append(sizes[-1] * 2)
    # The last one must equal max_batch_size, or the model never loads.
    sizes = [size for size in sizes if size < max_batch_size] + [max_batch_size]
    values = {
        "max_batch_size": max_batch_size,
        "batch_timeout_micros": timeout_micros,
        "num_batch_threads": threads,
        "max_enqueued_batches": queue,
    }
    lines = [_block(name, [f"value: {value}"]) for name, value in values.items()]
    lines += [f"allowed_batch_sizes: {size}" for size in sizes]
    return "\n".join(lines) + "\n"


def command(config: str, batching: str | None, *, rest_port: int, grpc_port: int) -> list[str]:
    """The command line of the server, for configuration files of these names.

    Parameters
    ----------
    config : str
        The file of `models_config`.
    batching : str or None
        The file of `batching_config`; None for a server that merges no requests.
    rest_port, grpc_port : int
        The ports of HTTP and of gRPC.

    Examples
    --------
    >>> command("/etc/models.config", None, rest_port=8501, grpc_port=8500)[:3]
    ['tensorflow_model_server', '--port=8500', '--rest_api_port=8501']
    """
    checked_number("rest_port", rest_port, 1, 2**16 - 1)
    checked_number("grpc_port", grpc_port, 1, 2**16 - 1)
    found = [
        "tensorflow_model_server",
        f"--port={grpc_port}",
        f"--rest_api_port={rest_port}",
        f"--model_config_file={config}",
        # Labels are given to versions that are not loaded yet.
        "--allow_version_labels_for_unavailable_models=true",
    ]
    if batching is not None:
        found += ["--enable_batching=true", f"--batching_parameters_file={batching}"]
    return found


def compose_file(
    models: Sequence[Model], *, batching: bool, rest_port: int, grpc_port: int, image: str = IMAGE
) -> str:
    """A docker-compose.yml next to the two configuration files, which must be for a container.

    Parameters
    ----------
    models : sequence of Model
        What is served: their directories are mounted.
    batching : bool
        Whether there is a ``batching.config``.
    rest_port, grpc_port : int
        The ports of this machine.
    image : str, default "tensorflow/serving"
        The image of the container.

    Examples
    --------
    >>> compose_file([], batching=False, rest_port=8501, grpc_port=8500).splitlines()[2]
    '    image: "tensorflow/serving"'
    """
    config = INSIDE / "models.config"
    arguments = command(
        str(config), str(INSIDE / "batching.config") if batching else None,
        rest_port=8501, grpc_port=8500,
    )[3:]  # fmt: skip
    mounts = [_mount(f"./{config.name}", config)]
    mounts += [_mount("./batching.config", INSIDE / "batching.config")] if batching else []
    mounts += [_mount(str(model.path), INSIDE / model.name) for model in models]
    lines = ["services:", "  serving:", f"    image: {json.dumps(image)}", "    command:"]
    lines += [f"      - {json.dumps(argument)}" for argument in arguments]
    lines += ["    ports:", f'      - "{rest_port}:8501"', f'      - "{grpc_port}:8500"']
    escaped = (mount.replace("$", "$$") for mount in mounts)  # docker compose reads variables
    lines += ["    volumes:", *(f"      - {mount}" for mount in escaped)]
    return "\n".join(lines) + "\n"


def _mount(source: str, target: PurePosixPath) -> str:
    """An entry of ``volumes``; the short form would end the source at a colon."""
    if ":" not in source:
        return json.dumps(f"{source}:{target}:ro")
    bind = {"type": "bind", "source": source, "target": str(target), "read_only": True}
    return json.dumps(bind)


def shell(arguments: Sequence[str]) -> str:
    """A command line for a POSIX shell, an option a line."""
    return " \\\n  ".join(map(shlex.quote, arguments))


def _block(name: str, lines: Sequence[str]) -> str:
    inner = "\n".join(f"  {line}" for text in lines for line in text.splitlines())
    return f"{name} {{\n{inner}\n}}" + ("\n" if name == "model_config_list" else "")


def _text(value: str) -> str:
    """A string of a text protobuf: JSON's escapes of ASCII are the same."""
    return json.dumps(value, ensure_ascii=False)
