"""The client itself: signers, approval, errors, pay for another client, fork, parity with the header, leaks."""

import asyncio
import gc
import json
import os
import re
import sys
import threading

import pytest

import libx402
from conftest import KEY, ROOT
from libx402._raw import lib

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
SOAK_CALLS = int(os.environ.get("X402_SOAK_CALLS", "10000"))
#: function: why nothing here calls it
WITHOUT = {
    "x402_client_post": "Client.post makes a request, which can have headers too",
    "x402_client_pay": "Client.pay takes a request, which knows its purchase by name or body",
    "x402_response_each": "a for loop over the response",
    "x402_queue_wait": "an event loop watches the queue's descriptor",
    "x402_error_status": "the call returned it",
}


def functions():
    found = re.findall(r"^X402_API [^(]*[ *](x402_\w+)\(", (ROOT / "include" / "x402.h").read_text(), flags=re.M)
    assert len(found) > 80
    return found


def test_every_function_of_the_header_is_reached():
    sources = "".join(path.read_text() for path in (ROOT / "bindings/python/src/libx402").glob("*.py"))
    for function in functions():
        assert hasattr(lib, function)
        assert bool(re.search(rf"lib\.{function}\b", sources)) != (function in WITHOUT), function
    assert set(WITHOUT) <= set(functions())


def test_statuses_are_those_of_the_header():
    text = (ROOT / "include" / "x402.h").read_text()
    numbers = {int(number) for _, number in re.findall(r"^    X402_(OK|AGAIN|ERROR_\w+) = (\d+),", text, flags=re.M)}
    assert numbers == set(libx402.Status) and len(numbers) > 30
    for status in libx402.Status:
        assert libx402.Error(status, "", libx402.Money.NONE, "", 0, None).status_name.endswith(status.name)


def test_errors_say_what_and_never_a_key():
    with pytest.raises(libx402.ArgumentError) as raised:
        libx402.Wallet().add_evm_key(KEY + "00")
    assert raised.value.status == libx402.Status.KEY and "ac0974" not in str(raised.value)
    assert KEY[2:] not in repr(libx402.Wallet().add_evm_key(KEY))
    with pytest.raises(libx402.ArgumentError, match="no_such"):
        libx402.Client(settings={"no_such": 1})
    with pytest.raises(TypeError, match="bytes"):
        libx402.Request("POST", "http://localhost", body="text")


def test_a_signer_elsewhere_pays_and_its_exception_refuses(server, capsys):
    asked = []

    def sign(kind, data):
        asked.append((kind, json.loads(data)["primaryType"]))
        raise RuntimeError("the HSM is off")

    wallet = libx402.Wallet().add_signer("eip155", ADDRESS, sign)
    assert wallet.address() == ADDRESS
    told, hook = [], sys.unraisablehook
    sys.unraisablehook = told.append
    try:
        with libx402.Client(wallet=wallet) as client, client.get(server.url + "/weather") as answer:
            assert answer.status == 402 and answer.money is libx402.Money.REFUSED
    finally:
        sys.unraisablehook = hook
    assert asked == [("evm-typed-data", "TransferWithAuthorization")]
    assert str(told[0].exc_value) == "the HSM is off"
    assert server.state()["payments_presented"] == 0


def test_approval_sees_the_offer(server):
    offers, lines = [], []
    wallet = libx402.Wallet().add_evm_key(KEY)
    policy = libx402.Policy().approve(lambda offer: offers.append(offer) or len(offers) > 1)
    with libx402.Client(wallet=wallet, policy=policy, log=lambda level, line: lines.append(line)) as client:
        assert client.get(server.url + "/weather").status == 402
        assert client.get(server.url + "/weather").json() == {"weather": "sunny"}
    assert len(offers) == 2 and "amount" in json.dumps(offers[0]) and lines


def test_a_402_of_another_client_is_paid(server, client):
    import urllib.error
    import urllib.request
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


def test_a_call_is_cancelled_from_another_thread(server, client):
    request = libx402.Request("GET", server.url + "/hangs")
    timer = threading.Timer(0.1, request.cancel)
    timer.start()
    with pytest.raises(libx402.Cancelled):
        client.send(request)
    timer.join()


def test_what_a_callback_raises_comes_out(server, client):
    def pieces():
        yield b"x"
        raise RuntimeError("the camera is off")

    with pytest.raises(RuntimeError, match="the camera is off") as raised:
        client.post(server.url + "/echo", body=pieces())
    assert raised.value.x402.status == libx402.Status.BODY_CALLBACK
    assert raised.value.x402.money is libx402.Money.NONE


def in_child(work):
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


def test_a_forked_child_pays_with_a_client_of_its_own(server, client, tmp_path):
    def child(use=None):
        made = use or libx402.Client(wallet=libx402.Wallet().add_evm_key(KEY), ledger=tmp_path / "ledger")

        async def get(path):
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


def resident_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_many_calls_leak_nothing(server, client):
    async def some(count):
        for _ in range(count):
            async with await client.aget(server.url + "/free") as answer:
                await answer.read()
        await client._queue().aclose()

    def calls(count):
        for index in range(count // 2):
            with client.get(server.url + "/free") as answer:
                answer.read()
            with client.request("POST", server.url + "/echo", body=iter([b"%d" % index])) as answer:
                assert answer.read() == b"%d" % index
        asyncio.run(some(count // 10))

    calls(500)
    gc.collect()
    before = resident_kib(), libx402.live_handles(), len(os.listdir("/proc/self/fd"))
    calls(SOAK_CALLS)
    gc.collect()
    assert libx402.live_handles() == before[1]
    assert len(os.listdir("/proc/self/fd")) <= before[2]
    assert resident_kib() - before[0] < 4096, "KiB more than before"
