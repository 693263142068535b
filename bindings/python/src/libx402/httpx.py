"""Transports for httpx: `httpx.Client(transport=Transport(client))`, `httpx.AsyncClient(transport=AsyncTransport(client))`.

Redirects, cookies and content codings stay httpx's; connections, TLS, proxies and payment are libx402's, by the client's
settings. What httpx has for those (`verify`, `proxy`, `limits`) does not reach a transport.
"""

from __future__ import annotations

import httpx

from . import _transport

__all__ = ["AsyncTransport", "Transport"]


class _Body(_transport.SyncBody, httpx.SyncByteStream):
    _module = httpx


class _AsyncBody(_transport.AsyncBody, httpx.AsyncByteStream):
    _module = httpx


class Transport(_transport.SyncTransport, httpx.BaseTransport):
    """Pays under an `httpx.Client`: `Transport(client)`, or `Transport(wallet=..., policy=..., ledger=...)`."""

    _module, _body = httpx, _Body


class AsyncTransport(_transport.AsyncTransportBase, httpx.AsyncBaseTransport):
    """Pays under an `httpx.AsyncClient`, on asyncio: otherwise as `Transport`."""

    _module, _body = httpx, _AsyncBody
