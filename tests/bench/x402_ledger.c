/* x402_ledger URL CALLS: paid GETs with a ledger file in an empty folder of its own. Counts the waits for the disk: the
 * program's fsync and fdatasync stand before the C library's, and the client's log says when a payment was signed. */
#include "paying.h"

#include <sys/syscall.h>
#include <unistd.h>

static uint64_t syncs, syncs_at_call, syncs_most;

int fsync(int fd)
{
    syncs++;
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    syncs++;
    return (int)syscall(SYS_fdatasync, fd);
}

/* "paying ..." is said once a payment is signed and before it is sent. */
static void logged(void *userdata, int32_t level, const char *line, size_t len)
{
    (void)userdata, (void)level, (void)len;
    if (strncmp(line, "paying ", 7) == 0 && syncs - syncs_at_call > syncs_most) syncs_most = syncs - syncs_at_call;
}

static x402_client *client_with_ledger(const char *path)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_ledger *ledger;
    x402_config *config;
    x402_client *client;
    check(x402_wallet_new(&wallet, &error), error);
    check(x402_wallet_add_evm_key(wallet, TEST_KEY, &error), error);
    check(x402_ledger_open(path, &ledger, &error), error);
    check(x402_config_new(&config, &error), error);
    check(x402_config_wallet(config, wallet, &error), error);
    check(x402_config_ledger(config, ledger, &error), error);
    check(x402_config_log(config, logged, NULL, &error), error);
    check(x402_client_new(config, &client, &error), error);
    x402_config_free(config);
    x402_ledger_free(ledger);
    x402_wallet_free(wallet);
    return client;
}

static size_t call(x402_client *client, const char *url)
{
    x402_error *error = NULL;
    x402_response *response;
    syncs_at_call = syncs;
    check(x402_client_get(client, url, &response, &error), error);
    return finish(response, X402_MONEY_PAID);
}

int main(int argc, char **argv)
{
    char folder[] = "/var/tmp/x402-bench-XXXXXX", path[64];
    const char *endings[] = {"", "-wal", "-shm"};
    if (argc != 3) die("usage: x402_ledger URL CALLS");
    if (!mkdtemp(folder)) die("no folder for the ledger");
    snprintf(path, sizeof path, "%s/ledger", folder);
    uint64_t calls = number(argv[2]), bytes = 0;
    x402_client *client = client_with_ledger(path);
    for (int i = 0; i < WARMUP_CALLS; i++) call(client, argv[1]);
    syncs_most = 0;
    uint64_t before = syncs;
    struct measure begun = measure_begin();
    for (uint64_t i = 0; i < calls; i++) bytes += call(client, argv[1]);
    if (syncs == before) die("no fsync was seen: the count is of nothing");
    measure_end(begun, calls, bytes);
    printf("{\"syncs_before_signature\": %" PRIu64 ", \"syncs_per_call\": %.3f}\n", syncs_most,
           (double)(syncs - before) / (double)calls);
    x402_client_free(client);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        snprintf(path, sizeof path, "%s/ledger%s", folder, endings[i]);
        unlink(path);
    }
    rmdir(folder);
    return 0;
}
