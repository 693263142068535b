"""What can go wrong, and where the money is then."""

from __future__ import annotations

import enum
from typing import Any, Optional

from ._raw import ffi, lib
from .payment import Money, Payment


class Status(enum.IntEnum):
    """What a call ended with; numbers and meanings are those of `x402_status` in x402.h."""

    OK = 0
    AGAIN = 1
    ARGUMENT = 100
    HANDLE = 101
    URL = 102
    METHOD = 103
    HEADER = 104
    KEY = 105
    SETTING = 106
    AMOUNT = 107
    PATTERN = 108
    BUSY = 109
    FORKED = 110
    BODY_CALLBACK = 120
    BODY_LENGTH = 121
    BODY_FILE = 122
    CALLBACK = 123
    RESOLVE = 200
    CONNECT = 201
    TLS = 202
    TIMEOUT = 203
    CANCELLED = 204
    PROXY = 205
    CONNECTION_LOST = 206
    PROTOCOL = 207
    REDIRECT = 208
    ADDRESS_DENIED = 209
    CONTENT_CODING = 210
    CHALLENGE = 300
    REFUSED = 301
    SIGN = 302
    REPLAY_LIMIT = 400
    RESPONSE_LIMIT = 401
    HEAD_LIMIT = 402
    PANIC = 500
    SYSTEM = 501
    LEDGER = 502


class Error(Exception):
    """A call failed. `money` says where the money is, `retry` what may be tried again without paying twice."""

    def __init__(self, status: int, message: str, money: Money, retry: str, callback_value: int,
                 payment: Optional[Payment]) -> None:
        super().__init__(message)
        #: A number of `Status`, or one that a later library knows.
        self.status = status
        self.message = message
        self.money = money
        #: "never", "same-bytes", "new-quote" or "safe": see x402_error_retry in x402.h.
        self.retry = retry
        #: What a callback returned through `Stop`; 0 if none did.
        self.callback_value = callback_value
        #: The payment that had been begun.
        self.payment = payment

    @property
    def status_name(self) -> str:
        """Such as "X402_ERROR_TIMEOUT"."""
        return text(lib.x402_status_name(self.status)) or ""

    def __reduce__(self) -> Any:
        return type(self), (self.status, self.message, self.money, self.retry, self.callback_value, self.payment)


class ArgumentError(Error, ValueError):
    """1xx: the caller's mistake; nothing was sent."""


class NetworkError(Error, ConnectionError):
    """2xx: the network, or the server's HTTP."""


class TimedOut(NetworkError, TimeoutError):
    """A deadline passed."""


class Cancelled(NetworkError):
    """The request was cancelled."""


class PaymentError(Error):
    """3xx: the terms, the rules or the signer."""


class LimitError(Error):
    """4xx: a limit of this client's."""


class SystemFailure(Error):
    """5xx: the ledger, the system, or a defect of the library."""


class Stop(Exception):
    """Raised by a callback to stop its call with a number, which is then the error's `callback_value`."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        if not (-(2**31) <= value < 2**31) or value == 0:
            raise ValueError(f"{value} cannot stop a call: give a number of 32 bits that is not 0")
        self.value = value


def class_of(status: int) -> type[Error]:
    """The exception for a status."""
    if status == Status.TIMEOUT:
        return TimedOut
    if status == Status.CANCELLED:
        return Cancelled
    families = {1: ArgumentError, 2: NetworkError, 3: PaymentError, 4: LimitError, 5: SystemFailure}
    return families.get(status // 100, Error)


def text(value: Any) -> Optional[str]:
    """A text of the library's, copied; None for NULL."""
    return None if value == ffi.NULL else ffi.string(value).decode("utf-8", "surrogateescape")


def own_error(status: int, message: str, money: Money = Money.NONE, payment: Optional[Payment] = None,
              retry: str = "never") -> Error:
    """An error of the binding's own; without more said, from before anything was sent."""
    return class_of(status)(status, message, money, retry, 0, payment)


def error_of(raised: Optional[BaseException]) -> Optional[Error]:
    """The `Error` in or behind an exception of any package, which says where the money is: also behind a timeout of
    asyncio's or a cancelled task. None if there is none: then no call of libx402's was under way."""
    seen: set[int] = set()
    waiting = [raised]
    while waiting:
        known = waiting.pop()
        if known is None or id(known) in seen:
            continue
        seen.add(id(known))
        found = known if isinstance(known, Error) else getattr(known, "x402", None)
        if isinstance(found, Error):
            return found
        waiting += [known.__context__, known.__cause__]
    return None


def take_error(handle: Any, status: int) -> Error:
    """An error handle as an exception; the handle is freed."""
    if handle == ffi.NULL:
        return class_of(status)(status, text(lib.x402_status_name(status)) or "", Money.UNKNOWN, "never", 0, None)
    try:
        return class_of(status)(
            status,
            text(lib.x402_error_message(handle)) or "",
            Money.of(lib.x402_error_money(handle)),
            text(lib.x402_error_retry(handle)) or "never",
            lib.x402_error_callback_value(handle),
            Payment.of(lib.x402_error_payment(handle)),
        )
    finally:
        lib.x402_error_free(handle)


def check(status: int, error: Any) -> None:
    """Raises what a call with the error variable `error` failed with."""
    if status != 0:
        raise take_error(error[0], status)


def encoded(value: str) -> bytes:
    """A text for the library, which ends texts at NUL and so must not be given one inside."""
    data = value.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise own_error(Status.ARGUMENT, "a text holds a NUL character: take it out")
    return data
