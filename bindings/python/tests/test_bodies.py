"""Bodies: files that heed no size, and forms, which are paid for once also where their boundary is drawn anew."""

import asyncio
import email
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import httpx
import httpx2
import openai
import pytest
import requests

import libx402
from conftest import ASYNC, KEY, SYNC, Paying
from libx402 import _form
from libx402 import httpx as under_httpx
from libx402 import httpx2 as under_httpx2
from libx402.requests import Adapter

AUDIO = b"\x00--sound--\r\n" * 5000
FILES = {"file": ("a.wav", AUDIO, "audio/wav")}
DATA = {"model": "whisper-1"}


class Careless(io.BytesIO):
    """A file that gives more than it was asked for."""

    def read(self, size: Optional[int] = -1) -> bytes:
        return super().read(None if size is None or size < 0 else size * 3 + 1)


class Endless:
    """One that cannot seek either."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, size: int) -> bytes:
        data, self.data = self.data, b""
        return data


@pytest.mark.parametrize("source", [Careless, Endless])
def test_a_file_that_heeds_no_size_arrives_whole(server: Paying, client: libx402.Client,
                                                 source: Callable[[bytes], Any]) -> None:
    data = bytes(range(251)) * 3000
    with client.post(server.url + "/cheap-echo", body=source(data)) as answer:
        assert answer.read() == data
    assert server.state()["payments_settled"] == 1


def test_a_callback_that_gives_too_much_is_stopped_before_the_buffers_end(server: Paying, client: libx402.Client) -> None:
    request = libx402.Request("POST", server.url + "/echo")
    request._reader(lambda cap: b"x" * (cap + 1), None, None)
    with pytest.raises(ValueError, match="were asked for"):
        client.send(request)


def test_a_file_begins_where_it_stands(server: Paying, client: libx402.Client, tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"head" + AUDIO)
    with path.open("rb") as body:
        body.seek(4)
        with client.post(server.url + "/cheap-echo", body=body) as answer:
            assert answer.read() == AUDIO
    with pytest.raises(TypeError, match="not of str"), path.open(errors="replace") as text:
        client.post(server.url + "/echo", body=text, length=4)


def parts(content_type: str, body: bytes) -> list[tuple[Any, Any]]:
    """A form as another reader sees it."""
    whole = email.message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    return [(dict(part.items()), part.get_payload(decode=True)) for part in whole.get_payload()]  # type: ignore


def paid_for_once(server: Paying) -> None:
    seen = server.state()
    assert (seen["payments_settled"], seen["payments_distinct"]) == (1, 1)


PACKAGES = [(httpx, under_httpx), (httpx2, under_httpx2)]
each_package = pytest.mark.parametrize("http, under", PACKAGES, ids=["httpx", "httpx2"])


@each_package
def test_a_form_is_paid_for_once(server: Paying, client: libx402.Client, http: Any, under: Any) -> None:
    url = server.url + "/lost-form"
    with http.Client(transport=under.Transport(client)) as web:
        with pytest.raises(http.ReadError):
            web.post(url, files=FILES, data=DATA)
        answer = web.post(url, files={"file": ("a.wav", io.BytesIO(AUDIO), "audio/wav")}, data=DATA)
    paid_for_once(server)
    assert_same_form(answer.request.headers["content-type"], server, answer.content)


@each_package
def test_a_form_is_paid_for_once_by_asyncio(server: Paying, client: libx402.Client, http: Any, under: Any) -> None:
    async def call() -> Any:
        async with http.AsyncClient(transport=under.AsyncTransport(client)) as web:
            with pytest.raises(http.ReadError):
                await web.post(server.url + "/lost-form", files=FILES, data=DATA)
            return await web.post(server.url + "/lost-form", files=FILES, data=DATA)

    answer = asyncio.run(call())
    paid_for_once(server)
    assert_same_form(answer.request.headers["content-type"], server, answer.content)


def test_a_form_of_requests_is_paid_for_once(server: Paying, client: libx402.Client) -> None:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", Adapter(client))
    with pytest.raises(requests.ConnectionError):
        session.post(server.url + "/lost-form", files=FILES, data=DATA)
    answer = session.post(server.url + "/lost-form", files=FILES, data=DATA)
    paid_for_once(server)
    assert_same_form(answer.request.headers["content-type"], server, answer.content)


def assert_same_form(drawn: str, server: Paying, body: bytes) -> None:
    """What arrived holds what was given, in headers and body that fit each other."""
    headers = dict((name.lower(), value) for name, value in server.state()["requests_seen"][-1]["headers"])
    assert headers["content-type"] != drawn and len(headers["content-type"]) == len(drawn)
    found = parts(headers["content-type"], body)
    assert [payload for _, payload in found] == [b"whisper-1", AUDIO]
    assert found[1][0] == {"Content-Disposition": 'form-data; name="file"; filename="a.wav"', "Content-Type": "audio/wav"}


@each_package
def test_another_form_is_another_purchase(server: Paying, client: libx402.Client, http: Any, under: Any) -> None:
    with http.Client(transport=under.Transport(client)) as web:
        with pytest.raises(http.ReadError):
            web.post(server.url + "/lost-form", files=FILES, data=DATA)
        web.post(server.url + "/lost-form", files=FILES, data={"model": "another"})
    assert server.state()["payments_distinct"] == 2


@pytest.mark.parametrize("http, transport", SYNC)
def test_a_transcription_is_paid_once(server: Paying, http: Any, transport: Any, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(AUDIO)
    with openai.OpenAI(base_url=server.url + "/v1", api_key="none",
                       http_client=http(transport=transport(wallet=libx402.Wallet().add_evm_key(KEY)))) as ai:
        with (tmp_path / "a.wav").open("rb") as file:
            assert ai.audio.transcriptions.create(file=file, model="whisper-1").text == "hello"
    paid_for_once(server)


@pytest.mark.parametrize("http, transport", ASYNC)
def test_an_async_transcription_is_paid_once(server: Paying, http: Any, transport: Any) -> None:
    async def call() -> str:
        async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none",
                                      http_client=http(transport=transport(wallet=libx402.Wallet().add_evm_key(KEY)))) as ai:
            return (await ai.audio.transcriptions.create(file=("a.wav", AUDIO), model="whisper-1")).text

    assert asyncio.run(call()) == "hello"
    paid_for_once(server)


BOUNDARY = b"0123456789abcdef" * 2


def form(boundary: bytes, *bodies: bytes) -> bytes:
    return b"".join(b"--" + boundary + b"\r\n\r\n" + body + b"\r\n" for body in bodies) + b"--" + boundary + b"--\r\n"


def test_a_boundary_is_replaced_only_where_that_changes_no_part() -> None:
    def settle(body: bytes, kind: bytes = b"multipart/form-data; boundary=" + BOUNDARY, *more: Any) -> bytes:
        return _form.settled([(b"Content-Type", kind), *more], body)[1]

    plain = form(BOUNDARY, b"a", b"b")
    assert settle(plain) != plain and len(settle(plain)) == len(plain)
    assert settle(plain) == settle(form(BOUNDARY[::-1], b"a", b"b"), b"multipart/form-data; boundary=" + BOUNDARY[::-1])
    assert len({settle(form(BOUNDARY, *split)) for split in ([b"a", b"b"], [b"ab"], [b"a\r\n\r\nb"], [b"b", b"a"])}) == 4
    for untouched in (form(BOUNDARY, b"holds " + BOUNDARY), b"preamble\r\n" + plain, plain[:-40], b"", b"--", BOUNDARY,
                      b"--" + BOUNDARY, form(b"other", b"a")):
        assert settle(untouched) == untouched
    assert settle(form(b"mine", b"a"), b"multipart/form-data; boundary=mine") == form(b"mine", b"a")
    assert settle(plain, b"multipart/mixed; boundary=" + BOUNDARY) == plain
    assert settle(plain, b"multipart/form-data; boundary=" + BOUNDARY, (b"Content-Digest", b"sha-256=:x:")) == plain


@each_package
def test_a_larger_form_is_streamed(server: Paying, client: libx402.Client, http: Any, under: Any) -> None:
    data = bytes(_form.FORM_BYTES_MAX)
    with http.Client(transport=under.Transport(client)) as web:
        answer = web.post(server.url + "/upload", files={"file": io.BytesIO(data)})
    assert answer.json()["length"] > len(data)
    headers = dict((name.lower(), value) for name, value in server.state()["requests_seen"][-1]["headers"])
    assert headers["content-type"] == answer.request.headers["content-type"]
    assert json.dumps(answer.json())
