/* x402_paid_queue URL CALLS: paid GETs through a queue, one at a time, waited for with poll: what a program does that must
 * not block, and what bindings for event loops are built on. */
#include "paying.h"

#include <poll.h>

static size_t call(x402_queue *queue, const char *url)
{
    x402_error *error = NULL;
    x402_request *request;
    x402_event event = X402_EVENT_INIT;
    struct pollfd polled = {x402_queue_fd(queue), POLLIN, 0};
    check(x402_request_new("GET", url, &request, &error), error);
    check(x402_queue_send(queue, request, 1, &error), error);
    while (x402_queue_next(queue, &event) == X402_AGAIN)
        if (poll(&polled, 1, 60000) != 1) die("no event came in a minute");
    check(event.status, event.error);
    x402_request_free(request);
    return finish(event.response, X402_MONEY_PAID);
}

int main(int argc, char **argv)
{
    if (argc != 3) die("usage: x402_paid_queue URL CALLS");
    uint64_t calls = number(argv[2]), bytes = 0;
    x402_error *error = NULL;
    x402_client *client = client_new();
    x402_queue *queue;
    check(x402_queue_new(client, &queue, &error), error);
    for (int i = 0; i < WARMUP_CALLS; i++) call(queue, argv[1]);
    struct measure begun = measure_begin();
    for (uint64_t i = 0; i < calls; i++) bytes += call(queue, argv[1]);
    measure_end(begun, calls, bytes);
    x402_queue_free(queue);
    x402_client_free(client);
    return 0;
}
