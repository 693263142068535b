"""httpx, httpx2 and requests: their own objects, redirects, forms, streams and exceptions, and what was paid."""

import asyncio
import hashlib
import io

import httpx
import httpx2
import pytest
import requests

import libx402
from libx402 import httpx as under_httpx
from libx402 import httpx2 as under_httpx2
from libx402.requests import Adapter

PACKAGES = [(httpx, under_httpx), (httpx2, under_httpx2)]
each_package = pytest.mark.parametrize("http, under", PACKAGES, ids=["httpx", "httpx2"])


@each_package
def test_a_get_is_paid_and_says_so(server, client, http, under):
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
def test_bodies_arrive_whole_when_they_are_paid_for(server, client, http, under):
    data = bytes(range(256)) * 4000

    def pieces():
        for at in range(0, len(data), 7000):
            yield data[at:at + 7000]

    with http.Client(transport=under.Transport(client)) as web:
        for body in (data, pieces()):
            said = web.post(server.url + "/upload", content=body).json()
            assert said["sha256"] == hashlib.sha256(data).hexdigest()
        said = web.post(server.url + "/upload", files={"file": io.BytesIO(data)}).json()
        assert said["length"] > len(data)


@each_package
def test_an_async_body_arrives_whole(server, client, http, under):
    data = bytes(range(256)) * 4000

    async def pieces():
        for at in range(0, len(data), 7000):
            await asyncio.sleep(0)
            yield data[at:at + 7000]

    async def call():
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

    async def broken():
        yield b"x"
        raise RuntimeError("the camera is off")

    asyncio.run(call())
    assert server.state()["payments_settled"] == 2


@each_package
def test_exceptions_are_those_of_the_package(server, client, http, under):
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
def test_a_cancelled_task_cancels_its_call(server, client, http, under):
    async def call():
        async with http.AsyncClient(transport=under.AsyncTransport(client)) as web:
            async with asyncio.timeout(5) if hasattr(asyncio, "timeout") else web:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(web.get(server.url + "/hangs", timeout=None), 0.1)
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(web.post(server.url + "/upload", content=never(), timeout=None), 0.2)
        await client.aclose()

    async def never():
        yield b"x"
        await asyncio.sleep(3600)

    asyncio.run(call())


def session_with(client):
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", Adapter(client))
    session.mount("https://", Adapter(client))
    return session


def test_requests_pays_and_follows_its_own_redirects(server, client):
    with session_with(client) as session:
        answer = session.get(server.url + "/weather")
        assert answer.json() == {"weather": "sunny"} and answer.x402.money is libx402.Money.PAID
        assert session.get(server.url + "/moved").history[0].status_code == 302
        assert session.get(server.url + "/gzip").text == "packed"
        assert session.cookies["a"] == "1"
        data = b"y" * 300000
        for body in (data, iter([data[:7], data[7:]]), io.BytesIO(data)):
            assert session.post(server.url + "/upload", data=body).json()["sha256"] == hashlib.sha256(data).hexdigest()
        assert session.get(server.url + "/expensive").status_code == 402


def test_requests_streams_without_holding_back(server, client):
    with session_with(client) as session, session.get(server.url + "/stalls", stream=True) as answer:
        pieces = answer.iter_content(4096)
        first = next(pieces)
        server.release()
        assert first and len(first + b"".join(pieces)) == 1000


def test_requests_exceptions(server, client):
    with session_with(client) as session:
        with pytest.raises(requests.ReadTimeout) as raised:
            session.get(server.url + "/hangs", timeout=(3, 0.2))
        assert raised.value.x402.status == libx402.Status.TIMEOUT
        with pytest.raises(requests.ConnectionError):
            session.get(server.url + "/breaks-off")
        with pytest.raises(requests.ConnectionError):
            session.get("http://127.0.0.1:9/")
        with pytest.raises(ValueError, match="certificate"):
            session.get(server.url + "/free", verify=False)
