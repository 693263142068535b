"""Thousands of calls, most of them paid, leave neither memory nor handles nor descriptors behind."""

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

import libx402
from conftest import KEY, PATIENCE_S, Paying, open_descriptors
from libx402.httpx import AsyncTransport, Transport

SOAK_CALLS = int(os.environ.get("X402_SOAK_CALLS", "10000"))
#: Before the measure: pools, caches and the allocator's reserves are filled by then.
WARM_UP_CALLS = 600
#: What the allocator may keep without a leak: less than half a byte in a thousand of what went through it.
GROWTH_KIB_MAX = 4096


def resident_kib() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def no_more_than(handles: int, descriptors: int) -> bool:
    """Whether no more are left, once the queue's threads have let go of theirs."""
    end = time.monotonic() + PATIENCE_S
    while True:
        gc.collect()
        if libx402.live_handles() <= handles and open_descriptors() <= descriptors:
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.01)


def sync_calls(server: Paying, client: libx402.Client, count: int) -> None:
    """Of ten calls eight are paid: by the client itself, with a body, and under httpx."""
    with httpx.Client(transport=Transport(client)) as web:
        for index in range(count // 10):
            for _ in range(5):
                with client.get(server.url + "/cheap") as answer:
                    assert answer.read() == b"cheap"
            for _ in range(2):
                data = b"%d" % index
                with client.request("POST", server.url + "/cheap-echo", body=iter([data])) as answer:
                    assert answer.read() == data
            assert web.get(server.url + "/cheap").text == "cheap"
            with pytest.raises(libx402.ArgumentError):
                client.get("no url")
            with client.get(server.url + "/expensive") as answer:
                assert answer.status == 402


def async_calls(server: Paying, client: libx402.Client, count: int) -> None:
    """As `sync_calls`, in an event loop for each fifty; nothing is closed by hand but the answers."""
    async def one(index: int) -> None:
        if index % 10 == 0:
            async with await client.aget(server.url + "/expensive") as answer:
                assert answer.status == 402
        elif index % 10 == 1:
            data = b"%d" % index
            async with await client.apost(server.url + "/cheap-echo", body=pieces(data)) as answer:
                assert await answer.read() == data
        elif index % 10 == 2:
            task = asyncio.create_task(client.aget(server.url + "/hangs"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            async with await client.aget(server.url + "/cheap") as answer:
                assert await answer.read() == b"cheap"

    async def fifty() -> None:
        await asyncio.gather(*[one(index) for index in range(40)])
        async with httpx.AsyncClient(transport=AsyncTransport(client)) as web:
            for _ in range(10):
                assert (await web.get(server.url + "/cheap")).text == "cheap"

    for _ in range(count // 50):
        asyncio.run(fifty())


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.mark.parametrize("calls", [sync_calls, async_calls])
def test_many_paid_calls_leak_nothing(server: Paying, calls: Callable[[Paying, libx402.Client, int], None]) -> None:
    wallet = libx402.Wallet().add_evm_key(KEY)
    with libx402.Client(wallet=wallet) as client:
        calls(server, client, WARM_UP_CALLS)
        gc.collect()
        handles, descriptors, kib = libx402.live_handles(), open_descriptors(), resident_kib()
        calls(server, client, SOAK_CALLS)
        assert no_more_than(handles, descriptors)
        assert resident_kib() - kib < GROWTH_KIB_MAX, "KiB more than before"
        assert server.state()["payments_settled"] >= 0.7 * SOAK_CALLS
