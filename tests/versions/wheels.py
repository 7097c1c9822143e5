"""Other versions of TensorFlow: their wheels, and the C program of ``runtime/`` built with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from runtime.build import build

BUILD = Path(__file__).resolve().parents[2] / "build" / "versions"
#: The versions, each with a Python that it has wheels for.
PYTHONS = {f"2.{minor}": "3.8" if minor < 12 else "3.11" for minor in range(4, 21)}
PLATFORMS = ("manylinux2010_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64")


def installed(version: str) -> Path:
    """The folder of the package of a version, alone: its libraries need nothing else."""
    folder = BUILD / version
    if not (folder / "tensorflow").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
        command += ["--target", str(folder), "--only-binary=:all:"]
        command += [f"--platform={platform}" for platform in PLATFORMS]
        command += ["--implementation", "cp", "--python-version", PYTHONS[version]]
        subprocess.run([*command, f"tensorflow-cpu=={version}.*"], check=True)
    return folder / "tensorflow"


def program(version: str) -> Path:
    """The program that serves a SavedModel with a version of TensorFlow."""
    return build(tensorflow=installed(version))
