"""What is often sent in the place of a payload: base64 text, JSON, a whole file, the bare array."""

from __future__ import annotations

import re
from collections.abc import Collection

#: Bytes that are looked at, and the fewest of a text.
LOOKED_AT, FEWEST = 64, 16
#: What texts are made of, in the syntax of RE2 and of Python, and what to do; the first counts.
TEXTS = {
    r"b['\"][ -~]*": "Python's str() of bytes: send base64.b64encode(payload).decode()",
    r"data:[ -~]*": 'a data URL: send the base64 after its comma alone, as {"b64": "..."}',
    r"\s*\[[\[\]\w\s.,+-]*": "a JSON list: encode the array instead",
    r"\s*\{\s*\"b64\"[ -~\s]*": "text of a b64 object: send the object, not a string of it",
    r"(?:0x)?[0-9a-f]+\s*": "hex text: decode it first (bytes.fromhex)",
    r"[A-Za-z0-9+/_\r\n-]+={0,2}[\r\n]*": (
        'base64 text: decode it first (base64.b64decode); in JSON for REST it is {"b64": "..."}, '
        "which the server decodes"
    ),
}
LOAD = "read it by tfdecode.load, and encode the array"
#: Frames of protocols 5 and 4; what classes, dicts and lists begin with before them.
PICKLES = (
    *(b"\x80\x05\x95", b"\x80\x04\x95", b"\x80\x03c", b"\x80\x03}", b"\x80\x03]"),
    *(b"\x80\x02c", b"\x80\x02}", b"\x80\x02]"),
)
#: How files begin that are taken for payloads.
FILES = {
    b"\x1f\x8b\x08": "gzip data: send the payload itself; only a whole body can be gzip",
    b"\x93NUMPY": f"an .npy file: {LOAD}",
    b"PK\x03\x04": f"a zip archive, such as .npz: {LOAD}",
    b"MATLAB ": f"a MATLAB file: {LOAD}",
    b"\x89HDF": f"HDF5 data: {LOAD}",
    b"\x89PNG": f"a PNG image: {LOAD}",
    b"\xff\xd8\xff": "a JPEG image: this input takes arrays",
    **dict.fromkeys(PICKLES, f"a pickle: {LOAD}"),
}
BARE = "it has as many bytes as the array itself, which must be encoded"


def files_besides(begins: Collection[bytes]) -> dict[bytes, str]:
    """`FILES` without those that begin as good payloads do."""
    return {
        magic: text
        for magic, text in FILES.items()
        if not any(magic.startswith(good) or good.startswith(magic) for good in begins)
    }


def hint(payload: bytes, begins: Collection[bytes] = (), bare: int | None = None) -> str:
    """What follows the message of a payload that looks like something else; else "".

    ``begins`` is how good payloads begin, ``bare`` the number of bytes of the array itself.

    >>> hint(b"AAAAAAAAgD8AAABA")[:33], hint(bytes(16)), hint(b"\\x93NUMPY...")[:27]
    ('; it looks like base64 text: deco', '', '; it looks like an .npy fil')
    """
    start = payload[:LOOKED_AT]
    if len(start) >= FEWEST:
        for pattern, text in TEXTS.items():
            if re.fullmatch(pattern.encode(), start):
                return f"; it looks like {text}"
    for magic, text in files_besides(begins).items():
        if start.startswith(magic):
            return f"; it looks like {text}"
    return f"; {BARE}" if len(payload) == bare else ""
