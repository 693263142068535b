/* queue_fork.c: a queue on both sides of a fork and an exec: the parent's goes on, the child's refuses and never waits. */
#define _DEFAULT_SOURCE
#include "queue_loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- descriptors ---- */

/* The descriptors that are open now, as bits. */
#define FDS_MAX 1024

static void open_fds(unsigned char *open_now)
{
    for (int fd = 0; fd < FDS_MAX; fd++)
        open_now[fd] = fcntl(fd, F_GETFD) != -1;
}

/* A program that the caller starts gets none of them. */
static void descriptors_end_at_exec(void)
{
    unsigned char before[FDS_MAX], after[FDS_MAX];
    x402_client *client = client_with(NULL, NULL, NULL);
    x402_queue *queue;
    int made = 0;
    open_fds(before);
    queue = queue_of(client);
    CHECK(x402_queue_fd(queue) >= 0, "a descriptor");
    open_fds(after);
    for (int fd = 0; fd < FDS_MAX; fd++)
        if (after[fd] && !before[fd] && ++made)
            CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC, "descriptor %d survives exec", fd);
    CHECK(made == 2, "%d descriptors", made);
    x402_queue_free(queue);
    open_fds(after);
    CHECK(memcmp(before, after, sizeof after) == 0, "all closed");
    x402_client_free(client);
}

static int in_the_child(x402_queue *queue, x402_request *request, x402_response *response, int fd)
{
    unsigned char before[FDS_MAX], after[FDS_MAX];
    int closed = 0;
    x402_event event = X402_EVENT_INIT;
    x402_error *error = NULL;
    uint8_t byte;
    checks_failed = 0;
    EXPECT(X402_ERROR_FORKED, x402_queue_send(queue, request, 50, &error));
    EXPECT(X402_ERROR_FORKED, x402_queue_read(queue, response, &byte, 1, 51, &error));
    CHECK(x402_queue_next(queue, &event) == X402_ERROR_FORKED, "next");
    CHECK(x402_queue_wait(queue, X402_WAIT_FOREVER, &event) == X402_ERROR_FORKED, "wait");
    CHECK(x402_queue_cancel(queue, 1) == X402_ERROR_FORKED, "cancel");
    CHECK(x402_queue_fd(queue) == -1, "fd");
    open_fds(before);
    x402_queue_free(queue);
    x402_queue_free(queue);
    open_fds(after);
    for (int at = 0; at < FDS_MAX; at++)
        closed += before[at] && !after[at];
    CHECK(closed == 2 && !after[fd], "%d copies of the queue's descriptors were closed", closed);
    return checks_failed == 0;
}

static void forked(const server *server)
{
    x402_error *error = NULL;
    x402_client *client = client_with(NULL, NULL, NULL);
    x402_queue *queue = queue_of(client);
    x402_request *request = request_to(server, "GET", "/free");
    x402_response *response;
    x402_event event;
    int told[2], fd = x402_queue_fd(queue);
    char well = 0;
    pid_t child;
    NEED(x402_client_get(client, server_path(server, "/free"), &response, &error));
    submit(queue, server, "/hang", 1);
    if (pipe(told) != 0)
        exit(1);
    child = fork();
    if (child == 0) {
        alarm(60); /* a child that hangs fails */
        well = (char)in_the_child(queue, request, response, fd);
        if (write(told[1], &well, 1) != 1)
            _exit(1);
        kill(getpid(), SIGKILL); /* what the parent's threads held is lost here, and no leak */
    }
    close(told[1]);
    CHECK(read(told[0], &well, 1) == 1 && well == 1, "the child");
    close(told[0]);
    waitpid(child, NULL, 0);
    submit(queue, server, "/free", 2);
    event = polled_event(queue);
    CHECK(event.token == 2 && event.status == X402_OK, "the parent's queue is whole: %s", x402_status_name(event.status));
    free_event(&event);
    x402_queue_free(queue);
    x402_request_free(request);
    x402_response_free(response);
    x402_client_free(client);
}

static volatile int churning;

static void *churn(void *unused)
{
    while (churning) {
        x402_wallet *wallet;
        x402_wallet_new(&wallet, NULL);
        x402_wallet_free(wallet);
    }
    return unused;
}

/* The address sanitizer's own allocator may be locked when a process with threads forks, and its child waits for ever. */
#ifdef __SANITIZE_ADDRESS__
#define INSTRUMENTED 1
#else
#define INSTRUMENTED 0
#endif

/* A fork() in the middle of what other threads do with handles: the child's are whole, and nothing in it waits. */
static void forked_while_handles_are_made(const server *server)
{
    enum { FORKS = 30, THREADS = 4 };
    x402_client *client = client_with(NULL, NULL, NULL);
    x402_queue *queue = queue_of(client);
    pthread_t threads[THREADS];
    int well = 0;
    (void)server;
    churning = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, churn, NULL);
    for (int i = 0; i < FORKS; i++) {
        int told[2], status;
        char said = 0;
        pid_t child;
        if (pipe(told) != 0)
            exit(1);
        child = fork();
        if (child == 0) {
            x402_event event = X402_EVENT_INIT;
            alarm(20);
            for (int use = 0; use < 100; use++) {
                x402_wallet *wallet;
                said = x402_wallet_new(&wallet, NULL) == X402_OK && x402_queue_next(queue, &event) == X402_ERROR_FORKED;
            }
            x402_queue_free(queue);
            if (write(told[1], &said, 1) != 1)
                _exit(1);
            kill(getpid(), SIGKILL);
        }
        close(told[1]);
        well += read(told[0], &said, 1) == 1 && said;
        close(told[0]);
        waitpid(child, &status, 0);
    }
    churning = 0;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(well == FORKS, "%d of %d children", well, FORKS);
    x402_queue_free(queue);
    x402_client_free(client);
}

int main(int argc, char **argv)
{
    server server = server_start(argc > 1 ? argv[1] : "tests/c/scenarios/queue.json", 0);
    descriptors_end_at_exec();
    forked(&server);
    if (!INSTRUMENTED)
        forked_while_handles_are_made(&server);
    server_stop(&server);
    return finish("queue_fork");
}
