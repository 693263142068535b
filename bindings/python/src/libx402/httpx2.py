"""Transports for httpx2: `httpx2.Client(transport=Transport(client))`, `httpx2.AsyncClient(transport=AsyncTransport(client))`.

Redirects, cookies and content codings stay httpx2's; connections, TLS, proxies and payment are libx402's, by the client's
settings. What httpx2 has for those (`verify`, `proxy`, `limits`) does not reach a transport.
"""

from __future__ import annotations

import httpx2

from . import _transport

__all__ = ["AsyncTransport", "Transport"]


class _Body(_transport.SyncBody, httpx2.SyncByteStream):
    _module = httpx2


class _AsyncBody(_transport.AsyncBody, httpx2.AsyncByteStream):
    _module = httpx2


class Transport(_transport.SyncTransport, httpx2.BaseTransport):
    """Pays under an `httpx2.Client`: `Transport(client)`, or `Transport(wallet=..., policy=..., ledger=...)`."""

    _module, _body = httpx2, _Body


class AsyncTransport(_transport.AsyncTransportBase, httpx2.AsyncBaseTransport):
    """Pays under an `httpx2.AsyncClient`, on asyncio: otherwise as `Transport`."""

    _module, _body = httpx2, _AsyncBody
