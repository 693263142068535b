"""The client itself: keys, signers, preferences, approval, errors, pay for another client, fork, parity with the header."""

import asyncio
import json
import os
import re
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

import libx402
from conftest import ADDRESS, KEY, ROOT, Paying
from libx402._raw import lib

# The second one, and the key pair of the seed 01 02 ... 20.
KEY_2 = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
ADDRESS_2 = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
SOLANA_KEY = "2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSdZd8hbDHTd21as7EAsg7ypityqfsw2pMQKJcVDVcAEsd"
#: function: why nothing here calls it
WITHOUT = {
    "x402_client_post": "Client.post makes a request, which can have headers too",
    "x402_client_pay": "Client.pay takes a request, which knows its purchase by name or body",
    "x402_response_each": "a for loop over the response",
    "x402_queue_wait": "an event loop watches the queue's descriptor",
    "x402_error_status": "the call returned it",
}


def functions() -> list[str]:
    found = re.findall(r"^X402_API [^(]*[ *](x402_\w+)\(", (ROOT / "include" / "x402.h").read_text(), flags=re.M)
    assert len(found) > 80
    return found


def test_every_function_of_the_header_is_reached() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "bindings/python/src/libx402").glob("*.py"))
    for function in functions():
        assert hasattr(lib, function)
        assert bool(re.search(rf"lib\.{function}\b", sources)) != (function in WITHOUT), function
    assert set(WITHOUT) <= set(functions())


def test_statuses_are_those_of_the_header() -> None:
    text = (ROOT / "include" / "x402.h").read_text()
    numbers = {int(number) for _, number in re.findall(r"^    X402_(OK|AGAIN|ERROR_\w+) = (\d+),", text, flags=re.M)}
    assert numbers == set(libx402.Status) and len(numbers) > 30
    for status in libx402.Status:
        assert libx402.Error(status, "", libx402.Money.NONE, "", 0, None).status_name.endswith(status.name)


def test_errors_say_what_and_never_a_key() -> None:
    with pytest.raises(libx402.ArgumentError) as raised:
        libx402.Wallet().add_evm_key(KEY + "00")
    assert raised.value.status == libx402.Status.KEY and "ac0974" not in str(raised.value)
    assert KEY[2:] not in repr(libx402.Wallet().add_evm_key(KEY))
    with pytest.raises(libx402.ArgumentError, match="no_such"):
        libx402.Client(settings={"no_such": 1})
    with pytest.raises(TypeError, match="bytes"):
        libx402.Request("POST", "http://localhost", body="text")  # type: ignore[arg-type]


def test_an_exception_of_a_signer_refuses(server: Paying) -> None:
    asked = []

    def sign(kind: str, data: bytes) -> bytes:
        asked.append((kind, json.loads(data)["primaryType"]))
        raise RuntimeError("the HSM is off")

    wallet = libx402.Wallet().add_signer("eip155", ADDRESS, sign)
    assert wallet.address() == ADDRESS
    told: list[Any] = []
    hook = sys.unraisablehook
    sys.unraisablehook = told.append
    try:
        with libx402.Client(wallet=wallet) as client, client.get(server.url + "/weather") as answer:
            assert answer.status == 402 and answer.money is libx402.Money.REFUSED
    finally:
        sys.unraisablehook = hook
    assert asked == [("evm-typed-data", "TransferWithAuthorization")]
    assert str(told[0].exc_value) == "the HSM is off"
    assert server.state()["payments_presented"] == 0


def test_several_keys_pay_where_each_can(server: Paying) -> None:
    wallet = libx402.Wallet().add_evm_key(KEY).add_evm_key(KEY_2).add_solana_key(SOLANA_KEY)
    assert (wallet.address(), wallet.address(index=1)) == (ADDRESS, ADDRESS_2)
    with libx402.Client(wallet=wallet) as client, client.with_settings(payer=ADDRESS_2) as second:
        for payer, path in (client, "/cheap"), (second, "/cheap"), (client, "/solana"):
            with payer.get(server.url + path) as answer:
                assert answer.money is libx402.Money.PAID
    assert [payer_of(payment) for payment in server.state()["payments_seen"]] == [ADDRESS.lower(), ADDRESS_2.lower(), wallet.address("solana")]


def payer_of(payment: Any) -> str:
    payer: str = payment["payer"]
    return payer.lower() if payer.startswith("0x") else payer


def test_a_preferred_network_is_paid_though_dearer(server: Paying) -> None:
    policy = libx402.Policy().prefer("network", "eip155:8453")
    wallet = libx402.Wallet().add_evm_key(KEY)
    with libx402.Client(wallet=wallet, policy=policy) as client, client.get(server.url + "/two-chains") as answer:
        assert answer.payment and (answer.payment.network, answer.payment.amount) == ("eip155:8453", "200")
    with libx402.Client(wallet=wallet) as client, client.get(server.url + "/two-chains") as answer:
        assert answer.payment and answer.payment.amount == "100"


# secp256k1: y^2 = x^3 + 7 over the field of P elements; its generator has N multiples.
P, N = 2**256 - 2**32 - 977, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
     0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)
Point = Optional[tuple[int, int]]


def added(a: Point, b: Point) -> Point:
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def signed_by_hand(digest: bytes) -> bytes:
    """An ECDSA signature by the development key, as an HSM would give it: r and s, and nothing more."""
    key, once = int(KEY, 16), 0x1234567890ABCDEF
    r_point: Point = None
    for bit in bin(once)[2:]:
        r_point = added(r_point, r_point)
        r_point = added(r_point, G) if bit == "1" else r_point
    assert r_point
    r = r_point[0] % N
    s = pow(once, -1, N) * (int.from_bytes(digest, "big") + r * key) % N
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.parametrize("by_queue", [False, True])
def test_a_signer_elsewhere_pays(server: Paying, by_queue: bool) -> None:
    asked = []

    def sign(kind: str, data: bytes) -> Optional[bytes]:
        asked.append(kind)
        return signed_by_hand(data) if kind == "evm-digest" else None

    async def status(client: libx402.Client) -> libx402.Money:
        async with await client.aget(server.url + "/weather") as answer:
            return answer.money

    with libx402.Client(wallet=libx402.Wallet().add_signer("eip155", ADDRESS, sign)) as client:
        money = asyncio.run(status(client)) if by_queue else client.get(server.url + "/weather").money
        assert money is libx402.Money.PAID
    assert asked == ["evm-typed-data", "evm-digest"] and server.state()["payments_settled"] == 1


def test_approval_sees_the_offer(server: Paying) -> None:
    offers: list[Any] = []
    lines: list[str] = []
    wallet = libx402.Wallet().add_evm_key(KEY)

    def approve(offer: Any) -> bool:
        offers.append(offer)
        return len(offers) > 1

    policy = libx402.Policy().approve(approve)
    with libx402.Client(wallet=wallet, policy=policy, log=lambda _, line: lines.append(line)) as client:
        assert client.get(server.url + "/weather").status == 402
        assert client.get(server.url + "/weather").json() == {"weather": "sunny"}
    assert len(offers) == 2 and "amount" in json.dumps(offers[0]) and lines


def test_a_402_of_another_client_is_paid(server: Paying, client: libx402.Client) -> None:
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(server.url + "/weather")
    request = libx402.Request("GET", server.url + "/weather")
    with raised.value as asked:
        headers, body = list(asked.headers.items()), asked.read()
    with client.pay(request, 402, headers, body) as payment:
        paying = urllib.request.Request(server.url + "/weather", headers=dict([payment.header]))
        with urllib.request.urlopen(paying) as answer:
            assert payment.settle(answer.status, answer.headers.items()).transaction
        assert payment.money is libx402.Money.PAID
    assert client.ledger.totals()[0]["amount"] == "10000"


def test_a_call_is_cancelled_from_another_thread(server: Paying, client: libx402.Client) -> None:
    request = libx402.Request("GET", server.url + "/hangs")
    timer = threading.Timer(0.1, request.cancel)
    timer.start()
    with pytest.raises(libx402.Cancelled):
        client.send(request)
    timer.join()


def test_what_a_callback_raises_comes_out(server: Paying, client: libx402.Client) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise RuntimeError("the camera is off")

    with pytest.raises(RuntimeError, match="the camera is off") as raised:
        client.post(server.url + "/echo", body=pieces())
    error = libx402.error_of(raised.value)
    assert error and error.status == libx402.Status.BODY_CALLBACK and error.money is libx402.Money.NONE


def in_child(work: Callable[[], str]) -> str:
    """What `work` gives in a forked child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = work()
        except BaseException as raised:
            said = repr(raised)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def test_a_forked_child_pays_with_a_client_of_its_own(server: Paying, client: libx402.Client, tmp_path: Path) -> None:
    def child(use: Optional[libx402.Client] = None) -> str:
        made = use or libx402.Client(wallet=libx402.Wallet().add_evm_key(KEY), ledger=tmp_path / "ledger")

        async def get(path: str) -> str:
            async with await made.aget(server.url + path) as answer:
                return str(answer.status)
        return asyncio.run(get("/weather" if use is None else "/free"))

    assert client.get(server.url + "/weather").status == 200
    assert "fork()" in in_child(lambda: str(client.get(server.url + "/weather").status))
    assert in_child(child) == "200"
    with libx402.Client() as without_keys:
        assert child(without_keys) == "200"
        assert in_child(lambda: child(without_keys)) == "200"
        assert child(without_keys) == "200"
    assert server.state()["payments_settled"] == 2


def test_a_closed_answer_still_tells_of_itself(server: Paying, client: libx402.Client) -> None:
    """However it was read: to its end, in part, or not at all."""
    told = []
    for read in (lambda answer: answer.read(), lambda answer: answer.read_some(2), lambda answer: b"", list):
        with client.get(server.url + "/weather") as answer:
            read(answer)
        assert answer.payment and answer.payment.transaction
        told.append((answer.status, answer.url, sorted(answer.headers), answer.money, answer.payment.amount))
    assert told == [told[0]] * 4 and told[0][3] is libx402.Money.PAID


def test_a_large_answer_is_let_go_when_it_is_closed(server: Paying, client: libx402.Client) -> None:
    data = bytes(1 << 20)
    with client.post(server.url + "/cheap-echo", body=data) as answer:
        assert answer.read() == data and answer.read() == data
        open_handles = libx402.live_handles()
    assert libx402.live_handles() == open_handles - 1 and answer.money is libx402.Money.PAID
