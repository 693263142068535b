/* driver.c: buys as it is told and says what each purchase came to, one JSON object a line. Judges nothing.
 *
 *     driver base=URL other=URL [ledger=PATH] [budget=TEXT] [deposit=TEXT] [method=POST body=BYTES rewind=1 declare=1] [named=1]
 *            [redirect=1] [queued=1] [prepay=1] [memory=BYTES] [worker=NAME threads=N] STEP...
 *
 * Steps, in order: "+" begins to count operations, "-" ends it; "buy:NAME" buys /buy?what=NAME; "pay:NAME" does so as
 * the user of another HTTP client would, with x402_client_pay; "free" gets /free;
 * "elsewhere" gets /free of the other origin; "abandon" gives up every entry that the ledger lets go; "close" frees
 * everything, and the next step begins anew; "many:COUNT" buys so many things in each of N threads, each until it is
 * paid. */
#include "../c/json.h"
#include "../c/sha256.h"
#include <x402.h>

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEST_KEY "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
/* Of the seed 01 02 ... 20. */
#define TEST_SOLANA_KEY "2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSdZd8hbDHTd21as7EAsg7ypityqfsw2pMQKJcVDVcAEsd"
#define REPEATS_MAX 4

/* Of the shim; without it nothing is counted. */
__attribute__((weak)) void x402_fault_count(int on);
__attribute__((weak)) int x402_fault_callback(const char *name);
__attribute__((weak)) long x402_fault_sent(void);

static int fails(const char *name)
{
    return x402_fault_callback ? x402_fault_callback(name) : 0;
}

static struct {
    const char *base, *other, *ledger_path, *method, *budget, *deposit, *memory, *worker;
    uint64_t body;
    int rewind, declare, named, redirect, queued, prepay, threads, descriptors;
    x402_wallet *wallet;
    x402_ledger *ledger;
    x402_client *client;
    x402_client *http; /* without a wallet: what stands for another HTTP client */
} my = {.method = "GET", .budget = "0.03 USD", .worker = "0", .threads = 1};

static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

static void put(const char *name, const char *text)
{
    printf(", \"%s\": ", name);
    if (text)
        json_write_text(stdout, text, strlen(text));
    else
        printf("null");
}

static void begin(const char *step)
{
    pthread_mutex_lock(&output);
    printf("{\"step\": ");
    json_write_text(stdout, step, strlen(step));
}

static void end(void)
{
    printf("}\n");
    fflush(stdout);
    pthread_mutex_unlock(&output);
}

/* ---- callbacks ---- */

typedef struct body {
    uint64_t at;
} body;

static int32_t give(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    body *body = userdata;
    int failed = fails("read-callback");
    if (failed)
        return failed;
    size_t want = cap < 20000 ? cap : 20000;
    *len = my.body - body->at < want ? (size_t)(my.body - body->at) : want;
    for (size_t i = 0; i < *len; i++)
        buffer[i] = (uint8_t)((body->at + i) % 251);
    body->at += *len;
    return 0;
}

static int32_t give_again(void *userdata)
{
    int failed = fails("rewind-callback");
    if (!failed)
        ((body *)userdata)->at = 0;
    return failed;
}

static int32_t approve(void *userdata, const char *offer, size_t len)
{
    (void)userdata, (void)offer, (void)len;
    return fails("approve-callback");
}

static int32_t progress(void *userdata, uint64_t sent, uint64_t send_total, uint64_t received, uint64_t receive_total)
{
    (void)userdata, (void)sent, (void)send_total, (void)received, (void)receive_total;
    return fails("progress-callback");
}

static void log_line(void *userdata, int32_t level, const char *line, size_t len)
{
    (void)userdata, (void)level, (void)len;
    fails("log-callback");
    begin("log");
    put("line", line);
    end();
}

/* ---- the client ---- */

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((call) != X402_OK)                                                                                         \
            return 0;                                                                                                  \
    } while (0)

static int set_up(x402_config *config, x402_policy *policy, x402_error **error)
{
    TRY(x402_wallet_new(&my.wallet, error));
    TRY(x402_wallet_add_evm_key(my.wallet, TEST_KEY, error));
    TRY(x402_wallet_add_solana_key(my.wallet, TEST_SOLANA_KEY, error));
    TRY(x402_policy_budget(policy, "all", 0, my.budget, error));
    if (my.deposit)
        TRY(x402_policy_allow(policy, "deposit", my.deposit, error));
    TRY(x402_policy_approve(policy, approve, NULL, error));
    TRY(x402_config_wallet(config, my.wallet, error));
    TRY(x402_config_policy(config, policy, error));
    TRY(x402_config_set(config, "first_byte_timeout_ms", "3000", error));
    TRY(x402_config_set(config, "idle_timeout_ms", "3000", error));
    if (my.prepay)
        TRY(x402_config_set(config, "prepay", "1", error));
    if (my.memory)
        TRY(x402_config_set(config, "replay_memory", my.memory, error));
    TRY(x402_config_log(config, log_line, NULL, error));
    TRY(x402_ledger_open(my.ledger_path, &my.ledger, error));
    TRY(x402_config_ledger(config, my.ledger, error));
    TRY(x402_client_new(config, &my.client, error));
    x402_wallet_free(my.wallet);
    my.wallet = NULL;
    TRY(x402_wallet_new(&my.wallet, error));
    TRY(x402_config_wallet(config, my.wallet, error));
    TRY(x402_client_new(config, &my.http, error));
    return 1;
}

static void tear_down(void)
{
    x402_client_free(my.client);
    x402_client_free(my.http);
    x402_ledger_free(my.ledger);
    x402_wallet_free(my.wallet);
    my.client = NULL, my.http = NULL, my.ledger = NULL, my.wallet = NULL;
}

static int make_client(void)
{
    x402_error *error = NULL;
    x402_config *config = NULL;
    x402_policy *policy = NULL;
    int made = x402_config_new(&config, &error) == X402_OK && x402_policy_new(&policy, &error) == X402_OK &&
               set_up(config, policy, &error);
    x402_config_free(config);
    x402_policy_free(policy);
    if (!made) {
        begin("setup");
        put("status", x402_status_name(x402_error_status(error)));
        put("message", x402_error_message(error));
        end();
        x402_error_free(error);
        tear_down();
    }
    return made;
}

/* ---- steps ---- */

static int open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static const char *money_name(x402_money money)
{
    static const char *const names[] = {"none", "refused", "unpaid", "paid", "unknown"};
    return (unsigned)money < sizeof names / sizeof *names ? names[money] : "?";
}

static void put_payment(const x402_payment *payment)
{
    const char *text = payment ? x402_payment_json(payment) : NULL;
    printf(", \"payment\": %s", text ? text : "null");
}

static void put_error(const x402_error *error)
{
    put("status", x402_status_name(x402_error_status(error)));
    put("message", x402_error_message(error));
    put("retry", x402_error_retry(error));
    printf(", \"callback_value\": %d", (int)x402_error_callback_value(error));
}

static int32_t receive(void *userdata, const uint8_t *data, size_t len)
{
    sha256_add(userdata, data, len);
    return fails("chunk-callback");
}

/* The body was read to where it ended, with `error` if it broke off. */
static void put_response(const x402_response *response, const char *sha256_hex, const x402_error *error)
{
    printf(", \"outcome\": \"response\", \"http\": %u", x402_response_status(response));
    put("sha256", sha256_hex);
    put("challenge", x402_response_header(response, "payment-required", NULL));
    put("body_error", error ? x402_status_name(x402_error_status(error)) : NULL);
    put("body_message", error ? x402_error_message(error) : NULL);
    put_payment(x402_response_payment(response));
}

static x402_status prepare(const char *url, const char *name, body *body, x402_request **request, x402_error **error)
{
    x402_status status = x402_request_new(name ? my.method : "GET", url, request, error);
    if (status == X402_OK && name && my.named)
        status = x402_request_set(*request, "purchase_key", name, error);
    if (status == X402_OK && name && my.body)
        status = x402_request_body_reader(*request, give, my.rewind ? give_again : NULL, body,
                                          my.declare ? my.body : X402_LENGTH_UNKNOWN, error);
    if (status == X402_OK && name)
        status = x402_request_progress(*request, progress, NULL, error);
    return status;
}

/* As x402_client_send, on the threads of a queue. */
static x402_status send_queued(x402_request *request, x402_response **response, x402_error **error)
{
    x402_queue *queue = NULL;
    x402_event event = X402_EVENT_INIT;
    x402_status status = x402_queue_new(my.client, &queue, error);
    if (status == X402_OK)
        status = x402_queue_send(queue, request, 1, error);
    if (status == X402_OK) {
        while ((status = x402_queue_wait(queue, X402_WAIT_FOREVER, &event)) == X402_AGAIN)
            ;
        *response = event.response;
        *error = event.error;
    }
    x402_queue_free(queue);
    return status == X402_OK ? event.status : status;
}

/* `name` NULL: nothing that costs. */
static x402_money fetch(const char *step, const char *url, const char *name)
{
    x402_error *error = NULL;
    x402_request *request = NULL;
    x402_response *response = NULL;
    x402_money money;
    sha256 hash;
    char hex[65];
    body body = {0};
    long sent = x402_fault_sent ? x402_fault_sent() : 0;
    x402_status status = prepare(url, name, &body, &request, &error);
    if (status == X402_OK && name && my.queued)
        status = send_queued(request, &response, &error);
    else if (status == X402_OK)
        status = x402_client_send(my.client, request, &response, &error);
    if (response) {
        sha256_start(&hash);
        x402_response_each(response, receive, &hash, &error);
        sha256_finish(&hash, hex);
    }
    money = response ? x402_response_money(response) : x402_error_money(error);
    begin(step);
    if (response) {
        put_response(response, hex, error);
    } else {
        printf(", \"outcome\": \"error\"");
        put_error(error);
        put_payment(x402_error_payment(error));
    }
    put("money", money_name(money));
    printf(", \"open\": %d", open_descriptors() - my.descriptors);
    printf(", \"sent\": %ld", x402_fault_sent ? x402_fault_sent() - sent : 0);
    end();
    x402_response_free(response);
    x402_request_free(request);
    x402_error_free(error);
    return money;
}

static x402_money buy(const char *name)
{
    char url[300], step[100];
    snprintf(url, sizeof url, "%s/%s?what=%s", my.base, my.redirect && strcmp(name, "a") == 0 ? "moved" : "buy", name);
    snprintf(step, sizeof step, "buy:%s", name);
    return fetch(step, url, name);
}

/* An answer as another HTTP client would give it. */
typedef struct answer {
    x402_response *response;
    const char *names[64], *values[64];
    size_t count, body_len;
    const uint8_t *body;
} answer;

static x402_status get(const char *url, const x402_payment *payment, answer *out, x402_error **error)
{
    x402_request *request = NULL;
    x402_status status = x402_request_new("GET", url, &request, error);
    memset(out, 0, sizeof *out);
    if (status == X402_OK && payment)
        status = x402_request_header(request, x402_payment_header_name(payment), x402_payment_header_value(payment), error);
    if (status == X402_OK)
        status = x402_client_send(my.http, request, &out->response, error);
    if (status == X402_OK)
        status = x402_response_read_all(out->response, 1 << 20, &out->body, &out->body_len, error);
    for (; status == X402_OK && out->count < x402_response_header_count(out->response) && out->count < 64; out->count++) {
        size_t len;
        status = x402_response_header_at(out->response, out->count, &out->names[out->count], &out->values[out->count], &len,
                                         error);
    }
    x402_request_free(request);
    return status;
}

/* Pays with the other client; what is said is what the payment says in the end. */
static void pay(const char *step)
{
    char url[300];
    answer asked, paid = {0};
    x402_error *error = NULL;
    x402_payment *payment = NULL;
    long sent = x402_fault_sent ? x402_fault_sent() : 0;
    snprintf(url, sizeof url, "%s/buy?what=%s", my.base, step + 4);
    x402_status status = get(url, NULL, &asked, &error);
    if (status == X402_OK)
        status = x402_client_pay(my.client, "GET", url, x402_response_status(asked.response), asked.names, asked.values,
                                 asked.count, asked.body, asked.body_len, &payment, &error);
    if (status == X402_OK)
        status = get(url, payment, &paid, &error);
    if (status == X402_OK)
        status = x402_payment_settle(payment, x402_response_status(paid.response), paid.names, paid.values, paid.count,
                                     &error);
    begin(step);
    printf(", \"outcome\": \"%s\"", status == X402_OK ? "response" : "error");
    if (error)
        put_error(error);
    put_payment(payment);
    put("money", money_name(payment ? x402_payment_money(payment) : x402_error_money(error)));
    printf(", \"sent\": %ld", x402_fault_sent ? x402_fault_sent() - sent : 0);
    end();
    x402_payment_free(payment);
    x402_response_free(asked.response);
    x402_response_free(paid.response);
    x402_error_free(error);
}

static void get_free(const char *step, const char *base)
{
    char url[300];
    snprintf(url, sizeof url, "%s/free", base);
    fetch(step, url, NULL);
}

static void close_all(void)
{
    char *entries = NULL;
    if (my.ledger)
        x402_ledger_entries_json(my.ledger, 0, 10000, &entries, NULL);
    begin("entries");
    printf(", \"entries\": %s", entries ? entries : "null");
    end();
    x402_string_free(entries);
    tear_down();
    /* Threads of the library (name lookup, queue) let go by themselves, a moment after their work has ended. */
    for (int tries = 0; tries < 2000 && open_descriptors() > my.descriptors; tries++)
        usleep(1000);
}

static void abandon_all(void)
{
    for (uint64_t id = 1; id < 100; id++)
        x402_ledger_abandon(my.ledger, id, NULL);
}

typedef struct buyer {
    int number, count;
} buyer;

static void *buy_many(void *userdata)
{
    buyer *buyer = userdata;
    for (int i = 0; i < buyer->count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s-%d-%d", my.worker, buyer->number, i);
        for (int tries = 0; tries <= REPEATS_MAX && buy(name) != X402_MONEY_PAID; tries++)
            ;
    }
    return NULL;
}

static void many(int count)
{
    enum { THREADS_MAX = 64 };
    pthread_t threads[THREADS_MAX];
    buyer buyers[THREADS_MAX];
    for (int i = 0; i < my.threads && i < THREADS_MAX; i++) {
        buyers[i] = (buyer){i, count};
        pthread_create(&threads[i], NULL, buy_many, &buyers[i]);
    }
    for (int i = 0; i < my.threads && i < THREADS_MAX; i++)
        pthread_join(threads[i], NULL);
}

static void run(const char *step)
{
    if (strcmp(step, "+") == 0 || strcmp(step, "-") == 0) {
        if (x402_fault_count)
            x402_fault_count(*step == '+');
    } else if (strcmp(step, "close") == 0) {
        close_all();
    } else if (!my.client && !make_client() && !make_client()) {
        return;
    } else if (strncmp(step, "buy:", 4) == 0) {
        buy(step + 4);
    } else if (strncmp(step, "pay:", 4) == 0) {
        pay(step);
    } else if (strcmp(step, "free") == 0) {
        get_free(step, my.base);
    } else if (strcmp(step, "elsewhere") == 0) {
        get_free(step, my.other);
    } else if (strcmp(step, "abandon") == 0) {
        abandon_all();
    } else if (strncmp(step, "many:", 5) == 0) {
        many(atoi(step + 5));
    } else {
        fprintf(stderr, "no step is called %s\n", step);
        exit(2);
    }
}

static const char *value_of(const char *argument, const char *name)
{
    size_t len = strlen(name);
    return strncmp(argument, name, len) == 0 && argument[len] == '=' ? argument + len + 1 : NULL;
}

static int is_setting(const char *argument)
{
    const char *value;
    const struct {
        const char *name;
        const char **text;
    } texts[] = {{"base", &my.base},     {"other", &my.other},   {"ledger", &my.ledger_path}, {"method", &my.method},
                 {"budget", &my.budget}, {"memory", &my.memory}, {"worker", &my.worker},
                 {"deposit", &my.deposit}};
    const struct {
        const char *name;
        int *number;
    } numbers[] = {{"rewind", &my.rewind},     {"declare", &my.declare}, {"named", &my.named},
                   {"redirect", &my.redirect}, {"queued", &my.queued},   {"prepay", &my.prepay},
                   {"threads", &my.threads}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if ((value = value_of(argument, texts[i].name)))
            return *texts[i].text = value, 1;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if ((value = value_of(argument, numbers[i].name)))
            return *numbers[i].number = atoi(value), 1;
    if ((value = value_of(argument, "body")))
        return my.body = strtoull(value, NULL, 10), 1;
    return 0;
}

int main(int argc, char **argv)
{
    my.descriptors = open_descriptors();
    for (int i = 1; i < argc; i++)
        if (!is_setting(argv[i]))
            run(argv[i]);
    close_all();
    begin("end");
    printf(", \"handles\": %llu, \"descriptors\": %d", (unsigned long long)x402_live_handles(),
           open_descriptors() - my.descriptors);
    end();
    return 0;
}
