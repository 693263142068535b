"""asyncio on the library's queue: nothing here blocks the event loop, and no thread of Python's is used.

A queue's descriptor is watched by the loop; each operation is a token and an outcome. What an operation uses (buffer,
callbacks) is kept until its event was taken, also when the task that waited for it is gone.

A queue knows its loop weakly, and the loop knows the queue weakly: neither keeps the other alive.
"""

from __future__ import annotations

import asyncio
import atexit
import collections
import contextlib
import os
import queue as handover
import weakref
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Callable, Optional

from ._callbacks import STOPPED, Slot
from ._raw import ffi, lib
from .errors import Error, Status, Stop, check, own_error, take_error
from .payment import Money, Payment
from .request import Request, bytes_only
from .response import raise_own

#: How long a cancelled task waits to be told where its money is; the library ends a call within moments.
CANCEL_WAIT_S = 1.0
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
        self.given_up = False
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
                raise Stop(STOPPED)
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
                self._pieces.put(bytes_only(piece))
        except asyncio.CancelledError:
            self._pieces.put(_ABORTED)
            raise
        except BaseException as raised:
            self._pieces.put(raised)

    def abort(self) -> None:
        """Ends the waiting of the pool's thread and the task."""
        self.given_up = True
        self._pieces.put(_ABORTED)
        if self._task is not None and not self._loop.is_closed():
            self._task.cancel()


class Operation:
    """What is under way for one token, and what it came to."""

    def __init__(self, kept: Any, feeder: Optional[Feeder], slot: Optional[Slot]) -> None:
        self.kept, self.feeder, self.slot = kept, feeder, slot
        self.done = False
        #: Of a send.
        self.response: Any = None
        #: Of a read.
        self.length = 0
        self.failed: Optional[Error] = None
        self._waiter: Optional[asyncio.Future[None]] = None

    @property
    def awaited(self) -> bool:
        return self._waiter is not None

    async def wait(self, timeout_s: Optional[float] = None) -> None:
        """Until the event was taken, or the time has passed. Cancelled, the operation goes on."""
        if not self.done:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                if timeout_s is None:
                    await self._waiter
                else:
                    await asyncio.wait([self._waiter], timeout=timeout_s)
            finally:
                self._waiter = None

    def finish(self) -> None:
        self.done = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def fail(self, error: Error) -> None:
        self.failed = error
        self.finish()

    def data(self) -> bytes:
        """The bytes that were read."""
        return bytes(ffi.buffer(self.kept, self.length))


_open: weakref.WeakSet[Queue] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    # While the interpreter still runs callbacks: the queues' threads may need them to end.
    for queue in list(_open):
        queue.close()


def _take_events(known: weakref.ref[Queue]) -> None:
    queue = known()
    if queue is not None:
        queue._drain()


def _release(loop: Optional[asyncio.AbstractEventLoop], fd: int, handle: Any, kept: object) -> None:
    """Ends a queue. `kept` is what must stay until then."""
    if loop is not None:
        loop.remove_reader(fd)
    ffi.release(handle)


class Queue:
    """The operations of one client in one event loop. Closed by `close`, `aclose`, or when nothing refers to it."""

    _is_closed = True

    def __init__(self, client: Any, loop: asyncio.AbstractEventLoop) -> None:
        out, error = ffi.new("x402_queue **"), ffi.new("x402_error **")
        check(lib.x402_queue_new(client, out, error), error)
        self._handle = ffi.gc(out[0], lib.x402_queue_free)
        self._known_loop = weakref.ref(loop)
        self._pid = os.getpid()
        self._event = ffi.new("x402_event *", {"struct_size": ffi.sizeof("x402_event")})
        self._operations: dict[int, Operation] = {}
        self._token = 0
        #: Tasks that wait for room in the queue.
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()
        self._fd: int = lib.x402_queue_fd(self._handle)
        self._is_closing = self._is_closed = False
        #: Told when nothing is under way any more, while the queue is being closed.
        self._idle: Optional[asyncio.Future[None]] = None
        loop.add_reader(self._fd, _take_events, weakref.ref(self))
        _open.add(self)

    @property
    def closed(self) -> bool:
        return self._is_closed

    def _loop(self) -> Optional[asyncio.AbstractEventLoop]:
        """The loop, if it can still be talked to: a forked child must leave its parent's alone."""
        loop = self._known_loop() if os.getpid() == self._pid else None
        return None if loop is None or loop.is_closed() else loop

    @property
    def orphaned(self) -> bool:
        """Whether no task can use it any more."""
        return self._loop() is None

    async def send(self, request: Request) -> Any:
        """Sends; the response's handle. Cancelled, it says where the money is: see `Client.asend`."""
        feeder = None
        if request._async_body is not None:
            feeder = Feeder(request._async_body, asyncio.get_running_loop())
            request._slot.read = feeder.read
        operation = Operation(request, feeder, request._slot)
        token = None
        try:
            token = await self._start(
                operation, lambda number, error: lib.x402_queue_send(self._handle, request._handle, number, error))
            await operation.wait()
        except asyncio.CancelledError as cancelled:
            cancelled.x402 = await self._cancelled(token, operation)  # type: ignore[attr-defined]
            raise
        if operation.failed:
            raise raise_own(operation.slot, operation.failed)
        return operation.response

    async def start_read(self, response: Any, slot: Optional[Slot], size: int) -> Operation:
        """Begins to read the next bytes of a response's body; freeing the response cancels that."""
        buffer = ffi.new("uint8_t[]", size)
        operation = Operation(buffer, None, slot)
        await self._start(
            operation, lambda token, error: lib.x402_queue_read(self._handle, response, buffer, size, token, error))
        return operation

    async def _start(self, operation: Operation, start: Callable[[int, Any], int]) -> int:
        error = ffi.new("x402_error **")
        while True:
            if self._is_closing or self._is_closed:
                raise own_error(Status.HANDLE, "the client was closed in this event loop")
            self._token = token = self._token + 1
            status = start(token, error)
            if status != lib.X402_AGAIN:
                break
            await self._room()
        check(status, error)
        self._operations[token] = operation
        return token

    async def _cancelled(self, token: Optional[int], operation: Operation) -> Error:
        """Cancels a call and waits for its end; the error that says where its money is."""
        if token is None:
            return own_error(Status.CANCELLED, "the task was cancelled before the request was sent", retry="safe")
        if not operation.done and not self._is_closed:
            lib.x402_queue_cancel(self._handle, token)
            # The thread that reads the body must not wait for an event loop that has given up.
            if operation.feeder:
                operation.feeder.abort()
        loop = asyncio.get_running_loop()
        end = loop.time() + CANCEL_WAIT_S
        while not operation.done and (left := end - loop.time()) > 0:
            # Another cancellation changes nothing: this one is about to be raised.
            with contextlib.suppress(asyncio.CancelledError):
                await operation.wait(left)
        if operation.failed:
            return operation.failed
        if operation.response is None:
            return own_error(Status.CANCELLED, "the task was cancelled, and the call has not ended yet", Money.UNKNOWN)
        money = Money.of(lib.x402_response_money(operation.response))
        payment = Payment.of(lib.x402_response_payment(operation.response))
        ffi.release(operation.response)
        # An answer was handed out: a repeat is another purchase.
        retry = "safe" if money in (Money.NONE, Money.REFUSED) else "never"
        message = "the task was cancelled as the answer came, which is lost"
        return own_error(Status.CANCELLED, message, money, payment, retry)

    async def _room(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._wake_one()
            raise

    def _drain(self) -> None:
        event = self._event
        while not self._is_closed and lib.x402_queue_next(self._handle, event) == 0:
            operation = self._operations.pop(event.token)
            if event.response != ffi.NULL:
                operation.response = ffi.gc(event.response, lib.x402_response_free)
            given_up = operation.feeder is not None and operation.feeder.given_up
            if operation.feeder:
                operation.feeder.abort()
            if event.status != 0:
                failed = take_error(event.error, event.status)
                if given_up and failed.status == Status.BODY_CALLBACK:
                    # It was this module that stopped the body, because the call had been cancelled.
                    failed = own_error(Status.CANCELLED, "the call was cancelled", failed.money, failed.payment, failed.retry)
                operation.fail(failed)
            else:
                operation.length = event.len
                operation.finish()
            self._wake_one()
        if self._idle is not None and not self._operations and not self._idle.done():
            self._idle.set_result(None)

    def _wake_one(self) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return

    def _let_go(self) -> None:
        self._is_closed = True
        _open.discard(self)
        if os.getpid() == self._pid:
            for operation in self._operations.values():
                if operation.feeder:
                    operation.feeder.abort()

    def _end(self) -> None:
        """Tells the tasks that still wait."""
        operations, self._operations = self._operations, {}
        if self._loop() is not None:
            for operation in operations.values():
                operation.fail(own_error(Status.CANCELLED, "the client was closed in this event loop", Money.UNKNOWN))
            while self._waiting:
                self._wake_one()

    def close(self) -> None:
        """Cancels what is under way and waits for its end."""
        if not self._is_closed:
            self._let_go()
            _release(self._loop(), self._fd, self._handle, None)
            self._end()

    async def aclose(self) -> None:
        """As `close`, while the event loop goes on. What is under way ends with an error that knows its money."""
        if self._is_closing or self._is_closed:
            return
        self._is_closing = True
        loop = asyncio.get_running_loop()
        if self._operations:
            self._idle = loop.create_future()
            for token, operation in self._operations.items():
                lib.x402_queue_cancel(self._handle, token)
                if operation.feeder:
                    operation.feeder.abort()
            await asyncio.wait([self._idle], timeout=CANCEL_WAIT_S)
        if not self._is_closed:
            self._let_go()
            loop.remove_reader(self._fd)
            try:
                await loop.run_in_executor(None, _release, None, self._fd, self._handle, self._operations)
            finally:
                self._end()

    def __del__(self) -> None:
        if self._is_closed:
            return
        self._let_go()
        loop = self._loop()
        if loop is not None:
            # From whichever thread: the loop is asked to let go of the descriptor before that ends.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_release, loop, self._fd, self._handle, self._operations)
                return
        _release(None, self._fd, self._handle, self._operations)
