/* x402_paid URL CALLS: paid GETs. */
#include "paying.h"

static size_t call(x402_client *client, const char *url)
{
    x402_error *error = NULL;
    x402_response *response;
    check(x402_client_get(client, url, &response, &error), error);
    return finish(response, X402_MONEY_PAID);
}

int main(int argc, char **argv)
{
    if (argc != 3) die("usage: x402_paid URL CALLS");
    uint64_t calls = number(argv[2]), bytes = 0;
    x402_client *client = client_new();
    for (int i = 0; i < WARMUP_CALLS; i++) call(client, argv[1]);
    struct measure begun = measure_begin();
    for (uint64_t i = 0; i < calls; i++) bytes += call(client, argv[1]);
    measure_end(begun, calls, bytes);
    x402_client_free(client);
    return 0;
}
