/* queue_loop.h: what the tests of the queue share: requests given to one, and its events waited for. */
#ifndef X402_TESTS_QUEUE_LOOP_H
#define X402_TESTS_QUEUE_LOOP_H

#include "setup.h"

#include <poll.h>
#include <time.h>

/* No wait of a test is longer; what takes longer has failed. */
#define PATIENCE_MS 60000

static inline double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static inline x402_queue *queue_of(x402_client *client)
{
    x402_error *error = NULL;
    x402_queue *queue;
    NEED(x402_queue_new(client, &queue, &error));
    return queue;
}

static inline x402_request *request_to(const server *server, const char *method, const char *path)
{
    x402_error *error = NULL;
    x402_request *request;
    NEED(x402_request_new(method, server_path(server, path), &request, &error));
    return request;
}

/* Submits a GET; its request is freed at once, as a binding may. */
static inline void submit(x402_queue *queue, const server *server, const char *path, uint64_t token)
{
    x402_error *error = NULL;
    x402_request *request = request_to(server, "GET", path);
    NEED(x402_queue_send(queue, request, token, &error));
    x402_request_free(request);
}

static inline int readable(x402_queue *queue)
{
    struct pollfd polled = {x402_queue_fd(queue), POLLIN, 0};
    return poll(&polled, 1, 0) == 1;
}

/* The next event, by poll and x402_queue_next alone. */
static inline x402_event polled_event(x402_queue *queue)
{
    x402_event event = X402_EVENT_INIT;
    struct pollfd polled = {x402_queue_fd(queue), POLLIN, 0};
    x402_status status;
    if (poll(&polled, 1, PATIENCE_MS) != 1 || (status = x402_queue_next(queue, &event)) != X402_OK) {
        fprintf(stderr, "no event came, or the descriptor was readable without one\n");
        exit(1);
    }
    return event;
}

static inline x402_event waited_event(x402_queue *queue)
{
    x402_event event = X402_EVENT_INIT;
    if (x402_queue_wait(queue, PATIENCE_MS, &event) != X402_OK) {
        fprintf(stderr, "no event came\n");
        exit(1);
    }
    return event;
}

static inline void free_event(x402_event *event)
{
    x402_response_free(event->response);
    x402_error_free(event->error);
}

static inline void nothing_waits(x402_queue *queue)
{
    x402_event event = X402_EVENT_INIT;
    CHECK(x402_queue_next(queue, &event) == X402_AGAIN, "an event nobody waits for");
    CHECK(event.response == NULL && event.error == NULL, "and it is empty");
    CHECK(!readable(queue), "the descriptor is quiet");
}

#endif
