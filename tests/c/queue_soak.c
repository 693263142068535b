/* queue_soak.c: 10,000 operations of a queue leave nothing behind, its threads come and go, and their stacks suffice.
 *
 *     queue_soak [OPERATIONS] */
#include "setup.h"

#include <dirent.h>
#include <poll.h>
#include <unistd.h>

#define TOGETHER 16
/* Allocator arenas of as many threads, over and over; a leak of one page in ten operations would be 4 MiB. */
#define RSS_GROWTH_KIB_MAX 3072
#define STACK_KIB 512

static int count_entries(const char *path)
{
    DIR *directory = opendir(path);
    int entries = 0;
    while (directory && readdir(directory))
        entries++;
    closedir(directory);
    return entries;
}

/* The most that was ever touched of a stack of a queue's thread: a page stays once it was used. A stack is what is of
 * its size and has a guard page right below. */
static long deepest_stack_kib(int *stacks)
{
    char line[512], access[5] = "";
    unsigned long from, to, guard_end = 0;
    long kib = 0, rss, deepest = 0;
    int is_stack = 0;
    FILE *file = fopen("/proc/self/smaps", "r");
    *stacks = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx-%lx %4s", &from, &to, access) == 3) {
            kib = (long)((to - from) / 1024);
            is_stack = strcmp(access, "rw-p") == 0 && kib == STACK_KIB && from == guard_end;
            guard_end = strcmp(access, "---p") == 0 && kib <= 64 ? to : 0;
        } else if (is_stack && sscanf(line, "Rss: %ld kB", &rss) == 1) {
            ++*stacks;
            deepest = rss > deepest ? rss : deepest;
        }
    }
    if (file)
        fclose(file);
    return deepest;
}

static x402_client *rich_client(const server *server, const char *ledger_path)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_policy *policy;
    x402_ledger *ledger;
    x402_config *config;
    x402_client *client;
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_evm_key(wallet, TEST_KEY, &error));
    NEED(x402_policy_new(&policy, &error));
    NEED(x402_policy_budget(policy, "all", 0, "1000000.00 USD", &error));
    NEED(x402_ledger_open(ledger_path, &ledger, &error));
    NEED(x402_config_new(&config, &error));
    NEED(x402_config_wallet(config, wallet, &error));
    NEED(x402_config_policy(config, policy, &error));
    NEED(x402_config_ledger(config, ledger, &error));
    NEED(x402_config_set(config, "ca_file", server->ca_file, &error));
    NEED(x402_client_new(config, &client, &error));
    x402_wallet_free(wallet);
    x402_policy_free(policy);
    x402_ledger_free(ledger);
    x402_config_free(config);
    return client;
}

static x402_event take(x402_queue *queue)
{
    x402_event event = X402_EVENT_INIT;
    struct pollfd polled = {x402_queue_fd(queue), POLLIN, 0};
    if (poll(&polled, 1, 60000) != 1 || x402_queue_next(queue, &event) != X402_OK) {
        fprintf(stderr, "no event came\n");
        exit(1);
    }
    return event;
}

/* One round: requests that pay, each with a body, some cancelled; then what was answered is read through the queue. */
static void round_of_operations(const server *server, x402_queue *queue, int number)
{
    x402_error *error = NULL;
    static uint8_t buffers[TOGETHER][256];
    x402_response *responses[TOGETHER] = {0};
    for (uint64_t token = 0; token < TOGETHER; token++) {
        x402_request *request;
        char body[32]; /* no two alike: each is a purchase of its own */
        snprintf(body, sizeof body, "%d of round %d", (int)token, number);
        NEED(x402_request_new("POST", server_path(server, "/upload"), &request, &error));
        NEED(x402_request_body_bytes(request, (const uint8_t *)body, strlen(body), &error));
        NEED(x402_queue_send(queue, request, token, &error));
        x402_request_free(request);
        if (number % 4 == 0 && token % 8 == 0)
            x402_queue_cancel(queue, token);
    }
    for (int i = 0; i < TOGETHER; i++) {
        x402_event event = take(queue);
        if (event.status == X402_OK)
            CHECK(x402_response_money(event.response) == X402_MONEY_PAID, "paid");
        else
            CHECK(event.status == X402_ERROR_CANCELLED, "%s: %s", x402_status_name(event.status), x402_error_message(event.error));
        x402_error_free(event.error);
        responses[event.token] = event.response;
    }
    for (uint64_t token = 0; token < TOGETHER; token++)
        if (responses[token])
            NEED(x402_queue_read(queue, responses[token], buffers[token], sizeof buffers[token], token, &error));
    for (int i = 0; i < TOGETHER; i++) {
        x402_event event;
        if (!responses[i])
            continue;
        event = take(queue);
        x402_error_free(event.error);
    }
    for (int i = 0; i < TOGETHER; i++)
        x402_response_free(responses[i]);
}

static void leaves_nothing_behind(int operations, int threads)
{
    server server = server_start(NULL, 0);
    x402_client *client = rich_client(&server, NULL);
    int rounds = operations / TOGETHER / 2, warm = rounds / 5, fds = 0;
    x402_error *error = NULL;
    x402_queue *queue;
    uint64_t handles = 0;
    long rss = 0;
    for (int i = 0; i < rounds; i++) {
        if (i % 10 == 0)
            NEED(x402_queue_new(client, &queue, &error));
        round_of_operations(&server, queue, i);
        if (i == warm)
            rss = rss_kib(), handles = x402_live_handles(), fds = count_entries("/proc/self/fd");
        else if (i > warm)
            CHECK(x402_live_handles() == handles, "round %d: %llu handles", i, (unsigned long long)x402_live_handles());
        if (i % 10 == 9 || i == rounds - 1)
            x402_queue_free(queue);
    }
    printf("%d operations: descriptors %d then %d, RSS %ld then %ld KiB\n", operations, fds,
           count_entries("/proc/self/fd"), rss, rss_kib());
    CHECK(count_entries("/proc/self/fd") <= fds + TOGETHER, "descriptors grew");
    CHECK(rss_kib() - rss < RSS_GROWTH_KIB_MAX, "RSS grew from %ld to %ld KiB", rss, rss_kib());
    x402_client_free(client);
    /* A thread is done with a queue before the system is done with the thread. */
    for (int tries = 0; tries < 5000 && count_entries("/proc/self/task") > threads; tries++)
        poll(NULL, 0, 1);
    CHECK(count_entries("/proc/self/task") == threads, "threads are left");
    server_stop(&server);
}

/* The deepest call there is: a TLS handshake, a payment, a ledger file. */
static void stacks_suffice(void)
{
    char path[] = "/tmp/x402-queue-ledger-XXXXXX";
    server server = server_start(NULL, 1);
    x402_error *error = NULL;
    x402_client *client;
    x402_queue *queue;
    int fd = mkstemp(path), stacks;
    long deepest;
    close(fd);
    unlink(path);
    client = rich_client(&server, path);
    NEED(x402_queue_new(client, &queue, &error));
    for (int i = 0; i < 4; i++)
        round_of_operations(&server, queue, i + 1);
    deepest = deepest_stack_kib(&stacks);
    printf("%d stacks, the deepest used %ld of %d KiB\n", stacks, deepest, STACK_KIB);
    CHECK(stacks > 0 && deepest > 8, "the stacks were not found");
    CHECK(deepest < STACK_KIB / 2, "%ld KiB of %d", deepest, STACK_KIB);
    x402_queue_free(queue);
    x402_client_free(client);
    server_stop(&server);
    unlink(path);
}

int main(int argc, char **argv)
{
    int threads = count_entries("/proc/self/task"); /* before any queue: those of the first may still be ending later */
    stacks_suffice();
    leaves_nothing_behind(argc > 1 ? atoi(argv[1]) : 10000, threads);
    return finish("queue_soak");
}
