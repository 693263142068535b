"""The driver that runs tests/cases/NAME.json through this binding; the protocol is in tests/cases/README.md.

    python cases_driver.py [--async]

Reads one case from its input, writes what every request came to on its output. It judges nothing.
"""

import asyncio
import base64
import gc
import hashlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Optional

import libx402

TEXT_BYTES_MAX = 64 * 1024


def content(value: Any) -> bytes:
    if "text" in value:
        return str(value["text"]).encode()
    if "base64" in value:
        return base64.b64decode(value["base64"])
    length: int = value["pattern"]
    return (bytes(range(251)) * (length // 251 + 1))[:length]


class Reader:
    """The callbacks of a reader; the binding takes it for a file, with or without a way back."""

    def __init__(self, said: Any) -> None:
        self.said, self.data = said, content(said["content"])
        self.at = self.pulled = self.rewinds = 0

    def read(self, cap: int) -> bytes:
        want = min(self.said.get("chunk") or cap, cap)
        fail_at = self.said.get("fail_at")
        if fail_at is not None:
            if self.at >= fail_at:
                raise libx402.Stop(self.said.get("fail_with", 1))
            want = min(want, fail_at - self.at)
        piece = self.data[self.at:self.at + want]
        self.at += len(piece)
        self.pulled += len(piece)
        return piece

    def pieces(self) -> Iterator[bytes]:
        while piece := self.read(1 << 16):
            yield piece

    async def async_pieces(self) -> AsyncIterator[bytes]:
        while piece := self.read(1 << 16):
            await asyncio.sleep(0)
            yield piece


class RewindingReader(Reader):
    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return 0

    def seek(self, to: int, whence: int = 0) -> None:
        self.rewinds += 1
        self.at = 0
        if self.said.get("rewind_fails"):
            raise libx402.Stop(self.said.get("fail_with", 1))

    def rewind(self) -> None:
        self.seek(0)


def make_client(said: Any) -> libx402.Client:
    wallet = libx402.Wallet()
    for key in said.get("keys", []):
        wallet.add_evm_key(key)
    for key in said.get("solana_keys", []):
        wallet.add_solana_key(key)
    policy = None
    if said.get("policy") is not None:
        rules, policy = said["policy"], libx402.Policy()
        for amount in rules.get("max_per_payment", []):
            policy.max_per_payment(amount)
        for scope, window_s, amount in rules.get("budget", []):
            policy.budget(scope, window_s, amount)
        for what, pattern in rules.get("allow", []):
            policy.allow(what, pattern)
        for what, pattern in rules.get("prefer", []):
            policy.prefer(what, pattern)
        if "approve" in rules:
            policy.approve(lambda offer: answer(rules["approve"]))
    return libx402.Client(wallet=wallet, policy=policy, settings=said.get("settings"))


def answer(number: int) -> bool:
    if number != 0:
        raise libx402.Stop(number)
    return True


def make_request(said: Any, loop: bool) -> tuple[libx402.Request, Optional[Reader]]:
    request = libx402.Request(said.get("method") or "GET", said["url"], headers=said.get("headers"),
                              settings=said.get("settings"), progress=watch(said))
    body = said.get("body") or {}
    reader: Optional[Reader] = None
    if "bytes" in body:
        request.body(content(body["bytes"]))
    elif "file" in body:
        request.body(Path(body["file"]))
    elif "reader" in body:
        of = body["reader"]
        rewinding = RewindingReader(of) if of.get("rewind") else None
        reader = rewinding or Reader(of)
        length = of["declare"] if "declare" in of else len(reader.data)
        if rewinding:
            # A length that is not known cannot be said of a file that can seek: by the callbacks themselves.
            request._reader(rewinding.read, rewinding.rewind, length)
        else:
            request.body(reader.async_pieces() if loop else reader.pieces(), length)
    return request, reader


def watch(said: Any) -> Any:
    at = said.get("stop_progress_at")
    if at is None:
        return None

    def progress(sent: int, send_total: object, received: int, receive_total: object) -> None:
        if sent >= at:
            raise libx402.Stop(said.get("stop_with", 1))
    return progress


def error_result(error: libx402.Error) -> Any:
    return {"status": error.status_name, "message": error.message, "money": error.money.name.lower(),
            "retry": error.retry, "callback_value": error.callback_value or None}


def payment_result(payment: Optional[libx402.Payment]) -> Any:
    if payment is None:
        return None
    names = ["amount", "asset", "network", "payee", "transaction", "refusal", "json"]
    return {name: getattr(payment, name) for name in names}


def as_text(data: bytes) -> Optional[str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


async def run(client: libx402.Client, said: Any, loop: bool) -> Any:
    reader = None
    try:
        request, reader = make_request(said, loop)
        if said.get("call") == "quote":
            result = {"outcome": "quote", "quote": client.quote(request)}
        else:
            result = await response_result(await client.asend(request) if loop else client.send(request), loop)
    except libx402.Error as error:
        result = {"outcome": "error", "error": error_result(error), "money": error.money.name.lower(),
                  "payment": payment_result(error.payment)}
    result["reader"] = {"pulled": reader.pulled if reader else 0, "rewinds": reader.rewinds if reader else 0}
    return result


async def response_result(response: Any, loop: bool) -> Any:
    body, failed = b"", None
    try:
        if loop:
            async for piece in response:
                body += piece
        else:
            for piece in response:
                body += piece
    except libx402.Error as error:
        failed = error_result(error)
    response._end()
    text = as_text(body) if len(body) <= TEXT_BYTES_MAX else None
    headers = [[name.decode("latin-1"), as_text(value)] for name, value in response.raw_headers]
    return {"outcome": "response", "status": response.status, "url": response.url, "headers": headers,
            "body": {"length": len(body), "sha256": hashlib.sha256(body).hexdigest(), "text": text},
            "body_error": failed, "money": response.money.name.lower(), "payment": payment_result(response.payment)}


async def main(loop: bool) -> None:
    case = json.load(sys.stdin)
    out: Any = {"results": []}
    try:
        client = make_client(case["client"])
    except libx402.Error as error:
        out["setup_error"] = error_result(error)
    else:
        for said in case["requests"]:
            out["results"].append(await run(client, said, loop))
        await client.aclose()
        del client
    gc.collect()
    out["live_handles"] = libx402.live_handles()
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main("--async" in sys.argv[1:]))
