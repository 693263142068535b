"""The trampolines: the C functions that the library calls, and the Python callables behind them.

No exception can pass through the library. A trampoline keeps it, stops the call, and the function that made the call
raises it again. Of callables that belong to no one call (approve, sign, log) an exception is reported as unraisable,
and refuses the payment or the signature.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, Optional

from ._raw import ffi, lib
from .errors import Stop

#: What a callback returns for an exception that has no number of its own.
STOPPED = 1


class Slot:
    """The callables of one request, and the exception that one of them raised."""

    def __init__(self) -> None:
        self.handle = ffi.new_handle(self)
        self.raised: Optional[BaseException] = None
        self.read: Optional[Callable[[int], Any]] = None
        self.rewind: Optional[Callable[[], None]] = None
        self.progress: Optional[Callable[[int, Optional[int], int, Optional[int]], object]] = None

    def stop(self, raised: BaseException) -> int:
        """Keeps an exception; what to return for it."""
        self.raised = raised
        return raised.value if isinstance(raised, Stop) else STOPPED

    def take(self) -> Optional[BaseException]:
        """The exception that stopped the call and is not a mere number."""
        raised, self.raised = self.raised, None
        return None if isinstance(raised, Stop) else raised


class Shared:
    """A callable that outlives one request: approve, sign or log."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.handle = ffi.new_handle(self)
        self.call = call

    def report(self, raised: BaseException) -> int:
        """Tells of an exception that no call can raise; what to return for it."""
        if isinstance(raised, Stop):
            return raised.value
        traceback = raised.__traceback__
        message = "libx402: a callback raised, which counts as a refusal"
        unraisable = type("Unraisable", (), {"exc_type": type(raised), "exc_value": raised, "exc_traceback": traceback,
                                             "err_msg": message, "object": self.call})
        sys.unraisablehook(unraisable)  # type: ignore[arg-type]
        return STOPPED


@ffi.def_extern(name="_x402_read", error=STOPPED)
def _read(userdata: Any, buffer: Any, cap: int, length: Any) -> int:
    slot: Slot = ffi.from_handle(userdata)
    try:
        data = memoryview(slot.read(cap) if slot.read else b"").cast("B")
        if len(data) > cap:
            raise ValueError(f"the body's source gave {len(data)} bytes where {cap} were asked for: it must heed the size")
        length[0] = len(data)
        ffi.memmove(buffer, data, len(data))
        return 0
    except BaseException as raised:
        return slot.stop(raised)


@ffi.def_extern(name="_x402_rewind", error=STOPPED)
def _rewind(userdata: Any) -> int:
    slot: Slot = ffi.from_handle(userdata)
    try:
        if slot.rewind:
            slot.rewind()
        return 0
    except BaseException as raised:
        return slot.stop(raised)


def _total(number: int) -> Optional[int]:
    return None if number == lib.X402_LENGTH_UNKNOWN else number


@ffi.def_extern(name="_x402_progress", error=STOPPED)
def _progress(userdata: Any, sent: int, send_total: int, received: int, receive_total: int) -> int:
    slot: Slot = ffi.from_handle(userdata)
    try:
        if slot.progress:
            slot.progress(sent, _total(send_total), received, _total(receive_total))
        return 0
    except BaseException as raised:
        return slot.stop(raised)


@ffi.def_extern(name="_x402_approve", error=STOPPED)
def _approve(userdata: Any, offer: Any, length: int) -> int:
    shared: Shared = ffi.from_handle(userdata)
    try:
        return 0 if shared.call(ffi.unpack(offer, length).decode()) else STOPPED
    except BaseException as raised:
        return shared.report(raised)


@ffi.def_extern(name="_x402_sign", error=STOPPED)
def _sign(userdata: Any, kind: Any, data: Any, length: int, signature: Any, cap: int, signature_length: Any) -> int:
    shared: Shared = ffi.from_handle(userdata)
    try:
        signed = shared.call(ffi.string(kind).decode(), ffi.buffer(data, length)[:])
        if signed is None:
            return int(lib.X402_SIGN_OTHER_KIND)
        signed = bytes(signed)
        if len(signed) > cap:
            raise ValueError(f"the signature has {len(signed)} bytes; at most {cap} are taken")
        ffi.memmove(signature, signed, len(signed))
        signature_length[0] = len(signed)
        return 0
    except BaseException as raised:
        return shared.report(raised)


@ffi.def_extern(name="_x402_log")
def _log(userdata: Any, level: int, line: Any, length: int) -> None:
    shared: Shared = ffi.from_handle(userdata)
    try:
        shared.call(level, ffi.unpack(line, length).decode("utf-8", "replace"))
    except BaseException as raised:
        shared.report(raised)
