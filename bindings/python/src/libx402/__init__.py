"""An HTTP client that pays when a server answers 402 Payment Required.

`Client` sends and pays. `libx402.httpx`, `libx402.httpx2` and `libx402.requests` put it under the HTTP clients of those
names. Settings, statuses and rules are described in x402.h; this package adds no rules of its own.
"""

from . import _raw
from .client import Client, HeaderPayment
from .errors import (ArgumentError, Cancelled, Error, LimitError, NetworkError, PaymentError, Status, Stop,
                     SystemFailure, TimedOut, error_of)
from .payment import Money, Payment
from .request import Request
from .response import AsyncResponse, Response
from .wallet import Ledger, Policy, Wallet

__all__ = [
    "ArgumentError", "AsyncResponse", "Cancelled", "Client", "Error", "HeaderPayment", "Ledger", "LimitError", "Money",
    "NetworkError", "Payment", "PaymentError", "Policy", "Request", "Response", "Status", "Stop", "SystemFailure",
    "TimedOut", "Wallet", "error_of", "live_handles", "version",
]

if _raw.lib.x402_abi_version() != _raw.lib.X402_ABI_VERSION:
    raise ImportError(f"libx402 has the binary interface {_raw.lib.x402_abi_version()}, and this package was built for"
                      f" {_raw.lib.X402_ABI_VERSION}: install both anew")

#: The version of the library that is loaded.
version: str = _raw.ffi.string(_raw.lib.x402_version()).decode()


def live_handles() -> int:
    """How many things of the library's are alive in this process: for leak checks in tests."""
    count: int = _raw.lib.x402_live_handles()
    return count
