"""Importing tfdecode is light: the heavy libraries are imported when used."""

import subprocess
import sys


def test_import_brings_nothing_heavy() -> None:
    heavy = "{'tensorflow', 'scipy', 'keras', 'rich', 'ml_dtypes'}"
    code = f"import sys, tfdecode; print(*({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
