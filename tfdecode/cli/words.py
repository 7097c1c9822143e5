"""Options of a command line in place of the Python arguments that messages of the library name."""

from __future__ import annotations

import re
from collections.abc import Container

#: An option, what a message says in Python, and what it says on the command lines that have it.
RULES = (
    ("--input", r"^inputs is empty", "there is no --input"),
    ("--output", r"^outputs is empty", "there is no --output"),
    ("--mask", r"on_invalid='mask'", "--mask"),
    ("--unequal-rows", r"independent_rows=False", "--unequal-rows"),
    ("--no-safe-mode", r"safe_mode=False", "--no-safe-mode"),
    ("--padded", r"ragged=\{'([^']+)': 'ragged'\} \([^)]*\) or \{[^}]*\}", r"--padded \1"),
    ("--max-rows", r"\bmax_batch_size=1\b", "--max-rows 1"),
    ("--max-rows", r"\bmax_rows\b", "--max-rows"),
    ("--max-batch-size", r"\bmax_batch_size\b", "--max-batch-size"),
    ("--constant", r"constants=\{'([^']+)': ([^}]*)\}", r"--constant \1=\2"),
    ("--cast", r"\bcast=\{'([^']+)': [^}]*\}", r"--cast \1"),
    ("--assets", r"pass assets= with", "pass --assets with"),
    ("--signature", r"another signature=", "another --signature"),
    ("--replace-default", r"\breplace_default\b", "--replace-default"),
    ("--schema", r"pass schema=", "pass --schema FILE"),
    ("--max-body-bytes", r"\bmax_(body|message)_bytes\b", "--max-body-bytes"),
    ("--output", r"an ArraySpec in (in|out)puts=", r"--\1put NAME=SPEC"),
    ("--max-shape", r"(?<=pass )max_shape\b|\bmax_shape=(?= )", "--max-shape"),
    ("--key", r"\bkey=(?= )", "--key"),
    ("--as-is", r"\bas_is=True", "--as-is"),
    ("--no-seal", r"\bseal=False", "--no-seal"),
    ("--codec", r"\bcodecs=(?=')", "--codec "),
    ("--dtype", r"convert it first: array\.astype\('([^']+)'\)", r"convert it: --dtype \1"),
)
#: What no command line has.
OTHERS = (
    (r" \(sample= takes an example\)|; pass sample= to prove it", ""),
    (r"(?<!in Python )\b((cast|ragged|constants)=\{|tfdecode\.(load|Schema)\b)", r"in Python \1"),
)


def in_options(text: str, options: Container[str]) -> str:
    """A message as it is said on a command line that has these options."""
    for option, python, said in RULES:
        if option in options:
            text = re.sub(python, said, text)
    for python, said in OTHERS:
        text = re.sub(python, said, text)
    return text
