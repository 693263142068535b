// x402_paid.cpp URL CALLS: paid GETs through x402.hpp, as x402_paid.c makes them through x402.h.
extern "C" {
#include "measure.h"
}
#include <x402.hpp>

static size_t call(const x402::Client &client, const char *url)
{
    x402::Response response = client.get(url);
    const x402::Bytes body = response.body(1024 * 1024);
    if (response.status() != 200 || response.money() != x402::Money::paid)
        die("status %u, money %s", unsigned(response.status()), name(response.money()));
    return body.size();
}

int main(int argc, char **argv)
{
    if (argc != 3) die("usage: x402_paid_cpp URL CALLS");
    uint64_t calls = number(argv[2]), bytes = 0;
    const x402::Client client(x402::Config().wallet(x402::Wallet().add_evm_key(TEST_KEY)));
    for (int i = 0; i < WARMUP_CALLS; i++) call(client, argv[1]);
    struct measure begun = measure_begin();
    for (uint64_t i = 0; i < calls; i++) bytes += call(client, argv[1]);
    measure_end(begun, calls, bytes);
    return 0;
}
