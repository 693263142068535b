"""The OpenAI SDK, unchanged but for its HTTP client: each call is paid once, also when the SDK tries again."""

import asyncio
from typing import Any

import openai
import pytest

import libx402
from conftest import ASYNC, KEY, SYNC, Paying

QUESTION: Any = {"model": "test-model", "messages": [{"role": "user", "content": "hello"}]}


def wallet() -> libx402.Wallet:
    return libx402.Wallet().add_evm_key(KEY)


def settled(server: Paying) -> tuple[int, int]:
    state = server.state()
    return state["payments_settled"], state["payments_distinct"]


@pytest.mark.parametrize("http, transport", SYNC)
@pytest.mark.parametrize("path", ["/v1", "/lost/v1", "/busy/v1"])
def test_a_call_is_paid_once(openai_server: Paying, http: Any, transport: Any, path: str) -> None:
    with openai.OpenAI(base_url=openai_server.url + path, api_key="none",
                       http_client=http(transport=transport(wallet=wallet()))) as ai:
        answer = ai.chat.completions.create(**QUESTION)
    assert answer.choices[0].message.content
    assert settled(openai_server) == (1, 1)
    assert (openai_server.state()["requests"] > 2) == (path != "/v1"), "the SDK tried again where it had to"


@pytest.mark.parametrize("http, transport", SYNC)
def test_tokens_are_not_held_back(openai_server: Paying, http: Any, transport: Any) -> None:
    with openai.OpenAI(base_url=openai_server.url + "/held/v1", api_key="none",
                       http_client=http(transport=transport(wallet=wallet()))) as ai:
        stream = ai.chat.completions.create(stream=True, **QUESTION)
        first = next(stream)
        openai_server.release()
        rest = list(stream)
    assert first.choices and rest
    assert settled(openai_server) == (1, 1)


@pytest.mark.parametrize("http, transport", ASYNC)
@pytest.mark.parametrize("path", ["/v1", "/lost/v1", "/busy/v1"])
def test_an_async_call_is_paid_once(openai_server: Paying, http: Any, transport: Any, path: str) -> None:
    async def call() -> Any:
        async with openai.AsyncOpenAI(base_url=openai_server.url + path, api_key="none",
                                      http_client=http(transport=transport(wallet=wallet()))) as ai:
            return await ai.chat.completions.create(**QUESTION)
    assert asyncio.run(call()).choices[0].message.content
    assert settled(openai_server) == (1, 1)


@pytest.mark.parametrize("http, transport", ASYNC)
def test_async_tokens_are_not_held_back(openai_server: Paying, http: Any, transport: Any) -> None:
    async def call() -> Any:
        async with openai.AsyncOpenAI(base_url=openai_server.url + "/held/v1", api_key="none",
                                      http_client=http(transport=transport(wallet=wallet()))) as ai:
            stream = await ai.chat.completions.create(stream=True, **QUESTION)
            first = await stream.__anext__()
            await asyncio.get_running_loop().run_in_executor(None, openai_server.release)
            return first, [piece async for piece in stream]
    first, rest = asyncio.run(call())
    assert first.choices and rest
    assert settled(openai_server) == (1, 1)


@pytest.mark.parametrize("http, transport", SYNC)
def test_what_is_too_dear_is_a_402_and_not_paid(openai_server: Paying, http: Any, transport: Any) -> None:
    with openai.OpenAI(base_url=openai_server.url + "/expensive/v1", api_key="none",
                       http_client=http(transport=transport(wallet=wallet()))) as ai:
        with pytest.raises(openai.APIStatusError) as raised:
            ai.chat.completions.create(**QUESTION)
    assert raised.value.status_code == 402
    assert "1.00" in raised.value.response.extensions["x402"].payment.refusal
    assert settled(openai_server) == (0, 0)
