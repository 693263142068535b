"""An adapter for requests: `session.mount("https://", Adapter(client))`, and the same for "http://".

Redirects, cookies and content codings stay those of requests. `verify` may be a file of certificates, `cert` and
`proxies` are heeded; each combination gets a client of its own under the same budgets. Certificates are always checked.
"""

from __future__ import annotations

import email.message
import io
import math
from collections.abc import Generator, Mapping
from typing import Any, Optional, Union

import requests
import urllib3
from requests import adapters, exceptions
from requests.cookies import extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers, select_proxy

from . import _form
from .client import Client
from .errors import Error, Status, encoded
from .request import Request
from .response import Response

__all__ = ["Adapter"]

#: The exception for a status; others are raised as `RequestException`.
EXCEPTIONS: dict[int, type[exceptions.RequestException]] = {
    Status.URL: exceptions.InvalidURL,
    Status.HEADER: exceptions.InvalidHeader,
    Status.RESOLVE: exceptions.ConnectionError,
    Status.CONNECT: exceptions.ConnectionError,
    Status.ADDRESS_DENIED: exceptions.ConnectionError,
    Status.TLS: exceptions.SSLError,
    Status.TIMEOUT: exceptions.ReadTimeout,
    Status.PROXY: exceptions.ProxyError,
    Status.CONNECTION_LOST: exceptions.ConnectionError,
    Status.PROTOCOL: exceptions.ConnectionError,
    Status.HEAD_LIMIT: exceptions.ConnectionError,
}
OWN_HEADERS = ("content-length", "transfer-encoding", "connection", "expect", "x402-purchase-key")


def _raised(error: Error, request: requests.PreparedRequest) -> exceptions.RequestException:
    kind = EXCEPTIONS.get(error.status, exceptions.RequestException)
    if error.status == Status.TIMEOUT and error.message.startswith("connect_timeout_ms"):
        kind = exceptions.ConnectTimeout
    raised = kind(error.message, request=request)
    raised.x402 = error  # type: ignore[attr-defined]
    return raised


class _Reader(io.RawIOBase):
    """The body of an answer as a file."""

    def __init__(self, response: Response, request: requests.PreparedRequest) -> None:
        self._response, self._request = response, request

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self._response.read_some(len(buffer))
        except Error as error:
            raise _raised(error, self._request) from error
        buffer[:len(piece)] = piece
        return len(piece)

    def read1(self, size: int = -1) -> bytes:
        return self.read(size if size and size > 0 else 1 << 16) or b""

    def close(self) -> None:
        self._response.close()
        super().close()


class _Head:
    """The headers as requests looks for cookies in them, which is where the standard library keeps its own."""

    def __init__(self, headers: urllib3.HTTPHeaderDict) -> None:
        self.msg = email.message.Message()
        for name, value in headers.iteritems():
            self.msg[name] = value

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        pass


class _Raw(urllib3.HTTPResponse):
    """An answer of urllib3's that gives what came as soon as it came, instead of filling up its pieces."""

    def stream(self, amt: Optional[int] = 2**16, decode_content: Optional[bool] = None) -> Generator[bytes, None, None]:
        try:
            while piece := self.read1(amt, decode_content=decode_content):
                yield piece
        except urllib3.exceptions.ProtocolError as error:
            # It wraps what the file raised, which says more.
            raise next((cause for cause in error.args if hasattr(cause, "x402")), error) from None


class Adapter(adapters.BaseAdapter):
    """Pays under a `requests.Session`: with your client, which stays open, or one made of the options of `Client`.

    An answer has the library's as `response.x402`, with `money` and `payment`. The header X402-Purchase-Key becomes
    the setting purchase_key and is not sent.
    """

    def __init__(self, client: Optional[Client] = None, **options: Any) -> None:
        super().__init__()
        if client is not None and options:
            raise TypeError("give a client, or what to make one from, but not both")
        self._own = client is None
        #: The client that sends and pays.
        self.client = Client(**options) if client is None else client
        self._others: dict[tuple[tuple[str, str], ...], Client] = {}

    def send(self, request: requests.PreparedRequest, stream: bool = False, timeout: Any = None,
             verify: Union[bool, str] = True, cert: Any = None,
             proxies: Optional[Mapping[str, str]] = None) -> requests.Response:
        """Sends a request of requests, paying on the way."""
        try:
            client = self._client_for(_connection_settings(request, verify, cert, proxies))
            response = client.send(_request_of(request, timeout))
        except Error as error:
            raise _raised(error, request) from error
        return self._answer(request, response)

    def _client_for(self, settings: dict[str, str]) -> Client:
        if not settings:
            return self.client
        key = tuple(sorted(settings.items()))
        if key not in self._others:
            self._others[key] = self.client.with_settings(**settings)
        return self._others[key]

    def _answer(self, request: requests.PreparedRequest, response: Response) -> requests.Response:
        headers = urllib3.HTTPHeaderDict()
        for name, value in response.raw_headers:
            headers.add(name.decode("latin-1"), value.decode("latin-1"))
        raw = _Raw(body=_Reader(response, request), headers=headers, status=response.status, preload_content=False,
                   request_method=request.method, enforce_content_length=False,
                   original_response=_Head(headers))  # type: ignore[arg-type]
        out = requests.Response()
        out.status_code, out.raw, out.request = response.status, raw, request
        out.headers = CaseInsensitiveDict(headers)
        out.encoding = get_encoding_from_headers(out.headers)
        out.url = request.url or ""
        out.connection = self  # type: ignore[assignment]
        out.x402 = response  # type: ignore[attr-defined]
        extract_cookies_to_jar(out.cookies, request, raw)  # type: ignore[no-untyped-call]
        return out

    def close(self) -> None:
        """Closes the clients that are the adapter's own."""
        for other in self._others.values():
            other.close()
        self._others.clear()
        if self._own:
            self.client.close()


def _milliseconds(seconds: Optional[float]) -> int:
    return 0 if seconds is None else max(1, math.ceil(seconds * 1000))


def _connection_settings(request: requests.PreparedRequest, verify: Union[bool, str], cert: Any,
                         proxies: Optional[Mapping[str, str]]) -> dict[str, str]:
    if verify is False:
        raise ValueError("libx402 pays nobody whose certificate it did not check: give verify a file of certificates")
    settings = {}
    if isinstance(verify, str):
        settings["ca_file"] = verify
    if cert is not None:
        chain, key = cert if isinstance(cert, tuple) else (cert, cert)
        settings.update(client_cert_file=str(chain), client_key_file=str(key))
    proxy = select_proxy(request.url or "", dict(proxies or {}))
    if proxy:
        settings["proxy"] = proxy
    return settings


def _request_of(request: requests.PreparedRequest, timeout: Any) -> Request:
    settings: dict[str, object] = {"max_redirects": 0}
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    settings["connect_timeout_ms"] = _milliseconds(connect)
    settings["first_byte_timeout_ms"] = settings["idle_timeout_ms"] = _milliseconds(read)
    headers: Mapping[str, str] = request.headers or CaseInsensitiveDict()
    purchase_key = headers.get("x402-purchase-key")
    if purchase_key is not None:
        settings["purchase_key"] = purchase_key
    body: Any = request.body.encode() if isinstance(request.body, str) else request.body
    pairs = [(_raw(name), _raw(value)) for name, value in headers.items() if name.lower() not in OWN_HEADERS]
    if isinstance(body, bytes):
        pairs, body = _form.settled(pairs, body)
    out = Request(request.method or "GET", request.url or "", headers=pairs, settings=settings)
    length = headers.get("content-length")
    if body is not None:
        out.body(body, None if length is None else int(length))
    return out


def _raw(text: Union[str, bytes]) -> bytes:
    return encoded(text) if isinstance(text, str) else text
