/* paying.h: what the benchmark programs of libx402 share: a client with the test key, and the end of a failed one. */
#ifndef BENCH_PAYING_H
#define BENCH_PAYING_H

#include "measure.h"
#include <x402.h>

static void check(x402_status status, x402_error *error)
{
    if (status != X402_OK) die("%s: %s", x402_status_name(status), x402_error_message(error));
}

/* The key pair of the seed 01 02 ... 20. */
#define TEST_SOLANA_KEY "2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSdZd8hbDHTd21as7EAsg7ypityqfsw2pMQKJcVDVcAEsd"

/* With a wallet of both families and the default policy. */
static inline x402_client *client_new(void)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_config *config;
    x402_client *client;
    check(x402_wallet_new(&wallet, &error), error);
    check(x402_wallet_add_evm_key(wallet, TEST_KEY, &error), error);
    check(x402_wallet_add_solana_key(wallet, TEST_SOLANA_KEY, &error), error);
    check(x402_config_new(&config, &error), error);
    check(x402_config_wallet(config, wallet, &error), error);
    check(x402_client_new(config, &client, &error), error);
    x402_config_free(config);
    x402_wallet_free(wallet);
    return client;
}

/* Reads the response to its end, checks status and payment, frees it; returns the body's length. */
static inline size_t finish(x402_response *response, x402_money money)
{
    x402_error *error = NULL;
    const uint8_t *data;
    size_t len;
    check(x402_response_read_all(response, 1024 * 1024, &data, &len, &error), error);
    if (x402_response_status(response) != 200 || x402_response_money(response) != money)
        die("status %u, money %d", (unsigned)x402_response_status(response), (int)x402_response_money(response));
    x402_response_free(response);
    return len;
}

#endif
