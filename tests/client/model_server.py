"""A server in a process of its own: ``tensorflow_model_server`` itself, and its stand-in."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfdecode import serving

#: Names the program of TensorFlow Serving if it is not on PATH.
VARIABLE = "TFDECODE_MODEL_SERVER"
PROGRAM = "tensorflow_model_server"
ROOT = Path(__file__).parents[2]
#: Seconds until a server serves its models, on a busy machine.
PATIENCE = 180


def programs() -> dict[str, list[str]]:
    """The servers to test against, by name: the stand-in, and TensorFlow Serving if it is there."""
    found = {"stand-in": [sys.executable, "-m", "tests.client.stand_in"]}
    given = os.environ.get(VARIABLE)
    if given and not shutil.which(given):
        raise FileNotFoundError(f"{VARIABLE} is {given}, which is no program")
    program = shutil.which(given or PROGRAM)
    return {**found, PROGRAM: [program]} if program else found


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens to."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class ModelServer:
    """A running server; ``program`` is the command that starts it, without options."""

    def __init__(
        self, program: Sequence[str], options: Sequence[str], names: Sequence[str], log: Path
    ) -> None:
        self.program, self.options, self.names, self.log = program, options, names, log
        given = dict(option.lstrip("-").partition("=")[::2] for option in options)
        self.port, self.rest_port = int(given["port"]), int(given["rest_api_port"])

    @classmethod
    def of_models(
        cls, program: Sequence[str], models: Mapping[str, Path], folder: Path, **batching: int
    ) -> ModelServer:
        """A server of model directories, with the configuration that `tfdecode.serving` writes."""
        of_model = [
            serving.Model(path, name, versions=(1,), labels={"stable": 1})
            for name, path in models.items()
        ]
        config, batches = folder / "models.config", folder / "batching.config"
        config.write_text(serving.models_config(of_model))
        batches.write_text(serving.batching_config(serving.largest_batch(of_model), **batching))
        grpc_port, rest_port = free_ports(2)
        _, *options = serving.command(
            str(config), str(batches), rest_port=rest_port, grpc_port=grpc_port
        )
        return cls(program, options, list(models), folder / "log")

    def rest(self, name: str) -> str:
        return f"http://127.0.0.1:{self.rest_port}/v1/models/{name}"

    def grpc(self, name: str) -> str:
        return f"grpc://127.0.0.1:{self.port}/v1/models/{name}"

    def start(self) -> None:
        """Start the program, and wait until all models are served."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.program, *self.options], env=environment, stdout=log, stderr=log
            )
        end = time.monotonic() + PATIENCE
        waiting = list(self.names)
        while waiting:
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise AssertionError(f"{self.program} does not serve {waiting}: {self.logged()}")
            if self.serves(waiting[0]):
                del waiting[0]
            else:
                time.sleep(0.1)

    def serves(self, name: str) -> bool:
        try:
            with urllib.request.urlopen(self.rest(name)) as answer:
                status = json.load(answer)["model_version_status"]
        except (OSError, urllib.error.HTTPError):
            return False
        return all(version["state"] == "AVAILABLE" for version in status)

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self.process.kill()
        self.process.wait()

    def logged(self) -> str:
        return self.log.read_text(errors="replace")[-5000:]

    def __enter__(self) -> ModelServer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
