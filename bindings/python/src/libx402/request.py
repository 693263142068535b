"""A request and where its body comes from."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Callable, Optional, Union, cast

from . import _callbacks
from ._raw import ffi, lib
from .errors import Status, encoded, own_error
from .wallet import Handle, call, make

#: Bytes; a path (opened when sent, never copied); a binary file (read again for the paid replay if it can seek); or
#: pieces of bytes (a collection is gone through again, of a generator the library keeps a copy).
Body = Union[bytes, bytearray, memoryview, os.PathLike[str], BinaryIO, Iterable[bytes]]
#: Names and values, repeats allowed; or a mapping.
Headers = Union[Mapping[str, str], Iterable[tuple[Union[str, bytes], Union[str, bytes]]]]
#: Told of bytes sent, their total, bytes received, their total; None for a total that is not known.
Progress = Callable[[int, Optional[int], int, Optional[int]], object]


class Pieces:
    """Bytes that come in pieces, given out in the sizes that are asked for."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self.source = source
        self.iterator: Iterator[bytes] = iter(source)
        self.left = memoryview(b"")

    def read(self, cap: int) -> memoryview:
        while not self.left:
            piece = next(self.iterator, None)
            if piece is None:
                return self.left
            self.left = bytes_only(piece)
        out, self.left = self.left[:cap], self.left[cap:]
        return out

    def rewind(self) -> None:
        self.iterator, self.left = iter(self.source), memoryview(b"")


class File:
    """A binary file from where it stands, whatever size of pieces it gives."""

    def __init__(self, source: BinaryIO) -> None:
        self.source = source
        self.left = memoryview(b"")
        self.start = source.tell() if _can_seek(source) else None

    def length(self) -> Optional[int]:
        """How much there is, where that can be found out."""
        if self.start is None:
            return None
        end = self.source.seek(0, os.SEEK_END)
        self.source.seek(self.start)
        return end - self.start

    def read(self, cap: int) -> memoryview:
        if not self.left:
            self.left = bytes_only(self.source.read(cap))
        out, self.left = self.left[:cap], self.left[cap:]
        return out

    def rewind(self) -> None:
        self.left = memoryview(b"")
        self.source.seek(self.start or 0)


def bytes_only(piece: object) -> memoryview:
    if isinstance(piece, (bytes, bytearray, memoryview)):
        return memoryview(piece).cast("B")
    raise TypeError(f"a body consists of bytes, not of {type(piece).__name__}; open a file with mode 'rb'")


def _can_seek(source: Any) -> bool:
    seekable = getattr(source, "seekable", None)
    return bool(seekable()) if seekable else hasattr(source, "seek")


class Request(Handle):
    """What to send. One thread at a time, except for `cancel`; it may be sent again if its body can be read again."""

    def __init__(self, method: str, url: str, *, headers: Optional[Headers] = None,
                 body: Union[Body, AsyncIterable[bytes], None] = None, length: Optional[int] = None,
                 settings: Optional[Mapping[str, object]] = None, progress: Optional[Progress] = None) -> None:
        """`length` is that of a body from a file object or of pieces, which is then enforced; of a file that can seek
        it is found out. `settings` are those that x402.h marks for requests, such as `purchase_key`."""
        self._handle = make("x402_request **", lib.x402_request_new, lib.x402_request_free, encoded(method), encoded(url))
        self.method, self.url = method, url
        self._slot = _callbacks.Slot()
        #: A body that only an event loop can read.
        self._async_body: Optional[AsyncIterable[bytes]] = None
        for name, value in headers.items() if isinstance(headers, Mapping) else headers or ():
            self.header(name, value)
        for key, setting in (settings or {}).items():
            self.set(key, setting)
        if body is not None:
            self.body(body, length)
        if progress is not None:
            self._slot.progress = progress
            call(lib.x402_request_progress, self._handle, lib._x402_progress, self._slot.handle)

    def header(self, name: Union[str, bytes], value: Union[str, bytes]) -> Request:
        """Adds a header."""
        texts = [encoded(item) if isinstance(item, str) else _without_nul(item) for item in (name, value)]
        call(lib.x402_request_header, self._handle, *texts)
        return self

    def set(self, key: str, value: object) -> Request:
        """Changes a setting for this request."""
        call(lib.x402_request_set, self._handle, encoded(key), encoded(setting_text(value)))
        return self

    def body(self, body: Union[Body, AsyncIterable[bytes]], length: Optional[int] = None) -> Request:
        """Gives the body, in place of any before."""
        self._async_body = None
        if isinstance(body, str):
            raise TypeError("a body consists of bytes: encode the text first, or give a pathlib.Path for a file")
        if isinstance(body, (bytes, bytearray, memoryview)):
            data = ffi.from_buffer(body)
            call(lib.x402_request_body_bytes, self._handle, ffi.cast("uint8_t *", data), len(data))
        elif isinstance(body, os.PathLike):
            call(lib.x402_request_body_file, self._handle, os.fsencode(body))
        elif hasattr(body, "read"):
            self._body_of_file(cast(BinaryIO, body), length)
        elif isinstance(body, AsyncIterable):
            self._async_body = body
            self._reader(None, None, length)
        else:
            pieces = Pieces(body)
            again = pieces.rewind if iter(body) is not body else None
            self._reader(pieces.read, again, length)
        return self

    def _body_of_file(self, source: BinaryIO, length: Optional[int]) -> None:
        file = File(source)
        if length is None:
            length = file.length()
        self._reader(file.read, None if file.start is None else file.rewind, length)

    def _reader(self, read: Optional[Callable[[int], Any]], rewind: Optional[Callable[[], None]],
                length: Optional[int]) -> None:
        self._slot.read, self._slot.rewind = read, rewind
        again = lib._x402_rewind if rewind else ffi.NULL
        size = lib.X402_LENGTH_UNKNOWN if length is None else length
        call(lib.x402_request_body_reader, self._handle, lib._x402_read, again, self._slot.handle, size)

    def cancel(self) -> None:
        """Ends the call that sends it or reads its answer, from any thread, at any time."""
        lib.x402_request_cancel(self._handle)

    def __repr__(self) -> str:
        return f"<libx402.Request {self.method}>"


def setting_text(value: object) -> str:
    """A setting's value in the library's form."""
    return str(value).lower() if isinstance(value, bool) else os.fsdecode(value) if isinstance(value, os.PathLike) else str(value)


def _without_nul(data: bytes) -> bytes:
    if b"\0" in data:
        raise own_error(Status.HEADER, "a header holds a NUL character: take it out")
    return data
