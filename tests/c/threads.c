/* threads.c: what the header says about threads: clients are shared, requests are not, cancel comes from anywhere. */
#include "setup.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8
#define CALLS_EACH 10
/* A cancel takes effect within 50 ms, as `make bench` measures; the rest is for a busy machine and for valgrind. */
#define CANCEL_MS_MAX 1000

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- one client, many threads ---- */

typedef struct shared {
    const server *server;
    x402_client *client;
    int paid[THREADS];
} shared;

typedef struct worker {
    shared *shared;
    int index;
} worker;

static void *pay_often(void *argument)
{
    worker *self = argument;
    char url[512];
    snprintf(url, sizeof url, "%s/weather", self->shared->server->url);
    for (int i = 0; i < CALLS_EACH; i++) {
        x402_response *response;
        if (x402_client_get(self->shared->client, url, &response, NULL) == X402_OK)
            self->shared->paid[self->index] += x402_response_money(response) == X402_MONEY_PAID;
        x402_response_free(response);
    }
    return NULL;
}

static void a_client_is_shared(const server *server)
{
    shared shared = {server, client_with(NULL, NULL, NULL), {0}};
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){&shared, i};
        pthread_create(&threads[i], NULL, pay_often, &workers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(shared.paid[i] == CALLS_EACH, "thread %d paid %d times", i, shared.paid[i]);
    }
    x402_client_free(shared.client);
}

/* ---- a request in use ---- */

typedef struct intruder {
    x402_client *client;
    x402_request *request;
    x402_status header, send, body;
    int gave;
} intruder;

static void *send_it_too(void *argument)
{
    intruder *self = argument;
    x402_response *response;
    self->send = x402_client_send(self->client, self->request, &response, NULL);
    return NULL;
}

static int32_t read_and_intrude(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    intruder *self = userdata;
    pthread_t thread;
    (void)cap;
    *len = 0;
    if (self->gave)
        return 0;
    self->gave = 1;
    self->header = x402_request_header(self->request, "X-Late", "1", NULL);
    self->body = x402_request_body_bytes(self->request, (const uint8_t *)"x", 1, NULL);
    pthread_create(&thread, NULL, send_it_too, self);
    pthread_join(thread, NULL);
    buffer[0] = 'a';
    *len = 1;
    return 0;
}

static void a_request_in_use_is_busy(const server *server)
{
    x402_error *error = NULL;
    x402_response *response;
    intruder self = {.client = client_with(NULL, NULL, NULL)};
    NEED(x402_request_new("POST", server_path(server, "/upload"), &self.request, &error));
    NEED(x402_request_body_reader(self.request, read_and_intrude, NULL, &self, 1, &error));
    NEED(x402_client_send(self.client, self.request, &response, &error));
    CHECK(self.header == X402_ERROR_BUSY, "header from its own callback: %s", x402_status_name(self.header));
    CHECK(self.body == X402_ERROR_BUSY, "body from its own callback: %s", x402_status_name(self.body));
    CHECK(self.send == X402_ERROR_BUSY, "send from another thread: %s", x402_status_name(self.send));
    CHECK(x402_response_status(response) == 200, "and the call went on: %u", x402_response_status(response));
    x402_response_free(response);
    x402_request_free(self.request);
    x402_client_free(self.client);
}

/* ---- cancel ---- */

typedef struct canceller {
    x402_request *request;
    double at_ms;
    int free_too;
} canceller;

static void *cancel_soon(void *argument)
{
    canceller *self = argument;
    struct timespec wait = {0, 100 * 1000 * 1000};
    nanosleep(&wait, NULL);
    self->at_ms = now_ms();
    if (x402_request_cancel(self->request) != X402_OK)
        self->at_ms = -1e9;
    if (self->free_too)
        x402_request_free(self->request);
    return NULL;
}

static void cancelled_while_it_waits(const server *server, const char *path, int free_too)
{
    x402_error *error = NULL;
    x402_response *response;
    x402_client *client = client_with(NULL, NULL, NULL);
    canceller self = {.free_too = free_too};
    pthread_t thread;
    double late;
    NEED(x402_request_new("GET", server_path(server, path), &self.request, &error));
    pthread_create(&thread, NULL, cancel_soon, &self);
    EXPECT(X402_ERROR_CANCELLED, x402_client_send(client, self.request, &response, &error));
    late = now_ms();
    pthread_join(thread, NULL);
    late -= self.at_ms;
    CHECK(late < CANCEL_MS_MAX, "%s: it took %.0f ms", path, late);
    x402_request_free(self.request);
    x402_client_free(client);
}

static void cancelled_while_the_body_comes(const server *server)
{
    x402_error *error = NULL;
    x402_response *response;
    const uint8_t *data;
    size_t len;
    x402_client *client = client_with(NULL, NULL, NULL);
    canceller self = {0};
    pthread_t thread;
    NEED(x402_request_new("GET", server_path(server, "/stall"), &self.request, &error));
    NEED(x402_client_send(client, self.request, &response, &error));
    pthread_create(&thread, NULL, cancel_soon, &self);
    EXPECT(X402_ERROR_CANCELLED, x402_response_read_all(response, 1 << 20, &data, &len, &error));
    CHECK(now_ms() - self.at_ms < CANCEL_MS_MAX, "it took %.0f ms", now_ms() - self.at_ms);
    pthread_join(thread, NULL);
    x402_response_free(response);
    x402_request_free(self.request);
    x402_client_free(client);
}

static int32_t read_and_cancel(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    memset(buffer, 'a', cap);
    *len = cap;
    return x402_request_cancel(userdata);
}

static void cancelled_from_its_own_callback_and_before(const server *server)
{
    x402_error *error = NULL;
    x402_response *response;
    x402_request *request;
    x402_client *client = client_with(NULL, NULL, NULL);
    NEED(x402_request_new("POST", server_path(server, "/upload"), &request, &error));
    NEED(x402_request_body_reader(request, read_and_cancel, NULL, request, X402_LENGTH_UNKNOWN, &error));
    EXPECT(X402_ERROR_CANCELLED, x402_client_send(client, request, &response, &error));
    x402_request_free(request);
    NEED(x402_request_new("GET", server_path(server, "/free"), &request, &error));
    NEED(x402_request_cancel(request));
    EXPECT(X402_ERROR_CANCELLED, x402_client_send(client, request, &response, &error));
    x402_request_free(request);
    x402_client_free(client);
}

/* ---- handles made, used and freed by all threads at once, half of them wrongly ---- */

static void *churn(void *argument)
{
    worker *self = argument;
    x402_wallet *old = NULL;
    for (int i = 0; i < 2000; i++) {
        x402_wallet *wallet;
        x402_error *error;
        const char *address;
        x402_status made = x402_wallet_new(&wallet, NULL);
        x402_status stale = x402_wallet_address(old, "eip155", 0, &address, &error);
        self->shared->paid[self->index] += made == X402_OK && stale == X402_ERROR_HANDLE && error != NULL;
        x402_error_free(error);
        x402_wallet_free(old);
        x402_wallet_free(wallet);
        old = wallet;
    }
    return NULL;
}

static void handles_are_churned(void)
{
    shared shared = {NULL, NULL, {0}};
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){&shared, i};
        pthread_create(&threads[i], NULL, churn, &workers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(shared.paid[i] == 2000, "thread %d: %d", i, shared.paid[i]);
    }
}

/* ---- a fork ---- */

/* The address sanitizer's own allocator may be locked when a process with threads forks, and its child waits for ever. */
#ifdef __SANITIZE_ADDRESS__
#define INSTRUMENTED 1
#else
#define INSTRUMENTED 0
#endif

static volatile int churning;

/* What every process has once: the table of handles, the pages of keys, the texts that were given out. */
static int use_what_is_shared(x402_ledger *ledger)
{
    x402_wallet *wallet = NULL;
    char *text = NULL;
    int well = x402_wallet_new(&wallet, NULL) == X402_OK && x402_wallet_add_evm_key(wallet, TEST_KEY, NULL) == X402_OK &&
               (!ledger || x402_ledger_totals_json(ledger, &text, NULL) == X402_OK);
    x402_wallet_free(wallet);
    x402_string_free(text);
    return well;
}

static void *churn_until_told(void *ledger)
{
    while (churning)
        use_what_is_shared(ledger);
    return NULL;
}

/* A fork() in the middle of what other threads do with handles, in a program that never made a queue: the child's handles
 * are whole, and nothing in it waits for a thread that it does not have. */
static void forked_while_handles_are_made(void)
{
    enum { FORKS = 30, USES = 100, MAKERS = 4 };
    pthread_t makers[MAKERS];
    x402_ledger *ledger;
    int well = 0;
    CHECK(x402_ledger_open(NULL, &ledger, NULL) == X402_OK, "a ledger");
    churning = 1;
    for (int i = 0; i < MAKERS; i++)
        pthread_create(&makers[i], NULL, churn_until_told, ledger);
    for (int i = 0; i < FORKS; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            int made = 0;
            alarm(20); /* a child that hangs fails */
            for (int use = 0; use < USES; use++) {
                x402_ledger *own = NULL; /* the parent's may be in another thread's hands */
                made += x402_ledger_open(NULL, &own, NULL) == X402_OK && use_what_is_shared(own);
                x402_ledger_free(own);
            }
            if (made == USES)
                kill(getpid(), SIGKILL); /* what the parent's threads held is lost here, and no leak */
            _exit(1);
        }
        waitpid(child, &status, 0);
        well += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
            break; /* one that hung is enough */
    }
    churning = 0;
    for (int i = 0; i < MAKERS; i++)
        pthread_join(makers[i], NULL);
    CHECK(well == FORKS, "%d of %d children", well, FORKS);
    x402_ledger_free(ledger);
}

static int gets(x402_client *client, const char *url)
{
    x402_response *response;
    int right = x402_client_get(client, url, &response, NULL) == X402_OK && strcmp(body_text(response), "free") == 0;
    x402_response_free(response);
    return right;
}

/* A pooled connection is the parent's conversation: the child opens its own, and the parent's goes on. */
static void a_child_does_not_speak_in_its_parents_connection(const server *server, const char *base)
{
    x402_client *client = client_with(server->ca_file, NULL, NULL);
    char url[512], *state;
    int status = -1;
    pid_t child;
    snprintf(url, sizeof url, "%s/free", base);
    CHECK(gets(client, url), "the parent gets no answer from %s", url);
    free(server_ask(server, "POST", "/_server/reset"));
    child = fork();
    if (child == 0)
        _exit(gets(client, url) ? 0 : 1);
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %d", status);
    CHECK(gets(client, url), "the parent's connection to %s is broken", url);
    state = server_ask(server, "GET", "/_server/state");
    CHECK(strstr(state, "\"requests\":2") && strstr(state, "\"connections\":1,"), "%s", state);
    free(state);
    x402_client_free(client);
}

static void a_child_speaks_for_itself(const server *server)
{
    a_child_does_not_speak_in_its_parents_connection(server, server->url);
    /* valgrind takes what the TLS library's vector code encrypts for uninitialised. */
    const char *preloaded = getenv("LD_PRELOAD");
    int checked = preloaded && strstr(preloaded, "vgpreload");
    for (size_t i = 0; i < server->origin_count; i++)
        if (!checked && strcmp(server->origins[i].name, "tls") == 0)
            a_child_does_not_speak_in_its_parents_connection(server, server->origins[i].url);
}

int main(int argc, char **argv)
{
    server server = server_start(argc > 1 ? argv[1] : "tests/c/scenarios/faults.json", 0);
    a_client_is_shared(&server);
    a_request_in_use_is_busy(&server);
    cancelled_while_it_waits(&server, "/hang", 0);
    cancelled_while_it_waits(&server, "/hang", 1);
    cancelled_while_the_body_comes(&server);
    cancelled_from_its_own_callback_and_before(&server);
    handles_are_churned();
    a_child_speaks_for_itself(&server);
    if (!INSTRUMENTED)
        forked_while_handles_are_made();
    server_stop(&server);
    return finish("threads");
}
