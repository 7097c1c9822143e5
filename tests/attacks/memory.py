"""How much memory something takes at its peak, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

MIB = 2**20

#: Forks for each program that it reads, as TensorFlow takes three seconds of CPU to import, and
#: writes how each ended. `measure` sets the peak of resident memory back, runs ``attack()`` and
#: prints by how many bytes it rose.
SERVER = """
import json, os, re, sys, traceback, zlib
import numpy as np
import tfdecode as tfd

tfd.ArraySpec  # the names of a package are imported when used

def resident(what):
    return 1024 * int(re.search(what + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

def measure(attack):
    attack("warm up")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = resident("VmRSS")
    print(attack("attack"), resident("VmHWM") - before)

if "tensorflow" in sys.argv:
    import tensorflow as tf

    def graph(decode):
        signature = [tf.TensorSpec([None], tf.string)]
        return tf.function(decode, input_signature=signature, autograph=False)

def run(code):
    try:
        exec(code, globals())
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        os._exit(1)
    finally:
        sys.stdout.flush()
    os._exit(0)

answers = os.dup(1)
for line in sys.stdin:
    code, path = json.loads(line)
    child = os.fork()
    if not child:
        os.dup2(os.open(path, os.O_WRONLY), 1)
        run(code)
    os.write(answers, b"%d\\n" % os.waitpid(child, 0)[1])
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from /proc"
)


@cache
def server(tensorflow: bool) -> subprocess.Popen[str]:
    """A process that forks; it ends with this one, which closes its input."""
    command = [sys.executable, "-c", SERVER, *(["tensorflow"] if tensorflow else [])]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run(attack: str, tensorflow: bool) -> tuple[str, int]:
    """What ``attack`` says and how many bytes it took at its peak, in a process of its own."""
    process = server(tensorflow)
    assert process.stdin and process.stdout
    with NamedTemporaryFile("r") as printed:
        print(json.dumps([attack, printed.name]), file=process.stdin, flush=True)
        status, text = process.stdout.readline(), printed.read()
    assert status == "0\n", text
    outcome, peak = text.split()
    return outcome, int(peak)
