/* setup.h: a client ready to pay, as most tests want it. */
#ifndef X402_TESTS_SETUP_H
#define X402_TESTS_SETUP_H

#include "check.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A client with the test key and the policy of a new configuration. `ca_file` may be NULL. */
static inline x402_client *client_with(const char *ca_file, const char *key, const char *value)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_config *config;
    x402_client *client;
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_evm_key(wallet, TEST_KEY, &error));
    NEED(x402_config_new(&config, &error));
    NEED(x402_config_wallet(config, wallet, &error));
    if (ca_file && ca_file[0])
        NEED(x402_config_set(config, "ca_file", ca_file, &error));
    if (key)
        NEED(x402_config_set(config, key, value, &error));
    NEED(x402_client_new(config, &client, &error));
    x402_wallet_free(wallet);
    x402_config_free(config);
    return client;
}

/* The whole body as text, valid until the response is freed. */
static inline const char *body_text(x402_response *response)
{
    x402_error *error = NULL;
    const uint8_t *data;
    size_t len;
    NEED(x402_response_read_all(response, 1 << 20, &data, &len, &error));
    CHECK(data[len] == 0, "a NUL stands after the body");
    return (const char *)data;
}

/* A body that a callback gives: the i-th byte is i mod 251. */
typedef struct pattern {
    uint64_t length, at;
    size_t most;              /* bytes a call; 0: as many as fit */
    int rewinds;
    int32_t stop_value;       /* returned once `stop_at` bytes were given */
    uint64_t stop_at;
} pattern;

static inline int32_t pattern_read(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    pattern *body = (pattern *)userdata;
    uint64_t left = body->length - body->at;
    size_t want = body->most && body->most < cap ? body->most : cap;
    if (body->stop_value && body->at >= body->stop_at)
        return body->stop_value;
    *len = left < want ? (size_t)left : want;
    for (size_t i = 0; i < *len; i++)
        buffer[i] = (uint8_t)((body->at + i) % 251);
    body->at += *len;
    return 0;
}

static inline int32_t pattern_rewind(void *userdata)
{
    pattern *body = (pattern *)userdata;
    body->rewinds++;
    body->at = 0;
    return 0;
}

/* Memory in use now; ends the test where that cannot be read. */
static inline long rss_kib(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        exit(1);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

#endif
