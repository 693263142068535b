"""The programs that the README shows are run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import conftest

EXAMPLES = conftest.ROOT / "bindings/python/examples"


def run(name: str, *arguments: object) -> str:
    done = subprocess.run([sys.executable, EXAMPLES / name, *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, "EVM_PRIVATE_KEY": conftest.KEY})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_walkthrough(tmp_path: Path) -> None:
    for server in conftest.started("--demo"):
        said = run("walkthrough.py", server.url, tmp_path)
        assert server.state()["payments_settled"] == 6
    for text in ("sunny", "paid 10000 in 0x", "sent 300000 of 300000", "upload: 200 PAID", "line: {", "httpx: {",
                 "asyncio: [200, 200, 200]", "requests: {", "too late, money: NONE", "error: X402_ERROR_URL money: NONE", "'50000'"):
        assert text in said, said


@pytest.mark.skipif(not conftest.WITH_HTTPX2, reason="the SDK takes httpx2 from Python 3.10 on")
def test_openai_example(openai_server: conftest.Paying) -> None:
    assert run("openai_chat.py", openai_server.url + "/v1").strip()
    assert openai_server.state()["payments_settled"] == 1


def test_the_benchmark_measures_paid_calls(server: conftest.Paying) -> None:
    command = [sys.executable, str(EXAMPLES.parent / "bench" / "paid_get.py"), server.url + "/cheap", "5"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told["iterations"] == 5 and told["bytes"] == 5 * len("cheap") and told["cpu_us_per_call"] > 0
    assert server.state()["payments_settled"] > 5
