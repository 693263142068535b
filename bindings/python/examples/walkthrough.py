"""What one does with libx402 from Python, one part after the other, against the paying test server.

    EVM_PRIVATE_KEY=0x... python walkthrough.py http://127.0.0.1:4021 FOLDER
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Callable, Optional

import httpx
import requests

import libx402
from libx402.httpx import AsyncTransport, Transport
from libx402.requests import Adapter

# The phrase of the development accounts, known to everyone.
PHRASE = "test test test test test test test test test test test junk"


# cut: client
# A key, a limit, a ledger that outlives the program. Make one client and share it among threads and event loops.
def make_client(key: str, ledger_file: str) -> libx402.Client:
    wallet = libx402.Wallet().add_evm_key(key)
    policy = libx402.Policy().max_per_payment("0.10 USD").budget("all", 86400, "2.00 USD")
    return libx402.Client(wallet=wallet, policy=policy, ledger=ledger_file)
# end of cut


# cut: get
def get(client: libx402.Client, url: str) -> None:
    with client.get(url) as response:
        print(response.status, response.text())
    if response.payment:
        print("paid", response.payment.amount, "in", response.payment.transaction, response.payment.refusal)
# end of cut


# cut: upload
def upload(client: libx402.Client, url: str, file: Path) -> None:
    def progress(sent: int, total: object, received: int, receive_total: object) -> None:
        print(f"\rsent {sent} of {total}", end="")

    with file.open("rb") as body:
        response = client.post(url, body=body, progress=progress, settings={"purchase_key": "report 2026-11"})
    print("\nupload:", response.status, response.money.name)
# end of cut


# cut: stream
def stream(client: libx402.Client, url: str) -> None:
    with client.get(url) as response:
        for line in response.lines():  # each as soon as it came
            print("line:", line.decode())
# end of cut


# cut: httpx
def with_httpx(client: libx402.Client, url: str) -> None:
    with httpx.Client(transport=Transport(client)) as web:
        answer = web.get(url)
        print("httpx:", answer.json(), answer.extensions["x402"].money.name)
# end of cut


# cut: async
async def with_asyncio(client: libx402.Client, url: str) -> None:
    async with httpx.AsyncClient(transport=AsyncTransport(client)) as web:
        answers = await asyncio.gather(*[web.get(url) for _ in range(3)])
    print("asyncio:", [answer.status_code for answer in answers])
# end of cut


# cut: cancel
async def with_a_time_limit(client: libx402.Client, url: str) -> None:
    try:
        await asyncio.wait_for(client.aget(url), 0.2)
    except asyncio.TimeoutError as raised:
        error = libx402.error_of(raised)  # behind a timeout, a cancelled task, an exception of httpx or openai
        print("too late, money:", error.money.name if error else "NONE")
# end of cut


# cut: requests
def with_requests(client: libx402.Client, url: str) -> None:
    session = requests.Session()
    session.mount("https://", Adapter(client))
    session.mount("http://", Adapter(client))
    print("requests:", session.get(url).json())
# end of cut


# cut: errors
def errors(client: libx402.Client) -> None:
    try:
        client.get("no url")
    except libx402.Error as error:
        print("error:", error.status_name, "money:", error.money.name, "retry:", error.retry)
# end of cut


# cut: keys
def keys(phrase: str, address: str, sign: Callable[[str, bytes], Optional[bytes]]) -> list[libx402.Client]:
    both = libx402.Wallet().add_evm_mnemonic(phrase).add_solana_mnemonic(phrase)  # each pays on its own chains
    preferring = libx402.Policy().prefer("network", "eip155:8453").prefer("scheme", "exact")
    elsewhere = libx402.Wallet().add_signer("eip155", address, sign)
    return [libx402.Client(wallet=both, policy=preferring), libx402.Client(wallet=elsewhere)]
# end of cut


# cut: ledger
def ledger(client: libx402.Client) -> None:
    for total in client.ledger.totals():
        print("total:", total)
    for entry in client.ledger.entries():
        print("entry:", entry)
# end of cut


async def never_answered(client: libx402.Client) -> None:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    await with_a_time_limit(client, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()


def main() -> None:
    base, folder = sys.argv[1], Path(sys.argv[2])
    file = folder / "report.bin"
    file.write_bytes(b"x" * 300000)
    client = make_client(os.environ["EVM_PRIVATE_KEY"], str(folder / "ledger"))
    get(client, base + "/weather")
    upload(client, base + "/upload", file)
    stream(client, base + "/weather")
    with_httpx(client, base + "/weather")
    asyncio.run(with_asyncio(client, base + "/free"))
    with_requests(client, base + "/weather")
    asyncio.run(never_answered(client))
    errors(client)
    wallet = libx402.Wallet().add_evm_mnemonic(PHRASE)
    both, elsewhere = keys(PHRASE, wallet.address(), lambda kind, data: None)
    get(both, base + "/weather")
    get(elsewhere, base + "/weather")
    ledger(client)


if __name__ == "__main__":
    main()
