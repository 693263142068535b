"""What was asked, signed and answered."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from typing import Any, Optional

from ._raw import ffi, lib


class Money(enum.IntEnum):
    """Where the money is."""

    #: Nothing was signed.
    NONE = 0
    #: The server asked, and the payment was declined here.
    REFUSED = 1
    #: Signed, and proven not taken.
    UNPAID = 2
    #: Settled: the server's receipt was read.
    PAID = 3
    #: Signed and perhaps sent. Count it as spent.
    UNKNOWN = 4

    @classmethod
    def of(cls, number: int) -> Money:
        """UNKNOWN, the safe guess, for a number that only a later library knows."""
        return cls(number) if number in cls._value2member_map_ else cls.UNKNOWN


def _text(value: Any) -> str:
    return "" if value == ffi.NULL else ffi.string(value).decode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Payment:
    """A record of one purchase, as it was when it was looked at. Never a signature."""

    #: Atomic units of the asset, decimal: "10000" is 0.01 of one with 6 decimals. "" if no offer was chosen.
    amount: str
    asset: str
    #: CAIP-2: "eip155:8453".
    network: str
    payee: str
    #: From the server's receipt; "" until there is one.
    transaction: str
    #: Why nothing was paid; "" if it was.
    refusal: str
    money: Money
    json_text: str = field(repr=False)

    @property
    def json(self) -> dict[str, Any]:
        """All of it, the receipt included."""
        value: dict[str, Any] = json.loads(self.json_text)
        return value

    @classmethod
    def of(cls, handle: Any) -> Optional[Payment]:
        """A copy of what a payment handle says; None for NULL."""
        if handle == ffi.NULL:
            return None
        return cls(
            _text(lib.x402_payment_amount(handle)),
            _text(lib.x402_payment_asset(handle)),
            _text(lib.x402_payment_network(handle)),
            _text(lib.x402_payment_payee(handle)),
            _text(lib.x402_payment_transaction(handle)),
            _text(lib.x402_payment_refusal(handle)),
            Money.of(lib.x402_payment_money(handle)),
            _text(lib.x402_payment_json(handle)),
        )
