/* first.c: the README's first program. It must stay short, and it must work. */
#include <stdio.h>
#include <stdlib.h>
#include <x402.h>

int main(int argc, char **argv)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_config *config;
    x402_client *client;
    x402_response *response;
    const uint8_t *body;
    size_t len;

    if (x402_wallet_new(&wallet, &error) || x402_wallet_add_evm_key(wallet, getenv("EVM_PRIVATE_KEY"), &error) ||
        x402_config_new(&config, &error) || x402_config_wallet(config, wallet, &error) ||
        x402_client_new(config, &client, &error) ||
        x402_client_get(client, argc > 1 ? argv[1] : "http://127.0.0.1:4021/weather", &response, &error) ||
        x402_response_read_all(response, 1 << 20, &body, &len, &error)) {
        fprintf(stderr, "%s\n", x402_error_message(error));
        return 1;
    }
    printf("%u %s\n", x402_response_status(response), (const char *)body);
    printf("paid %s in %s\n", x402_payment_amount(x402_response_payment(response)),
           x402_payment_transaction(x402_response_payment(response)));
    return 0;
}
