"""asyncio on the library's queue: cancellation and where the money is then, no lost byte, no leaked loop."""

import asyncio
import contextlib
import gc
import os
import time
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

import libx402
from conftest import PATIENCE_S, Paying, open_descriptors
from libx402 import Money, Status, aio

PATTERN = bytes(range(251)) * 4
#: How much of a held body comes before its server waits.
HELD_AT = 495
TOGETHER = 256
#: A queue's own, between its last use and the next call in another loop.
QUEUE_DESCRIPTORS = 2


async def in_thread(call: Any, *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, call, *arguments)


def handles() -> int:
    gc.collect()
    return libx402.live_handles()


async def becomes(condition: Any) -> None:
    """Waits for what must happen, while the loop runs."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


async def seen(server: Paying, **least: int) -> None:
    await in_thread(lambda: server.await_state(**least))


async def text(client: libx402.Client, url: str) -> str:
    async with await client.aget(url) as answer:
        return await answer.text()


def test_a_client_outlives_two_hundred_loops(server: Paying, client: libx402.Client) -> None:
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def one() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        assert await text(client, server.url + "/free") == "free"

    asyncio.run(one())
    gc.collect()
    before = open_descriptors()
    for _ in range(200):
        asyncio.run(one())
        assert open_descriptors() <= before + QUEUE_DESCRIPTORS
    gc.collect()
    assert sum(loop() is not None for loop in loops) <= 1
    assert len(client._queues) <= 1


def test_closed_or_forgotten_clients_leave_nothing_in_a_living_loop(server: Paying) -> None:
    async def one(close: bool) -> None:
        client = libx402.Client()
        assert await text(client, server.url + "/free") == "free"
        if close:
            client.close()

    async def all_of_them() -> None:
        before = open_descriptors(), handles()
        for index in range(30):
            await one(index % 2 == 0)
            # The threads of the queue let go of its last connection in their own time.
            await becomes(lambda: open_descriptors() <= before[0] and handles() == before[1])

    asyncio.run(all_of_them())


def test_an_answer_stays_readable_when_its_client_is_closed(server: Paying, client: libx402.Client) -> None:
    async def call() -> None:
        async with await client.aget(server.url + "/stalls") as answer:
            first = await answer.read_some()
            client.close()
            await in_thread(server.release)
            assert first + await answer.read() == PATTERN[:1000]

    asyncio.run(call())


def test_a_cancelled_call_says_where_the_money_is(server: Paying, client: libx402.Client) -> None:
    async def call() -> None:
        task = asyncio.create_task(text(client, server.url + "/paid-hangs"))
        await seen(server, payments_settled=1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        error = libx402.error_of(raised.value)
        assert error and error.status == Status.CANCELLED and error.money is Money.UNKNOWN
        assert error.payment and error.payment.amount == "10000"
        assert [entry["state"] for entry in client.ledger.unsettled()] == ["unknown"]

    asyncio.run(call())


def test_a_timeout_says_where_the_money_is(server: Paying, client: libx402.Client) -> None:
    async def call() -> None:
        with pytest.raises(asyncio.TimeoutError) as raised:
            await asyncio.wait_for(text(client, server.url + "/hangs"), 0.1)
        error = libx402.error_of(raised.value)
        assert error and error.status == Status.CANCELLED and error.money is Money.NONE

    asyncio.run(call())
    assert libx402.error_of(ValueError()) is None and libx402.error_of(None) is None


def test_cancelling_again_and_again_changes_nothing(server: Paying, client: libx402.Client) -> None:
    async def call() -> None:
        task = asyncio.create_task(text(client, server.url + "/paid-hangs"))
        await seen(server, payments_settled=1)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        error = libx402.error_of(raised.value)
        assert error and error.payment and error.money is Money.UNKNOWN

    asyncio.run(call())


@contextlib.contextmanager
def cancelled_when_done(monkeypatch: pytest.MonkeyPatch, task: "asyncio.Task[Any]") -> Any:
    """Cancels a task when its operation is done, before it could go on with that."""
    finish = aio.Operation.finish

    def and_cancel(operation: aio.Operation) -> None:
        finish(operation)
        task.cancel()

    with monkeypatch.context() as patched:
        patched.setattr(aio.Operation, "finish", and_cancel)
        yield


def test_an_answer_that_comes_with_the_cancellation_is_accounted_for(server: Paying, client: libx402.Client,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    async def call() -> None:
        before = handles()
        task = asyncio.create_task(client.aget(server.url + "/weather"))
        with cancelled_when_done(monkeypatch, task), pytest.raises(asyncio.CancelledError) as raised:
            await task
        error = libx402.error_of(raised.value)
        assert error and error.status == Status.CANCELLED and error.money is Money.PAID
        assert error.payment and error.payment.transaction
        assert handles() == before + 2, "the queue and, in the traceback, the request; no answer"

    asyncio.run(call())


def test_bytes_that_come_with_the_cancellation_are_the_next_reads(server: Paying, client: libx402.Client,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    async def call() -> None:
        async with await client.aget(server.url + "/stalls") as answer:
            task = asyncio.create_task(answer.read_some(100))
            with cancelled_when_done(monkeypatch, task), pytest.raises(asyncio.CancelledError):
                await task
            first = await answer.read_some(7)
            await in_thread(server.release)
            assert first + await answer.read() == PATTERN[:1000] and len(first) == 7

    asyncio.run(call())


@pytest.mark.parametrize("whole", [False, True])
def test_a_read_that_took_too_long_loses_nothing(server: Paying, client: libx402.Client, whole: bool) -> None:
    async def call() -> None:
        async with await client.aget(server.url + "/stalls") as answer:
            got = b""
            with pytest.raises(asyncio.TimeoutError):
                while True:
                    got += await asyncio.wait_for(answer.read() if whole else answer.read_some(), 0.1)
            assert len(got) == (0 if whole else HELD_AT)
            await in_thread(server.release)
            got += await answer.read()
            assert got == PATTERN[:1000]
            assert whole == (await answer.read() == PATTERN[:1000])
            assert await answer.read_some() == b""

    asyncio.run(call())


def test_two_tasks_do_not_read_one_answer(server: Paying, client: libx402.Client) -> None:
    async def call() -> None:
        async with await client.aget(server.url + "/stalls") as answer:
            got = b""
            while len(got) < HELD_AT:
                got += await answer.read_some()
            task = asyncio.create_task(answer.read_some())
            await asyncio.sleep(0)
            with pytest.raises(libx402.ArgumentError, match="another task"):
                await answer.read_some()
            await in_thread(server.release)
            assert await task

    asyncio.run(call())


def test_a_forgotten_answer_ends_its_read(server: Paying, client: libx402.Client) -> None:
    async def call() -> None:
        before = handles()
        answer = await client.aget(server.url + "/hangs-in-the-body")
        task = asyncio.create_task(answer.read())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del answer, task
        (queue,) = client._queues.values()
        await becomes(lambda: handles() == before + 1 and not queue._operations)

    asyncio.run(call())


def test_a_body_that_broke_off_never_ends_well(server: Paying, client: libx402.Client) -> None:
    async def call() -> None:
        async with await client.aget(server.url + "/breaks-off") as answer:
            for _ in range(2):
                with pytest.raises(libx402.NetworkError, match="truncated"):
                    await answer.read()
            got = await answer.read_some()
            assert len(got) == 50000, "what came is there"
            for read in (answer.read_some, answer.read, answer.read_some):
                with pytest.raises(libx402.NetworkError, match="truncated"):
                    await read()

    asyncio.run(call())
    with client.get(server.url + "/breaks-off") as answer:
        got = b""
        with pytest.raises(libx402.NetworkError, match="truncated"):
            while True:
                got += answer.read_some()
        assert len(got) == 50000
        for read in (answer.read_some, answer.read, answer.read_some, answer.read):
            with pytest.raises(libx402.NetworkError, match="truncated"):
                read()


def test_a_limit_holds_and_lines_are_whole(server: Paying, client: libx402.Client) -> None:
    async def call() -> None:
        async with await client.aget(server.url + "/breaks-off") as answer:
            with pytest.raises(libx402.LimitError, match="1000 bytes"):
                await answer.read(1000)
        async with await client.aget(server.url + "/lines") as answer:
            assert [line async for line in answer.lines()] == LINES

    asyncio.run(call())
    with client.get(server.url + "/lines") as answer:
        assert list(answer.lines()) == LINES
    lines = libx402.response.Lines()
    split = [line for at in range(len(TEXT)) for line in lines.of(TEXT[at:at + 1])] + lines.last()
    assert split == LINES


TEXT = b"one\r\ntwo\n\nfour"
LINES = [b"one", b"two", b"", b"four"]


def test_all_at_once_are_not_one_after_the_other(server: Paying, client: libx402.Client) -> None:
    async def call() -> float:
        await text(client, server.url + "/free")
        begun = time.monotonic()
        answers = await asyncio.gather(*[text(client, server.url + "/slow") for _ in range(TOGETHER)])
        assert answers == ["slow"] * TOGETHER
        return time.monotonic() - begun

    # One after the other they take 51 s, through a pool of 16 threads 3.2 s.
    assert asyncio.run(call()) < 3


def test_none_waits_for_another(server: Paying, client: libx402.Client) -> None:
    async def call() -> None:
        tasks = [asyncio.create_task(text(client, server.url + "/held")) for _ in range(TOGETHER)]
        await seen(server, requests=TOGETHER)
        await in_thread(server.release)
        assert await asyncio.gather(*tasks) == ["held"] * TOGETHER

    asyncio.run(call())
    assert server.state()["connections_open_peak"] == TOGETHER


def test_closing_may_be_cancelled(server: Paying, client: libx402.Client) -> None:
    async def call() -> None:
        under_way = asyncio.create_task(client.aget(server.url + "/hangs"))
        await seen(server, requests=1)
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(libx402.Cancelled):
            await asyncio.wait_for(under_way, PATIENCE_S)
        with pytest.raises(asyncio.CancelledError):
            await closing

    before = open_descriptors()
    asyncio.run(call())
    gc.collect()
    assert open_descriptors() <= before


def test_a_full_queue_makes_tasks_wait_and_none_for_ever(server: Paying) -> None:
    async def call() -> None:
        client = libx402.Client(settings={"queue_threads": 1, "queue_backlog": 1})
        tasks = [asyncio.create_task(text(client, server.url + "/free")) for _ in range(40)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        await asyncio.wait(tasks, timeout=PATIENCE_S)
        for index, task in enumerate(tasks):
            if index % 3:
                assert task.result() == "free"
            else:
                with pytest.raises(asyncio.CancelledError) as raised:
                    await task
                error = libx402.error_of(raised.value)
                assert error and error.status == Status.CANCELLED and error.money is Money.NONE and error.retry == "safe"
        await client.aclose()

    asyncio.run(call())


def test_closing_ends_what_is_under_way(server: Paying, client: libx402.Client) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(3600)

    async def call() -> None:
        calls = [asyncio.create_task(client.aget(server.url + "/paid-hangs")),
                 asyncio.create_task(client.apost(server.url + "/echo", body=never()))]
        await seen(server, payments_settled=1)
        await client.aclose()
        ends = await asyncio.gather(*calls, return_exceptions=True)
        first, second = [libx402.error_of(end) for end in ends if isinstance(end, BaseException)]
        assert first and first.status == Status.CANCELLED and first.money is Money.UNKNOWN and first.payment
        assert second and second.money is Money.NONE

    asyncio.run(call())


def test_a_forked_child_leaves_its_parents_loop_alone(server: Paying, client: libx402.Client) -> None:
    async def call() -> None:
        assert await text(client, server.url + "/free") == "free"
        child = os.fork()
        if child == 0:
            aio._close_all()
            os._exit(0)
        os.waitpid(child, 0)
        assert await asyncio.wait_for(text(client, server.url + "/free"), PATIENCE_S) == "free"

    asyncio.run(call())
