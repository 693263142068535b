"""An answer: its head, where the money is, and its body as it comes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Optional

from ._raw import ffi, lib
from .errors import Error, Status, encoded, own_error, take_error, text
from .payment import Money, Payment
from .request import Request

if TYPE_CHECKING:
    from ._callbacks import Slot
    from .aio import Operation, Queue
    from .client import Client

#: How much of a body is read at once.
READ_BYTES = 64 * 1024
#: How much of a body is held in memory, unless more is asked for.
READ_LIMIT_BYTES = 1 << 30


def raise_own(slot: Optional[Slot], error: Error) -> BaseException:
    """What to raise for a failed call: the exception of a callback that stopped it, or the error."""
    raised = slot.take() if slot is not None else None
    if raised is None:
        return error
    raised.__cause__ = error
    raised.x402 = error  # type: ignore[attr-defined]
    return raised


class Lines:
    """Puts pieces of bytes together to lines, without their ends."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def of(self, piece: bytes) -> list[bytes]:
        """The lines that end in this piece."""
        first, *others = piece.split(b"\n")
        self._rest.append(first)
        if not others:
            return []
        whole = [b"".join(self._rest), *others[:-1]]
        self._rest = [others[-1]]
        return [line[:-1] if line.endswith(b"\r") else line for line in whole]

    def last(self) -> list[bytes]:
        """The line that no end followed, if there is one."""
        rest = b"".join(self._rest)
        return [rest] if rest else []


class Head:
    """What is known before the body: shared by both kinds of answers. `money` may still be asked for once closed."""

    def __init__(self, handle: Any, client: Client, request: Optional[Request]) -> None:
        self._handle = handle
        # What callbacks need while the body is read.
        self._client, self._request = client, request
        self.status: int = lib.x402_response_status(handle)
        self._last: Optional[tuple[Money, Optional[Payment]]] = None
        self._raw_headers: Optional[list[tuple[bytes, bytes]]] = None
        self._url: Optional[str] = None
        #: Whether the body was read to its end, at which the library has the connection back, and is not held there.
        self._at_end = False

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as they came, in order."""
        if self._raw_headers is None:
            self._raw_headers = self._read_headers()
        return self._raw_headers

    def _read_headers(self) -> list[tuple[bytes, bytes]]:
        name, value, length = ffi.new("const char **"), ffi.new("const char **"), ffi.new("size_t *")
        found = []
        for index in range(lib.x402_response_header_count(self._handle)):
            if lib.x402_response_header_at(self._handle, index, name, value, length, ffi.NULL) == 0:
                found.append((ffi.string(name[0]), ffi.unpack(value[0], length[0])))
        return found

    @property
    def headers(self) -> dict[str, str]:
        """The headers by lower-case name; the values of a repeated one are joined by ", "."""
        out: dict[str, str] = {}
        for raw_name, raw_value in self.raw_headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            out[name] = f"{out[name]}, {value}" if name in out else value
        return out

    def header(self, name: str) -> Optional[str]:
        """The first header of a name, whatever its case."""
        length = ffi.new("size_t *")
        value = lib.x402_response_header(self._handle, encoded(name), length)
        return None if value == ffi.NULL else ffi.unpack(value, length[0]).decode("latin-1")

    @property
    def url(self) -> str:
        """The URL that answered, after redirects."""
        if self._url is None:
            self._url = text(lib.x402_response_url(self._handle)) or ""
        return self._url

    @property
    def money(self) -> Money:
        """Where the money is."""
        return self._last[0] if self._last else Money.of(lib.x402_response_money(self._handle))

    @property
    def payment(self) -> Optional[Payment]:
        """What was asked, signed and answered; None if the server asked for nothing."""
        return self._last[1] if self._last else Payment.of(lib.x402_response_payment(self._handle))

    @property
    def _slot(self) -> Optional[Slot]:
        return None if self._request is None else self._request._slot

    def _read_now(self, size: int) -> bytes:
        """The next bytes, on this thread."""
        buffer = ffi.new("uint8_t[]", size)
        length, error = ffi.new("size_t *"), ffi.new("x402_error **")
        status = lib.x402_response_read(self._handle, buffer, size, length, error)
        if status != 0:
            raise raise_own(self._slot, take_error(error[0], status))
        self._at_end = size > 0 and length[0] == 0
        return bytes(ffi.buffer(buffer, length[0]))

    def _end(self) -> None:
        # Of an answer that was read to its end nothing but a little memory is held: that goes with this object, and what it
        # knows need not be copied.
        if self._last is None and not self._at_end:
            self.raw_headers, self.url
            self._last = (self.money, self.payment)
            ffi.release(self._handle)

    def __repr__(self) -> str:
        return f"<libx402.{type(self).__name__} {self.status} {self.money.name}>"


class Response(Head):
    """An answer to be read by one thread at a time. Use it in a `with`, or read it to its end and close it."""

    def read_some(self, size: int = READ_BYTES) -> bytes:
        """The next bytes, as soon as there are any; b"" is the end. A read that failed fails again."""
        return self._read_now(size)

    def read(self, limit: int = READ_LIMIT_BYTES) -> bytes:
        """The rest of the body, of at most `limit` bytes; the same again when it is asked for again."""
        data, length, error = ffi.new("uint8_t **"), ffi.new("size_t *"), ffi.new("x402_error **")
        status = lib.x402_response_read_all(self._handle, limit, ffi.cast("const uint8_t **", data), length, error)
        if status != 0:
            raise raise_own(self._slot, take_error(error[0], status))
        self._at_end = length[0] <= READ_BYTES
        return bytes(ffi.buffer(data[0], length[0]))

    def text(self, encoding: str = "utf-8") -> str:
        """The rest of the body as a text."""
        return self.read().decode(encoding)

    def json(self) -> Any:
        """The rest of the body as JSON."""
        return json.loads(self.read())

    def __iter__(self) -> Iterator[bytes]:
        """The body in pieces, each as soon as it came."""
        while piece := self.read_some():
            yield piece

    def lines(self) -> Iterator[bytes]:
        """The body in lines, each as soon as it is whole, without its end."""
        lines = Lines()
        for piece in self:
            yield from lines.of(piece)
        yield from lines.last()

    def close(self) -> None:
        """Closes the connection, or hands a fully read one back. `status`, `headers`, `money`, `payment` stay."""
        self._end()

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class AsyncResponse(Head):
    """An answer that an event loop reads, by one task at a time. Use it in an `async with`, or close it.

    Cancelling a task that reads loses no byte: the read goes on, and what it gives is the next read's. To end the call,
    close the answer.
    """

    def __init__(self, handle: Any, client: Client, request: Optional[Request], queue: Queue) -> None:
        super().__init__(handle, client, request)
        self._queue = queue
        self._reading: Optional[Operation] = None
        #: What was read and not given out: by a `read` that did not come to the end, or into a larger buffer.
        self._left = bytearray()
        self._whole: Optional[bytes] = None

    async def read_some(self, size: int = READ_BYTES) -> bytes:
        """The next bytes, as soon as there are any; b"" is the end. A read that failed fails again."""
        if not self._left:
            piece = await self._next(size)
            if len(piece) <= size:
                return piece
            self._left += piece
        piece = bytes(self._left[:size])
        del self._left[:size]
        return piece

    async def _next(self, size: int = READ_BYTES) -> bytes:
        if self._reading is None:
            if lib.x402_response_is_whole(self._handle) == 1:
                return self._read_now(min(size, READ_BYTES))
            self._reading = await self._queue.start_read(self._handle, self._slot, min(size, READ_BYTES))
        elif self._reading.awaited:
            raise own_error(Status.BUSY, "another task reads this answer: one at a time", self.money, self.payment)
        operation = self._reading
        await operation.wait()
        self._reading = None
        if operation.failed:
            raise raise_own(operation.slot, operation.failed)
        self._at_end = size > 0 and operation.length == 0
        return operation.data()

    async def read(self, limit: int = READ_LIMIT_BYTES) -> bytes:
        """The rest of the body, of at most `limit` bytes; the same again when it is asked for again."""
        if self._whole is None:
            while piece := await self._next():
                self._left += piece
                if len(self._left) > limit:
                    raise own_error(Status.RESPONSE_LIMIT, f"the answer is larger than the {limit} bytes it may have",
                                    self.money, self.payment)
            self._whole = bytes(self._left)
            self._left.clear()
        return self._whole

    async def text(self, encoding: str = "utf-8") -> str:
        """The rest of the body as a text."""
        return (await self.read()).decode(encoding)

    async def json(self) -> Any:
        """The rest of the body as JSON."""
        return json.loads(await self.read())

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.read_some():
            yield piece

    async def lines(self) -> AsyncIterator[bytes]:
        """The body in lines, each as soon as it is whole, without its end."""
        lines = Lines()
        async for piece in self:
            for line in lines.of(piece):
                yield line
        for line in lines.last():
            yield line

    async def aclose(self) -> None:
        """As `Response.close`."""
        self._end()

    async def __aenter__(self) -> AsyncResponse:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()
