"""Sends requests and pays when asked."""

from __future__ import annotations

import asyncio
import json as json_of
import os
import threading
import weakref
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, Callable, Optional, Union

from . import _callbacks, aio
from ._raw import ffi, lib
from .errors import Status, check, encoded, own_error, take_error, text
from .payment import Money, Payment
from .request import Body, Headers, Progress, Request, setting_text
from .response import AsyncResponse, Response, raise_own
from .wallet import Handle, Ledger, Policy, Wallet, call, make, take_string

#: Names and values of a 402 that another HTTP client got.
AnswerHeaders = Union[Mapping[str, str], Iterable[tuple[str, str]]]


class Client(Handle):
    """Keeps connections, keys, rules and budgets. Any thread, several at once, any event loop: make one and share it.

    Keys do not go along into a forked child: there a client with a wallet refuses every call (Status.FORKED), and one
    without is made anew by its first call.
    """

    def __init__(self, *, wallet: Optional[Wallet] = None, policy: Optional[Policy] = None,
                 ledger: Union[Ledger, str, os.PathLike[str], None] = None,
                 log: Optional[Callable[[int, str], object]] = None,
                 settings: Optional[Mapping[str, object]] = None) -> None:
        """`settings` are those of the table at the head of x402.h; `log` is told (level, line) by any thread."""
        self._wallet, self._policy = wallet, policy
        self._ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
        self._log = _callbacks.Shared(log) if log else None
        self._settings = dict(settings or {})
        self._no_queues()
        self._handle = self._make()
        self._pid = os.getpid()

    def _no_queues(self) -> None:
        self._queues: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, aio.Queue] = weakref.WeakKeyDictionary()
        self._queues_lock = threading.Lock()

    def _make(self) -> Any:
        config = make("x402_config **", lib.x402_config_new, lib.x402_config_free)
        if self._wallet:
            call(lib.x402_config_wallet, config, self._wallet._handle)
        if self._policy:
            call(lib.x402_config_policy, config, self._policy._handle)
        call(lib.x402_config_ledger, config, self._ledger._handle)
        if self._log:
            call(lib.x402_config_log, config, lib._x402_log, self._log.handle)
        for key, value in self._settings.items():
            call(lib.x402_config_set, config, encoded(key), encoded(setting_text(value)))
        try:
            return make("x402_client **", lib.x402_client_new, lib.x402_client_free, config)
        finally:
            ffi.release(config)

    @property
    def ledger(self) -> Ledger:
        """The ledger the budgets are kept in."""
        return self._ledger

    def with_settings(self, **settings: object) -> Client:
        """Another client with these settings changed, of the same keys and rules, under the same budgets."""
        log = self._log.call if self._log else None
        return Client(wallet=self._wallet, policy=self._policy, ledger=self._ledger, log=log,
                      settings={**self._settings, **settings})

    def _alive(self) -> Any:
        if self._pid != os.getpid():
            self._after_fork()
        return self._handle

    def _after_fork(self) -> None:
        if self._wallet is not None:
            raise own_error(Status.FORKED, "this client was made before fork(), and keys do not go along into a child:"
                            " make the client in the child, with a ledger file if budgets are to hold over both")
        if self._ledger._pid != os.getpid():
            self._ledger = Ledger(self._ledger.path)
        self._no_queues()
        self._handle = self._make()
        self._pid = os.getpid()

    # ---- waiting for the answer ----

    def send(self, request: Request) -> Response:
        """Sends a request and waits for the head of the answer, paying on the way if asked and allowed."""
        if request._async_body is not None:
            raise TypeError("this body can only be read by an event loop: use asend, or give bytes, a file or pieces")
        out, error = ffi.new("x402_response **"), ffi.new("x402_error **")
        status = lib.x402_client_send(self._alive(), request._handle, out, error)
        if status != 0:
            raise raise_own(request._slot, take_error(error[0], status))
        return Response(ffi.gc(out[0], lib.x402_response_free), self, request)

    def request(self, method: str, url: str, *, headers: Optional[Headers] = None, body: Optional[Body] = None,
                json: Any = None, length: Optional[int] = None, settings: Optional[Mapping[str, object]] = None,
                progress: Optional[Progress] = None) -> Response:
        """Makes a request and sends it; the parameters are those of `Request`, and `json` is a body to be encoded."""
        request = Request(method, url, headers=headers, body=body, length=length, settings=settings, progress=progress)
        if json is not None:
            request.header("Content-Type", "application/json").body(json_of.dumps(json).encode())
        return self.send(request)

    def get(self, url: str, **options: Any) -> Response:
        """Sends a GET; the options are those of `request`."""
        if options:
            return self.request("GET", url, **options)
        out, error = ffi.new("x402_response **"), ffi.new("x402_error **")
        check(lib.x402_client_get(self._alive(), encoded(url), out, error), error)
        return Response(ffi.gc(out[0], lib.x402_response_free), self, None)

    def post(self, url: str, **options: Any) -> Response:
        """Sends a POST; the options are those of `request`."""
        return self.request("POST", url, **options)

    def quote(self, request: Request) -> dict[str, Any]:
        """What a request would cost, and what each rule says to it. Never pays."""
        out, error = ffi.new("char **"), ffi.new("x402_error **")
        status = lib.x402_client_quote_json(self._alive(), request._handle, out, error)
        if status != 0:
            raise raise_own(request._slot, take_error(error[0], status))
        value: dict[str, Any] = take_string(out[0])
        return value

    # ---- without blocking ----

    async def asend(self, request: Request) -> AsyncResponse:
        """As `send`, from a coroutine. Cancelling the task cancels the call; the CancelledError then has an `Error` as
        its attribute `x402`, which says where the money is. `error_of` finds it, also behind a timeout."""
        queue = self._queue()
        handle = await queue.send(request)
        return AsyncResponse(handle, self, request, queue)

    async def aget(self, url: str, **options: Any) -> AsyncResponse:
        """Sends a GET from a coroutine; the options are those of `Request`."""
        return await self.asend(Request("GET", url, **options))

    async def apost(self, url: str, *, body: Union[Body, AsyncIterable[bytes], None] = None,
                    **options: Any) -> AsyncResponse:
        """Sends a POST from a coroutine; the options are those of `Request`."""
        return await self.asend(Request("POST", url, body=body, **options))

    def _queue(self) -> aio.Queue:
        handle, loop = self._alive(), asyncio.get_running_loop()
        with self._queues_lock:
            queue = self._queues.get(loop)
            if queue is not None and not queue.closed:
                return queue
            orphans = [other for other in self._queues.values() if other.orphaned]
            queue = self._queues[loop] = aio.Queue(handle, loop)
        for orphan in orphans:
            orphan.close()
        return queue

    def close(self) -> None:
        """Frees it. What is under way ends as if it were still there."""
        super().close()
        with self._queues_lock:
            queues = list(self._queues.values())
            self._queues.clear()
        # Outside the lock, where the last reference ends: a queue in use lives until its last answer is closed.
        queues.clear()

    async def aclose(self) -> None:
        """Ends what this event loop has under way, and closes the client."""
        with self._queues_lock:
            queue = self._queues.pop(asyncio.get_running_loop(), None)
        if queue:
            await queue.aclose()
        self.close()

    # ---- paying for another HTTP client ----

    def pay(self, request: Request, status: int, headers: AnswerHeaders, body: bytes = b"") -> HeaderPayment:
        """Pays a 402 that another HTTP client got to `request`, which is not sent. Refused: raises `PaymentError`.

        The amount counts as spent from here on. See x402_client_pay_request in x402.h, which says what to heed.
        """
        names, values, count = _texts(headers)
        payment = make("x402_payment **", lib.x402_client_pay_request, lib.x402_payment_free, self._alive(),
                       request._handle, status, names.pointer, values.pointer, count, body, len(body))
        return HeaderPayment(payment, self)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<libx402.Client>"


class _Array:
    """C texts in an array, kept as long as this is."""

    def __init__(self, texts: list[bytes]) -> None:
        self.kept = [ffi.new("char[]", item) for item in texts]
        self.pointer = ffi.new("const char *[]", self.kept)


def _texts(headers: AnswerHeaders) -> tuple[_Array, _Array, int]:
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    return _Array([encoded(name) for name, _ in pairs]), _Array([encoded(value) for _, value in pairs]), len(pairs)


class HeaderPayment(Handle):
    """A payment that another HTTP client presents. Closed without `settle` it counts as spent."""

    def __init__(self, handle: Any, client: Client) -> None:
        self._handle, self._client = handle, client

    @property
    def header(self) -> tuple[str, str]:
        """The name and value of the header that pays. Whoever has it can take the money: keep it out of logs."""
        name, value = lib.x402_payment_header_name(self._handle), lib.x402_payment_header_value(self._handle)
        return text(name) or "", text(value) or ""

    def settle(self, status: int, headers: AnswerHeaders) -> Payment:
        """Tells what was answered to the paid request; once."""
        names, values, count = _texts(headers)
        call(lib.x402_payment_settle, self._handle, status, names.pointer, values.pointer, count)
        return self.payment

    @property
    def payment(self) -> Payment:
        """What is known of it."""
        known = Payment.of(self._handle)
        assert known is not None
        return known

    @property
    def money(self) -> Money:
        """UNKNOWN until it is settled."""
        return Money.of(lib.x402_payment_money(self._handle))

    def __enter__(self) -> HeaderPayment:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
