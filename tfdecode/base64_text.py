"""Base64 text in the place of a payload: the commonest mistake of those who post JSON."""

from __future__ import annotations

import re

#: Why a payload that no codec understands may be refused.
BASE64 = (
    'it looks like base64 text: decode it first (base64.b64decode); in JSON for REST it is {"b64": '
    '"..."}, which the server decodes'
)
#: Bytes that are looked at, the fewest of them, and what they are in either alphabet.
LOOKED_AT, FEWEST = 64, 16
BASE64_PATTERN = "[A-Za-z0-9+/_-]+={0,2}"


def looks_like_base64(payload: bytes) -> bool:
    """Whether the beginning of a payload has only letters of base64 text.

    >>> looks_like_base64(b"AAAAAAAAgD8AAABA"), looks_like_base64(bytes(16))
    (True, False)
    """
    start = payload[:LOOKED_AT]
    return len(start) >= FEWEST and bool(re.fullmatch(BASE64_PATTERN.encode(), start))
