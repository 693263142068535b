/* x402_queue URL CALLS: CALLS free requests of a slow answer, all given to a queue at once, taken with poll. One
 * iteration is all of them together. */
#include "paying.h"

#include <poll.h>

static void submit(x402_queue *queue, const char *url, uint64_t token)
{
    x402_error *error = NULL;
    x402_request *request;
    check(x402_request_new("GET", url, &request, &error), error);
    check(x402_queue_send(queue, request, token, &error), error);
    x402_request_free(request);
}

int main(int argc, char **argv)
{
    if (argc != 3) die("usage: x402_queue URL CALLS");
    uint64_t calls = number(argv[2]), bytes = 0;
    x402_error *error = NULL;
    x402_client *client = client_new();
    x402_queue *queue;
    check(x402_queue_new(client, &queue, &error), error);
    struct measure begun = measure_begin();
    for (uint64_t token = 0; token < calls; token++) submit(queue, argv[1], token);
    for (uint64_t left = calls; left > 0;) {
        struct pollfd polled = {x402_queue_fd(queue), POLLIN, 0};
        x402_event event = X402_EVENT_INIT;
        if (poll(&polled, 1, 60000) != 1) die("no event came in a minute");
        while (x402_queue_next(queue, &event) == X402_OK) {
            check(event.status, event.error);
            bytes += finish(event.response, X402_MONEY_NONE);
            left--;
        }
    }
    measure_end(begun, 1, bytes);
    x402_queue_free(queue);
    x402_client_free(client);
    return 0;
}
