/* soak.c: 10,000 paid calls leave nothing behind: no socket, no handle, no memory.
 *
 *     soak [CALLS] */
#include "setup.h"

#include <dirent.h>
#include <unistd.h>

/* The allocator's own noise; a leak of one page in ten calls would be 4 MiB. */
#define RSS_GROWTH_KIB_MAX 1024

static int open_sockets(void)
{
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    int sockets = 0;
    while ((entry = readdir(directory))) {
        char path[300], target[64];
        ssize_t len;
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        len = readlink(path, target, sizeof target - 1);
        if (len > 0)
            sockets += strncmp(target, "socket:", 7) == 0;
    }
    closedir(directory);
    return sockets;
}

static x402_client *rich_client(void)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_policy *policy;
    x402_config *config;
    x402_client *client;
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_evm_key(wallet, TEST_KEY, &error));
    NEED(x402_policy_new(&policy, &error));
    NEED(x402_policy_budget(policy, "all", 0, "1000000.00 USD", &error));
    NEED(x402_config_new(&config, &error));
    NEED(x402_config_wallet(config, wallet, &error));
    NEED(x402_config_policy(config, policy, &error));
    NEED(x402_client_new(config, &client, &error));
    x402_wallet_free(wallet);
    x402_policy_free(policy);
    x402_config_free(config);
    return client;
}

/* A GET, a POST from memory and a streamed POST take turns. */
static void one_call(const server *server, x402_client *client, int number)
{
    x402_error *error = NULL;
    x402_request *request = NULL;
    x402_response *response;
    pattern body = {.length = 5000};
    switch (number % 3) {
    case 0:
        NEED(x402_client_get(client, server_path(server, "/weather"), &response, &error));
        break;
    case 1:
        NEED(x402_client_post(client, server_path(server, "/upload"), "text/plain", (const uint8_t *)"abc", 3, &response, &error));
        break;
    default:
        NEED(x402_request_new("POST", server_path(server, "/upload-late"), &request, &error));
        NEED(x402_request_body_reader(request, pattern_read, NULL, &body, X402_LENGTH_UNKNOWN, &error));
        NEED(x402_client_send(client, request, &response, &error));
        break;
    }
    if (x402_response_money(response) != X402_MONEY_PAID)
        CHECK(0, "call %d was not paid: %s", number, x402_payment_refusal(x402_response_payment(response)));
    body_text(response);
    x402_response_free(response);
    x402_request_free(request);
}

int main(int argc, char **argv)
{
    int calls = argc > 1 ? atoi(argv[1]) : 10000, warm = calls / 10;
    server server = server_start(NULL, 0);
    x402_client *client = rich_client();
    int sockets_before = 0, sockets_max = 0;
    long rss_before = 0;
    uint64_t handles_before = 0;
    for (int i = 0; i < calls; i++) {
        if (i == warm) {
            sockets_before = open_sockets();
            rss_before = rss_kib();
            handles_before = x402_live_handles();
        }
        one_call(&server, client, i);
        if (i >= warm && i % 100 == 0) {
            int sockets = open_sockets();
            sockets_max = sockets > sockets_max ? sockets : sockets_max;
            CHECK(x402_live_handles() == handles_before, "call %d: %llu handles", i, (unsigned long long)x402_live_handles());
        }
    }
    printf("%d paid calls: sockets %d then at most %d, RSS %ld then %ld KiB\n", calls, sockets_before, sockets_max,
           rss_before, rss_kib());
    CHECK(sockets_max <= sockets_before, "sockets grew from %d to %d", sockets_before, sockets_max);
    CHECK(rss_kib() - rss_before < RSS_GROWTH_KIB_MAX, "RSS grew from %ld to %ld KiB", rss_before, rss_kib());
    x402_client_free(client);
    CHECK(open_sockets() == 0, "%d sockets are open after the client is gone", open_sockets());
    server_stop(&server);
    return finish("soak");
}
