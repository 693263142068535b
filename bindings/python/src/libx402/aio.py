"""asyncio on the library's queue: nothing here blocks the event loop, and no thread of Python's is used.

A queue's descriptor is watched by the loop; each operation is a token and a future. What an operation uses (request,
buffer, callbacks) is kept until its event was taken, also when the task that waited for it is gone.
"""

from __future__ import annotations

import asyncio
import atexit
import collections
import queue as handover
import weakref
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Callable, Optional

from ._raw import ffi, lib
from .errors import Status, check, own_error, take_error
from .request import Request, _bytes_only

#: What a body's callback gets when the call is over while it waits for the event loop.
_ABORTED = object()
_END = object()


class Feeder:
    """A body that an event loop reads, piece by piece, as a pool thread asks for it.

    One task goes through the whole body, so that its context and cancellation are its own; no more than one piece is
    on the way.
    """

    def __init__(self, body: AsyncIterable[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._body, self._loop = body, loop
        self._wanted = asyncio.Event()
        self._pieces: handover.SimpleQueue[Any] = handover.SimpleQueue()
        self._left = memoryview(b"")
        self._ended = False
        self._task: Optional[asyncio.Task[None]] = None

    # ---- on the pool's thread ----

    def read(self, cap: int) -> memoryview:
        while not self._left and not self._ended:
            self._loop.call_soon_threadsafe(self._want)
            piece = self._pieces.get()
            if piece is _END:
                self._ended = True
            elif piece is _ABORTED:
                self._pieces.put(_ABORTED)
                raise asyncio.CancelledError("the call was over before its body")
            elif isinstance(piece, BaseException):
                raise piece
            else:
                self._left = piece
        out, self._left = self._left[:cap], self._left[cap:]
        return out

    # ---- on the loop's thread ----

    def _want(self) -> None:
        self._wanted.set()
        if self._task is None:
            self._task = self._loop.create_task(self._pump())

    async def _pump(self) -> None:
        try:
            pieces: AsyncIterator[bytes] = self._body.__aiter__()
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                try:
                    piece = await pieces.__anext__()
                except StopAsyncIteration:
                    self._pieces.put(_END)
                    return
                self._pieces.put(_bytes_only(piece))
        except asyncio.CancelledError:
            self._pieces.put(_ABORTED)
            raise
        except BaseException as raised:
            self._pieces.put(raised)

    def abort(self) -> None:
        """Ends the waiting of the pool's thread and the task."""
        self._pieces.put(_ABORTED)
        if self._task is not None and not self._loop.is_closed():
            self._task.cancel()


class Operation:
    """What is under way for one token."""

    def __init__(self, future: asyncio.Future[Any], kept: Any, feeder: Optional[Feeder], slot: Any) -> None:
        self.future, self.kept, self.feeder, self.slot = future, kept, feeder, slot


_open: weakref.WeakSet[Queue] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    # While the interpreter still runs callbacks: the queues' threads may need them to end.
    for queue in list(_open):
        queue.close()


class Queue:
    """The operations of one client in one event loop."""

    def __init__(self, client: Any, loop: asyncio.AbstractEventLoop) -> None:
        out, error = ffi.new("x402_queue **"), ffi.new("x402_error **")
        check(lib.x402_queue_new(client, out, error), error)
        self._handle = ffi.gc(out[0], lib.x402_queue_free)
        self._loop = loop
        self._event = ffi.new("x402_event *", {"struct_size": ffi.sizeof("x402_event")})
        self._token = 0
        self._operations: dict[int, Operation] = {}
        # Those that wait for room in the queue.
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()
        self._fd: int = lib.x402_queue_fd(self._handle)
        self._is_closed = False
        loop.add_reader(self._fd, self._drain)
        _open.add(self)

    @property
    def closed(self) -> bool:
        return self._is_closed

    async def send(self, request: Request) -> Any:
        """Sends; the response's handle."""
        feeder = None
        if request._async_body is not None:
            feeder = Feeder(request._async_body, self._loop)
            request._slot.read = feeder.read
        return await self._submit(
            lambda token, error: lib.x402_queue_send(self._handle, request._handle, token, error),
            request, feeder, request._slot)

    async def read(self, response: Any, request: Optional[Request], size: int) -> bytes:
        """The next bytes of a response's body."""
        buffer = ffi.new("uint8_t[]", size)
        length = await self._submit(
            lambda token, error: lib.x402_queue_read(self._handle, response, buffer, size, token, error),
            (buffer, response, request), None, request and request._slot)
        return bytes(ffi.buffer(buffer, length))

    async def _submit(self, start: Callable[[int, Any], int], kept: Any, feeder: Optional[Feeder], slot: Any) -> Any:
        if self._is_closed:
            raise own_error(Status.HANDLE, "the client was closed in this event loop")
        error = ffi.new("x402_error **")
        while True:
            self._token = token = self._token + 1
            status = start(token, error)
            if status != lib.X402_AGAIN:
                break
            await self._room()
        check(status, error)
        operation = self._operations[token] = Operation(self._loop.create_future(), kept, feeder, slot)
        try:
            return await operation.future
        except asyncio.CancelledError:
            if token in self._operations:
                # The thread that reads the body must not wait for an event loop that has given up.
                if operation.feeder:
                    operation.feeder.abort()
                lib.x402_queue_cancel(self._handle, token)
            raise

    async def _room(self) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(future)
        await future

    def _drain(self) -> None:
        from .response import raise_own

        event = self._event
        while not self._is_closed and lib.x402_queue_next(self._handle, event) == 0:
            operation = self._operations.pop(event.token)
            response = ffi.gc(event.response, lib.x402_response_free) if event.response != ffi.NULL else None
            failed = take_error(event.error, event.status) if event.status != 0 else None
            if operation.feeder:
                operation.feeder.abort()
            if not operation.future.done():
                if failed:
                    operation.future.set_exception(raise_own(operation.slot, failed))
                else:
                    operation.future.set_result(event.len if response is None else response)
            self._wake_one()

    def _wake_one(self) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return

    def _let_go(self) -> None:
        self._is_closed = True
        _open.discard(self)
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
        for operation in self._operations.values():
            if operation.feeder:
                operation.feeder.abort()
            if not self._loop.is_closed() and not operation.future.done():
                operation.future.cancel()
        for future in self._waiting:
            if not self._loop.is_closed():
                future.cancel()

    def close(self) -> None:
        """Cancels what is under way and waits for its end."""
        if not self._is_closed:
            self._let_go()
            ffi.release(self._handle)
            self._operations.clear()

    async def aclose(self) -> None:
        """As `close`, while the event loop goes on."""
        if not self._is_closed:
            self._let_go()
            await self._loop.run_in_executor(None, ffi.release, self._handle)
            self._operations.clear()
