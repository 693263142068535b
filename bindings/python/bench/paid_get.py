"""paid_get.py URL CALLS: paid GETs, measured as tests/bench/x402_paid.c measures its own, and told in the same line."""

import json
import sys
import time

import libx402

#: Calls before the clock starts, as many as the program in C makes.
WARMUP_CALLS = 20
# The development keys that the program in C has.
EVM_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
SOLANA_KEY = "2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSdZd8hbDHTd21as7EAsg7ypityqfsw2pMQKJcVDVcAEsd"


def call(client: libx402.Client, url: str) -> int:
    with client.get(url) as response:
        length = len(response.read(1024 * 1024))
        if response.status != 200 or response.money is not libx402.Money.PAID:
            sys.exit(f"status {response.status}, money {response.money.name}")
    return length


def peak_kib() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def main(url: str, calls: int) -> None:
    wallet = libx402.Wallet().add_evm_key(EVM_KEY).add_solana_key(SOLANA_KEY)
    with libx402.Client(wallet=wallet) as client:
        for _ in range(WARMUP_CALLS):
            call(client, url)
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        moved = sum(call(client, url) for _ in range(calls))
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    print(json.dumps({"iterations": calls, "cpu_us_per_call": cpu_s * 1e6 / calls,
                      "wall_us_per_call": wall_s * 1e6 / calls, "maxrss_kib": peak_kib(), "bytes": moved}))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: paid_get.py URL CALLS")
    main(sys.argv[1], int(sys.argv[2]))
