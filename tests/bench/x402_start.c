/* x402_start URL: one paid GET from process start; says `paid` when the answer is there. */
#include "paying.h"
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 2) die("usage: x402_start URL");
    x402_error *error = NULL;
    x402_response *response;
    x402_client *client = client_new();
    check(x402_client_get(client, argv[1], &response, &error), error);
    finish(response, X402_MONEY_PAID);
    return write(1, "paid\n", 5) == 5 ? 0 : 1;
}
