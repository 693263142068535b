/* x402_get_post get|post URL CALLS: free requests, by a client that could pay. */
#include "paying.h"

#define POST_BYTES 1024

static size_t call(x402_client *client, int posts, const char *url)
{
    static uint8_t body[POST_BYTES];
    x402_error *error = NULL;
    x402_response *response;
    if (posts)
        check(x402_client_post(client, url, "application/octet-stream", body, sizeof body, &response, &error), error);
    else
        check(x402_client_get(client, url, &response, &error), error);
    return finish(response, X402_MONEY_NONE);
}

int main(int argc, char **argv)
{
    if (argc != 4) die("usage: x402_get_post get|post URL CALLS");
    int posts = strcmp(argv[1], "post") == 0;
    uint64_t calls = number(argv[3]), bytes = 0;
    x402_client *client = client_new();
    for (int i = 0; i < WARMUP_CALLS; i++) call(client, posts, argv[2]);
    struct measure begun = measure_begin();
    for (uint64_t i = 0; i < calls; i++) bytes += call(client, posts, argv[2]);
    measure_end(begun, calls, bytes);
    x402_client_free(client);
    return 0;
}
