"""Multipart forms that are the same each time, so that a repeat of one is known by its bytes.

HTTP packages separate the parts of a form by a random text (RFC 2046: the boundary), drawn anew for every request, also
for a retry. Here it is replaced by one made from the parts: equal parts are then equal bytes, and the library presents
the payment it has instead of signing another. Knows no package; a boundary that does not look drawn is left alone,
because it is the caller's, and so is a body whose bytes another header vouches for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Optional

#: A form that is not in memory is collected up to this length, if its length is known.
FORM_BYTES_MAX = 8 * 1024 * 1024
#: As httpx and urllib3 draw it: 16 random bytes in hexadecimal.
_DRAWN = re.compile(rb"multipart/form-data;\s*boundary=\"?([0-9a-f]{32})\"?\s*", re.IGNORECASE)
#: Headers that speak of the body's bytes.
_VOUCHING = {b"content-md5", b"digest", b"content-digest", b"repr-digest", b"signature", b"x-amz-content-sha256"}

Pairs = list[tuple[bytes, bytes]]


def _drawn_boundary(headers: Pairs) -> Optional[bytes]:
    if any(name.lower() in _VOUCHING for name, _ in headers):
        return None
    types = [value for name, value in headers if name.lower() == b"content-type"]
    found = _DRAWN.fullmatch(types[0]) if len(types) == 1 else None
    return found and found[1]


def is_collected(headers: Pairs, length: Optional[int]) -> bool:
    """Whether a form with these headers is to be collected, for `settled` to make it the same each time."""
    return length is not None and length <= FORM_BYTES_MAX and _drawn_boundary(headers) is not None


def _digest(parts: Iterable[bytes]) -> bytes:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.hexdigest()[:32].encode()


def settled(headers: Pairs, body: bytes) -> tuple[Pairs, bytes]:
    """Headers and body with a boundary made from the parts, of the same length; anything else as it is."""
    drawn = _drawn_boundary(headers)
    if drawn is None:
        return headers, body
    first, *parts = (b"\r\n" + body).split(b"\r\n--" + drawn)
    # Every place where it stands must be one between parts: then replacing it changes no part.
    if first or not parts or not parts[-1].startswith(b"--") or body.count(drawn) != len(parts):
        return headers, body
    made = _digest(parts)
    if made in body:
        return headers, body
    out = [(name, value.replace(drawn, made) if name.lower() == b"content-type" else value) for name, value in headers]
    return out, (b"\r\n--" + made).join([b"", *parts])[2:]
