"""Keys, rules and the record of spending: what a client is made from."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Optional, Union

from . import _callbacks
from ._raw import ffi, lib
from .errors import check, encoded, text


def make(kind: str, function: Any, free: Any, *arguments: Any) -> Any:
    """Calls a constructor; its handle is freed with the Python object, at the latest."""
    out, error = ffi.new(kind), ffi.new("x402_error **")
    check(function(*arguments, out, error), error)
    return ffi.gc(out[0], free)


def call(function: Any, *arguments: Any) -> None:
    """Calls a function whose last parameter is the error."""
    error = ffi.new("x402_error **")
    check(function(*arguments, error), error)


def take_string(value: Any) -> Any:
    """A JSON text that is the caller's to free, read."""
    try:
        return json.loads(ffi.string(value))
    finally:
        lib.x402_string_free(value)


class Handle:
    """Something of the library's: freed by `close`, at the end of a `with`, or when nothing refers to it."""

    _handle: Any

    def close(self) -> None:
        """Frees it. Twice is once."""
        ffi.release(self._handle)


def _optional(value: Optional[str]) -> Any:
    return ffi.NULL if value is None else encoded(value)


class Wallet(Handle):
    """Keys that may sign payments. Keys are copied into the library and never shown; wipe your own copy."""

    def __init__(self) -> None:
        self._handle = make("x402_wallet **", lib.x402_wallet_new, lib.x402_wallet_free)
        self._signers: list[_callbacks.Shared] = []

    def add_evm_key(self, key: str) -> Wallet:
        """A secp256k1 key: 64 hex digits, "0x" before them or not."""
        call(lib.x402_wallet_add_evm_key, self._handle, encoded(key))
        return self

    def add_evm_mnemonic(self, phrase: str, passphrase: Optional[str] = None, path: Optional[str] = None) -> Wallet:
        """The EVM key of a BIP-39 phrase, by default that of m/44'/60'/0'/0/0."""
        call(lib.x402_wallet_add_evm_mnemonic, self._handle, encoded(phrase), _optional(passphrase), _optional(path))
        return self

    def add_solana_key(self, key: str) -> Wallet:
        """An ed25519 key pair in base58, or the JSON array of solana-keygen."""
        call(lib.x402_wallet_add_solana_key, self._handle, encoded(key))
        return self

    def add_solana_mnemonic(self, phrase: str, passphrase: Optional[str] = None, path: Optional[str] = None) -> Wallet:
        """The Solana key of a BIP-39 phrase, by default that of m/44'/501'/0'/0'."""
        call(lib.x402_wallet_add_solana_mnemonic, self._handle, encoded(phrase), _optional(passphrase), _optional(path))
        return self

    def add_keyfile(self, path: Union[str, os.PathLike[str]], password: Optional[str] = None) -> Wallet:
        """A version 3 keystore with its password, or a file of solana-keygen."""
        call(lib.x402_wallet_add_keyfile, self._handle, os.fsencode(path), _optional(password))
        return self

    def add_signer(self, family: str, address: str, sign: Callable[[str, bytes], Optional[bytes]]) -> Wallet:
        """A key that stays elsewhere. `sign(kind, data)` gives the signature, or None to be asked for the digest.

        `family`, `kind` and what a signature is: x402_wallet_add_signer in x402.h. An exception refuses the payment.
        """
        shared = _callbacks.Shared(sign)
        call(lib.x402_wallet_add_signer, self._handle, encoded(family), encoded(address), lib._x402_sign, shared.handle)
        self._signers.append(shared)
        return self

    def address(self, family: str = "eip155", index: int = 0) -> str:
        """The address of a key, to be funded or shown."""
        out, error = ffi.new("const char **"), ffi.new("x402_error **")
        check(lib.x402_wallet_address(self._handle, encoded(family), index, out, error), error)
        return text(out[0]) or ""

    def __repr__(self) -> str:
        return "<libx402.Wallet>"


class Policy(Handle):
    """What may be paid. A new one allows 1.00 USD a payment and 10.00 USD in all, of known assets, over https."""

    def __init__(self) -> None:
        self._handle = make("x402_policy **", lib.x402_policy_new, lib.x402_policy_free)
        self._approve: list[_callbacks.Shared] = []

    def max_per_payment(self, amount: str) -> Policy:
        """The most a payment may cost: "0.10 USD", or atomic units with the asset."""
        call(lib.x402_policy_max_per_payment, self._handle, encoded(amount))
        return self

    def budget(self, scope: str, window_s: int, amount: str) -> Policy:
        """How much may be spent within so many seconds (0: for ever) by "all", or each "host", "payee", "purchase"."""
        call(lib.x402_policy_budget, self._handle, encoded(scope), window_s, encoded(amount))
        return self

    def allow(self, what: str, pattern: str) -> Policy:
        """Allows a "network", "asset", "payee", "host", "scheme"...: the first rule makes it a list."""
        call(lib.x402_policy_allow, self._handle, encoded(what), encoded(pattern))
        return self

    def prefer(self, what: str, pattern: str) -> Policy:
        """Prefers a "network", "scheme" or "asset" where there is a choice."""
        call(lib.x402_policy_prefer, self._handle, encoded(what), encoded(pattern))
        return self

    def approve(self, approve: Callable[[dict[str, Any]], bool]) -> Policy:
        """Asks before each payment, with the offer; True pays. An exception, or `Stop`, refuses."""
        shared = _callbacks.Shared(lambda offer: approve(json.loads(offer)))
        call(lib.x402_policy_approve, self._handle, lib._x402_approve, shared.handle)
        self._approve.append(shared)
        return self


class Ledger(Handle):
    """What was promised and what became of it: in a file, or with None in memory."""

    def __init__(self, path: Union[str, os.PathLike[str], None] = None) -> None:
        self.path = None if path is None else os.path.abspath(path)
        name = ffi.NULL if self.path is None else os.fsencode(self.path)
        self._handle = make("x402_ledger **", lib.x402_ledger_open, lib.x402_ledger_free, name)
        self._pid = os.getpid()

    def _json(self, function: Any, *arguments: Any) -> Any:
        out, error = ffi.new("char **"), ffi.new("x402_error **")
        check(function(self._handle, *arguments, out, error), error)
        return take_string(out[0])

    def totals(self) -> list[dict[str, Any]]:
        """What counts by now, by scope and asset."""
        value: list[dict[str, Any]] = self._json(lib.x402_ledger_totals_json)
        return value

    def entries(self, after_id: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Payments, oldest first; give the last id for the next page."""
        value: list[dict[str, Any]] = self._json(lib.x402_ledger_entries_json, after_id, limit)
        return value

    def unsettled(self, after_id: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Those whose outcome is open."""
        value: list[dict[str, Any]] = self._json(lib.x402_ledger_unsettled_json, after_id, limit)
        return value

    def abandon(self, entry: int) -> None:
        """Gives one up, at your risk: see x402_ledger_abandon in x402.h."""
        call(lib.x402_ledger_abandon, self._handle, entry)
