"""What the transports of httpx and of httpx2 have in common; the two packages differ in nothing that is used here."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any, Optional

from . import _form
from .client import Client
from .errors import Error, Status
from .request import Request
from .response import AsyncResponse, Response

#: The exception's name for a status; others are raised as `TransportError`.
EXCEPTIONS: dict[int, str] = {
    Status.URL: "UnsupportedProtocol",
    Status.METHOD: "LocalProtocolError",
    Status.HEADER: "LocalProtocolError",
    Status.BODY_LENGTH: "LocalProtocolError",
    Status.RESOLVE: "ConnectError",
    Status.CONNECT: "ConnectError",
    Status.TLS: "ConnectError",
    Status.ADDRESS_DENIED: "ConnectError",
    Status.TIMEOUT: "ReadTimeout",
    Status.PROXY: "ProxyError",
    Status.CONNECTION_LOST: "ReadError",
    Status.PROTOCOL: "RemoteProtocolError",
    Status.HEAD_LIMIT: "RemoteProtocolError",
    Status.CONTENT_CODING: "DecodingError",
    Status.REDIRECT: "TooManyRedirects",
}
#: Headers that the library makes itself from URL and body.
OWN_HEADERS = (b"host", b"content-length", b"transfer-encoding", b"connection", b"expect")
#: A request header that names the purchase: it becomes the setting purchase_key and is not sent.
PURCHASE_KEY_HEADER = b"x402-purchase-key"


def exception_name(error: Error) -> str:
    """The name of the httpx exception for an error."""
    if error.status == Status.TIMEOUT and error.message.startswith("connect_timeout_ms"):
        return "ConnectTimeout"
    return EXCEPTIONS.get(error.status, "TransportError")


@contextlib.contextmanager
def mapped(module: ModuleType, request: Any) -> Iterator[None]:
    """Raises errors as exceptions of the package, with the error itself as `x402` and as the cause."""
    try:
        yield
    except Error as error:
        raised = getattr(module, exception_name(error))(error.message, request=request)
        raised.x402 = error
        raise raised from error


def _milliseconds(seconds: Optional[float]) -> int:
    return 0 if seconds is None else max(1, math.ceil(seconds * 1000))


def _settings(request: Any) -> dict[str, object]:
    """Redirects are the caller's to follow; its timeouts hold; `extensions["x402"]` are further settings."""
    settings: dict[str, object] = {"max_redirects": 0}
    timeout = request.extensions.get("timeout")
    if timeout is not None:
        settings["connect_timeout_ms"] = _milliseconds(timeout.get("connect"))
        settings["first_byte_timeout_ms"] = _milliseconds(timeout.get("read"))
        both = [timeout.get("read"), timeout.get("write")]
        settings["idle_timeout_ms"] = 0 if None in both else _milliseconds(max(both))
    purchase_key = request.headers.get(PURCHASE_KEY_HEADER.decode())
    if purchase_key is not None:
        settings["purchase_key"] = purchase_key
    settings.update(request.extensions.get("x402") or {})
    return settings


def _length(request: Any) -> Optional[int]:
    length = request.headers.get("content-length")
    return None if length is None else int(length)


def request_of(request: Any, body: Any) -> Request:
    """A request of the package as one of the library. `body` is bytes, or what gives them, or None."""
    headers = []
    for name, value in request.headers.raw:
        lower = name.lower()
        default_host = lower == b"host" and value == request.url.netloc
        if lower == PURCHASE_KEY_HEADER or (lower in OWN_HEADERS and (lower != b"host" or default_host)):
            continue
        headers.append((name, value))
    if isinstance(body, bytes):
        headers, body = _form.settled(headers, body)
        if not body and request.method not in ("POST", "PUT", "PATCH"):
            body = None
    out = Request(request.method, str(request.url), headers=headers, settings=_settings(request))
    return out if body is None else out.body(body, None if isinstance(body, bytes) else _length(request))


def sync_body(module: ModuleType, request: Any) -> Any:
    """A body in memory whole, and likewise a form of known and moderate length; others as they come.

    Those have no way back: a stream of these packages says once or again by raising, so the library keeps a copy.
    """
    stream = request.stream
    if isinstance(stream, module.ByteStream):
        return b"".join(stream)
    if _form.is_collected(request.headers.raw, _length(request)):
        return _whole(list(stream), request)
    return iter(stream) if isinstance(stream, module.SyncByteStream) else None


async def async_body(module: ModuleType, request: Any) -> Any:
    """As `sync_body`, in an event loop."""
    stream = request.stream
    if isinstance(stream, module.ByteStream):
        return b"".join(stream)
    if _form.is_collected(request.headers.raw, _length(request)):
        return _whole([piece async for piece in stream], request)
    return _only_async(stream) if isinstance(stream, module.AsyncByteStream) else None


def _whole(pieces: list[bytes], request: Any) -> Any:
    data = b"".join(pieces)
    # A length that is not true is for the library to refuse, as it does while streaming.
    return data if len(data) == _length(request) else iter([data])


async def _only_async(stream: Any) -> AsyncIterator[bytes]:
    async for piece in stream:
        yield piece


def answer(module: ModuleType, response: Any, stream: Any) -> Any:
    """An answer as one of the package; `extensions["x402"]` has the library's, with `money` and `payment`."""
    extensions = {"http_version": b"HTTP/1.1", "x402": response}
    return module.Response(response.status, headers=response.raw_headers, stream=stream, extensions=extensions)


class SyncBody:
    """The body of an answer, as it comes."""

    _module: ModuleType

    def __init__(self, response: Response, request: Any) -> None:
        self._response, self._request = response, request

    def __iter__(self) -> Iterator[bytes]:
        with mapped(self._module, self._request):
            yield from self._response

    def close(self) -> None:
        self._response.close()


class AsyncBody:
    """The body of an answer, as it comes."""

    _module: ModuleType

    def __init__(self, response: AsyncResponse, request: Any) -> None:
        self._response, self._request = response, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with mapped(self._module, self._request):
            while piece := await self._response.read_some():
                yield piece

    async def aclose(self) -> None:
        await self._response.aclose()


class Base:
    """A transport has a client: yours, which stays open, or one of its own, made of the options of `Client`."""

    _module: ModuleType
    _body: Any

    def __init__(self, client: Optional[Client] = None, **options: Any) -> None:
        if client is not None and options:
            raise TypeError("give a client, or what to make one from, but not both")
        self._own = client is None
        #: The client that sends and pays.
        self.client = Client(**options) if client is None else client


class SyncTransport(Base):
    """`handle_request` and `close`, as both packages ask for them."""

    def handle_request(self, request: Any) -> Any:
        """Sends a request of the package, paying on the way."""
        with mapped(self._module, request):
            response = self.client.send(request_of(request, sync_body(self._module, request)))
        return answer(self._module, response, self._body(response, request))

    def close(self) -> None:
        """Closes the client if it is the transport's own."""
        if self._own:
            self.client.close()


class AsyncTransportBase(Base):
    """`handle_async_request` and `aclose`, as both packages ask for them."""

    async def handle_async_request(self, request: Any) -> Any:
        """Sends a request of the package, paying on the way."""
        with mapped(self._module, request):
            response = await self.client.asend(request_of(request, await async_body(self._module, request)))
        return answer(self._module, response, self._body(response, request))

    async def aclose(self) -> None:
        """Closes the client if it is the transport's own."""
        if self._own:
            await self.client.aclose()
