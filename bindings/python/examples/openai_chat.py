"""The OpenAI SDK, paying by the call: python openai_chat.py BASE_URL, with EVM_PRIVATE_KEY in the environment."""

import os
import sys

# cut: openai
import httpx2  # openai's own HTTP client from 3.x on; for older ones, httpx and libx402.httpx
import openai

import libx402
from libx402.httpx2 import Transport


def chat(base_url: str, key: str) -> None:
    transport = Transport(wallet=libx402.Wallet().add_evm_key(key))
    ai = openai.OpenAI(base_url=base_url, api_key="none", http_client=httpx2.Client(transport=transport))
    for part in ai.chat.completions.create(model="test-model", stream=True,
                                           messages=[{"role": "user", "content": "hello"}]):
        print(part.choices[0].delta.content or "" if part.choices else "", end="", flush=True)
    print()
# end of cut


if __name__ == "__main__":
    chat(sys.argv[1], os.environ["EVM_PRIVATE_KEY"])
