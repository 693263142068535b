"""The paying test server, for every test: `paying(...)` starts one in a mode and gives its URL and record."""

import json
import os
import subprocess
import urllib.request
from pathlib import Path

import pytest

import libx402

ROOT = Path(__file__).resolve().parents[3]
SERVER = os.environ.get("X402_PAYING_SERVER", str(ROOT / "target" / "debug" / "examples" / "paying_server"))
# The first development account, known to everyone.
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"


class Paying:
    """A server and what it saw."""

    def __init__(self, *mode):
        self.process = subprocess.Popen([SERVER, *mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[1]

    def state(self):
        with urllib.request.urlopen(self.url + "/_server/state") as answer:
            return json.load(answer)

    def release(self):
        urllib.request.urlopen(urllib.request.Request(self.url + "/_server/release", method="POST")).close()

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def started(*mode):
    server = Paying(*mode)
    yield server
    server.stop()


@pytest.fixture
def openai_server():
    yield from started("--openai")


@pytest.fixture
def server():
    yield from started("--scenario", str(ROOT / "bindings" / "python" / "tests" / "scenario.json"))


@pytest.fixture
def client():
    with libx402.Client(wallet=libx402.Wallet().add_evm_key(KEY)) as made:
        yield made
