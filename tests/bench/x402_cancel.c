/* x402_cancel ROUNDS: how long a call takes to return once another thread has cancelled it, in milliseconds: blocked in
 * connecting, in sending a body, in waiting for the first byte of the answer. The peers are sockets of this program's own
 * that nobody serves. */
#include "paying.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define QUEUED_MAX 64
#define ROUNDS_MAX 1000

static double now_ms(void)
{
    return seconds(CLOCK_MONOTONIC) * 1e3;
}

/* A listener that accepts nothing; with `deaf` its queue is full, so that connecting is not answered either. */
static uint16_t unserved(int deaf)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, deaf ? 0 : ROUNDS_MAX) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        die("no listener");
    for (int i = 0; deaf && i < QUEUED_MAX; i++)
        connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (struct sockaddr *)&address, length);
    return ntohs(address.sin_port);
}

static int32_t endless(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    (void)userdata;
    memset(buffer, 'x', cap);
    *len = cap;
    return 0;
}

struct call {
    x402_client *client;
    x402_request *request;
    _Atomic long thread;
    x402_status status;
    double ended_ms;
};

static void *blocks(void *argument)
{
    struct call *call = argument;
    x402_response *response;
    call->thread = syscall(SYS_gettid);
    call->status = x402_client_send(call->client, call->request, &response, NULL);
    call->ended_ms = now_ms();
    return NULL;
}

/* Whether the thread sleeps in the kernel. The state follows the name, which ends with the last parenthesis. */
static int sleeps(long thread)
{
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%ld/stat", thread);
    FILE *stat = fopen(path, "r");
    if (stat && !fgets(line, sizeof line, stat)) line[0] = 0;
    if (stat) fclose(stat);
    const char *state = strrchr(line, ')');
    return state && state[1] == ' ' && state[2] == 'S';
}

static double cancelled_after_ms(x402_client *client, uint16_t port, int with_body)
{
    x402_error *error = NULL;
    struct call call = {.client = client};
    char url[64];
    pthread_t thread;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
    check(x402_request_new(with_body ? "PUT" : "GET", url, &call.request, &error), error);
    check(x402_request_set(call.request, "expect_continue", "never", &error), error);
    if (with_body) check(x402_request_body_reader(call.request, endless, NULL, NULL, X402_LENGTH_UNKNOWN, &error), error);
    if (pthread_create(&thread, NULL, blocks, &call) != 0) die("no thread");
    while (!call.thread || !sleeps(call.thread)) sched_yield();
    double begun_ms = now_ms();
    x402_request_cancel(call.request);
    pthread_join(thread, NULL);
    if (call.status != X402_ERROR_CANCELLED) die("the call ended with %s", x402_status_name(call.status));
    x402_request_free(call.request);
    return call.ended_ms - begun_ms;
}

static int by_size(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

static void measure_one(const char *name, uint64_t rounds, int deaf, int with_body)
{
    double took[ROUNDS_MAX];
    x402_client *client = client_new();
    uint16_t port = unserved(deaf);
    for (uint64_t round = 0; round < rounds; round++) took[round] = cancelled_after_ms(client, port, with_body);
    qsort(took, rounds, sizeof *took, by_size);
    printf("{\"%s_ms\": %.3f, \"%s_max_ms\": %.3f}\n", name, took[rounds / 2], name, took[rounds - 1]);
    x402_client_free(client);
}

int main(int argc, char **argv)
{
    if (argc != 2) die("usage: x402_cancel ROUNDS");
    uint64_t rounds = number(argv[1]);
    if (rounds == 0 || rounds > ROUNDS_MAX) die("1 to %d rounds", ROUNDS_MAX);
    measure_one("connect", rounds, 1, 0);
    measure_one("send", rounds, 0, 1);
    measure_one("first_byte", rounds, 0, 0);
    return 0;
}
