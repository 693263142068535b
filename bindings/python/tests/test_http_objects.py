"""httpx, httpx2 and requests: their own objects, redirects, forms, streams and exceptions, and what was paid."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import httpx2
import pytest
import requests

import libx402
from conftest import Paying
from libx402 import httpx as under_httpx
from libx402 import httpx2 as under_httpx2
from libx402.requests import Adapter

PACKAGES = [(httpx, under_httpx), (httpx2, under_httpx2)]
each_package = pytest.mark.parametrize("http, under", PACKAGES, ids=["httpx", "httpx2"])


@each_package
def test_a_get_is_paid_and_says_so(server: Paying, client: libx402.Client, http: Any, under: Any) -> None:
    with http.Client(transport=under.Transport(client)) as web:
        answer = web.get(server.url + "/weather")
        assert answer.json() == {"weather": "sunny"}
        assert answer.extensions["x402"].money is libx402.Money.PAID
        assert answer.extensions["x402"].payment.amount == "10000"
        assert web.get(server.url + "/moved").status_code == 302
        assert web.get(server.url + "/moved", follow_redirects=True).text == "free"
        assert web.get(server.url + "/gzip").text == "packed"
        assert web.get(server.url + "/free").headers.get_list("x-two") == ["one", "two"]
        assert web.cookies["a"] == "1"
    assert server.state()["payments_settled"] == 1


@each_package
def test_bodies_arrive_whole_when_they_are_paid_for(server: Paying, client: libx402.Client, http: Any, under: Any) -> None:
    data = bytes(range(256)) * 4000

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(data), 7000):
            yield data[at:at + 7000]

    with http.Client(transport=under.Transport(client)) as web:
        for body in (data, pieces()):
            said = web.post(server.url + "/upload", content=body).json()
            assert said["sha256"] == hashlib.sha256(data).hexdigest()
        said = web.post(server.url + "/upload", files={"file": io.BytesIO(data)}).json()
        assert said["length"] > len(data)


@each_package
def test_an_async_body_arrives_whole(server: Paying, client: libx402.Client, http: Any, under: Any) -> None:
    data = bytes(range(256)) * 4000

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 7000):
            await asyncio.sleep(0)
            yield data[at:at + 7000]

    async def call() -> None:
        async with http.AsyncClient(transport=under.AsyncTransport(client)) as web:
            said = (await web.post(server.url + "/upload", content=pieces())).json()
            assert said["sha256"] == hashlib.sha256(data).hexdigest()
            said = (await web.post(server.url + "/upload", files={"file": data})).json()
            assert said["length"] > len(data)
            with pytest.raises(RuntimeError, match="the camera is off"):
                await web.post(server.url + "/upload", content=broken())
            answers = await asyncio.gather(*[web.get(server.url + "/free") for _ in range(50)])
            assert [answer.text for answer in answers] == ["free"] * 50
        await client.aclose()

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise RuntimeError("the camera is off")

    asyncio.run(call())
    assert server.state()["payments_settled"] == 2


@each_package
def test_exceptions_are_those_of_the_package(server: Paying, client: libx402.Client, http: Any, under: Any) -> None:
    with http.Client(transport=under.Transport(client)) as web:
        with pytest.raises(http.ReadTimeout) as raised:
            web.get(server.url + "/hangs", timeout=0.2)
        assert raised.value.x402.status_name == "X402_ERROR_TIMEOUT"
        assert raised.value.x402.money is libx402.Money.NONE
        with pytest.raises(http.ReadError):
            web.get(server.url + "/breaks-off")
        with pytest.raises(http.ConnectError):
            web.get("http://127.0.0.1:9/")
        with pytest.raises(http.ReadError) as raised:
            web.get(server.url + "/lost", headers={"X402-Purchase-Key": "report 7"})
        assert raised.value.x402.money is libx402.Money.UNKNOWN
        assert raised.value.x402.retry == "same-bytes"
        assert web.get(server.url + "/lost", headers={"X402-Purchase-Key": "report 7"}).text == "sunny"
    assert server.state()["payments_settled"] == 1
    assert server.state()["payments_distinct"] == 1


@each_package
def test_a_cancelled_task_cancels_its_call(server: Paying, client: libx402.Client, http: Any, under: Any) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(3600)

    async def call() -> None:
        loop = asyncio.get_running_loop()
        async with http.AsyncClient(transport=under.AsyncTransport(client)) as web:
            hanging = asyncio.create_task(web.get(server.url + "/hangs", timeout=None))
            uploading = asyncio.create_task(web.post(server.url + "/upload", content=never(), timeout=None))
            paid = asyncio.create_task(web.get(server.url + "/paid-hangs", timeout=None))
            await loop.run_in_executor(None, lambda: server.await_state(requests=4, payments_settled=1))
            none, unknown = libx402.Money.NONE, libx402.Money.UNKNOWN
            for task, money in (hanging, none), (uploading, none), (paid, unknown):
                task.cancel()
                with pytest.raises(asyncio.CancelledError) as raised:
                    await task
                error = libx402.error_of(raised.value)
                assert error and error.status == libx402.Status.CANCELLED and error.money is money
            # The server sees the ends while the client is open: its record waits for what is being served.
            seen = await loop.run_in_executor(None, server.state)
            assert (seen["connections_open"], seen["requests"], seen["payments_distinct"]) == (0, 4, 1)

    asyncio.run(call())
    assert client.ledger.totals()[0]["amount"] == "10000", "what may be spent counts as spent"


def session_with(client: libx402.Client) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", Adapter(client))
    session.mount("https://", Adapter(client))
    return session


def test_requests_pays_and_follows_its_own_redirects(server: Paying, client: libx402.Client) -> None:
    with session_with(client) as session:
        answer = session.get(server.url + "/weather")
        assert answer.json() == {"weather": "sunny"} and answer.x402.money is libx402.Money.PAID  # type: ignore[attr-defined]
        assert session.get(server.url + "/moved").history[0].status_code == 302
        assert session.get(server.url + "/gzip").text == "packed"
        assert session.cookies["a"] == "1"
        data = b"y" * 300000
        for body in (data, iter([data[:7], data[7:]]), io.BytesIO(data)):
            assert session.post(server.url + "/upload", data=body).json()["sha256"] == hashlib.sha256(data).hexdigest()
        assert session.get(server.url + "/expensive").status_code == 402


def test_requests_streams_without_holding_back(server: Paying, client: libx402.Client) -> None:
    with session_with(client) as session, session.get(server.url + "/stalls", stream=True) as answer:
        pieces = answer.iter_content(4096)
        first = next(pieces)
        server.release()
        assert first and len(first + b"".join(pieces)) == 1000


def test_requests_exceptions(server: Paying, client: libx402.Client) -> None:
    with session_with(client) as session:
        with pytest.raises(requests.ReadTimeout) as raised:
            session.get(server.url + "/hangs", timeout=(3, 0.2))
        error = libx402.error_of(raised.value)
        assert error and error.status == libx402.Status.TIMEOUT
        with pytest.raises(requests.ConnectionError):
            session.get(server.url + "/breaks-off")
        with pytest.raises(requests.ConnectionError):
            session.get("http://127.0.0.1:9/")
        with pytest.raises(ValueError, match="certificate"):
            session.get(server.url + "/free", verify=False)
