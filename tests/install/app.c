/* app.c: a program of somebody else's, built against an installed libx402. */
#include <stdio.h>
#include <string.h>
#include <x402.h>

int main(void)
{
    x402_error *error = NULL;
    x402_config *config;
    x402_client *client;
    x402_response *response;
    if (strcmp(x402_version(), X402_VERSION) != 0 || x402_abi_version() != X402_ABI_VERSION)
        return fprintf(stderr, "header %s, library %s\n", X402_VERSION, x402_version()), 1;
    if (x402_config_new(&config, &error) != X402_OK || x402_client_new(config, &client, &error) != X402_OK)
        return fprintf(stderr, "%s\n", x402_error_message(error)), 1;
    if (x402_client_get(client, "no url", &response, &error) != X402_ERROR_URL)
        return fprintf(stderr, "it took \"no url\" for a URL\n"), 1;
    printf("libx402 %s says: %s\n", x402_version(), x402_error_message(error));
    x402_error_free(error);
    x402_client_free(client);
    x402_config_free(config);
    return x402_live_handles() == 0 ? 0 : 1;
}
