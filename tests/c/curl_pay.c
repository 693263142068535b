/* curl_pay.c: libcurl sends and receives, libx402 decides and signs. A program that keeps its own HTTP client pays so.
 *
 * What the paying test server saw is held against what each payment says of itself. */
#include "setup.h"
#include "sha256.h"

#include <curl/curl.h>
#include <pthread.h>

#define HEADERS_MAX 64
#define BODY_BYTES_MAX 65536

/* One answer, as libcurl's callbacks hand it over. */
typedef struct answer {
    uint16_t status;
    size_t header_count;
    char *names[HEADERS_MAX];
    char *values[HEADERS_MAX];
    uint8_t body[BODY_BYTES_MAX + 1];
    size_t body_len;
} answer;

static void answer_clear(answer *answer)
{
    for (size_t i = 0; i < answer->header_count; i++)
        free(answer->names[i]);
    answer->header_count = answer->body_len = answer->status = 0;
}

/* "Name: value\r\n". A status line starts anew: what came before it was an interim answer. */
static size_t on_header(char *line, size_t size, size_t len, void *userdata)
{
    answer *answer = userdata;
    char *copy, *colon;
    len *= size;
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0)
        answer_clear(answer);
    colon = memchr(line, ':', len);
    if (!colon || answer->header_count == HEADERS_MAX || !(copy = malloc(len + 1)))
        return len;
    memcpy(copy, line, len);
    copy[len] = '\0';
    copy[strcspn(copy, "\r\n")] = '\0';
    colon = strchr(copy, ':');
    *colon++ = '\0';
    answer->names[answer->header_count] = copy;
    answer->values[answer->header_count++] = colon + strspn(colon, " \t");
    return len;
}

static size_t on_body(char *data, size_t size, size_t len, void *userdata)
{
    answer *answer = userdata;
    len *= size;
    if (len > BODY_BYTES_MAX - answer->body_len)
        return 0;
    memcpy(answer->body + answer->body_len, data, len);
    answer->body_len += len;
    answer->body[answer->body_len] = '\0';
    return len;
}

static const char *const *names(const answer *answer)
{
    return (const char *const *)answer->names;
}

static const char *const *values(const answer *answer)
{
    return (const char *const *)answer->values;
}

/* One exchange: a POST if there is a body, with the payment's header if there is a payment. Redirects stay off, because
 * libcurl would carry that header along to another host. */
static CURLcode fetch(CURL *curl, const char *url, const char *body, const x402_payment *payment, answer *answer)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: text/plain");
    char line[8192];
    long status = 0;
    CURLcode outcome;
    answer_clear(answer);
    if (payment) {
        snprintf(line, sizeof line, "%s: %s", x402_payment_header_name(payment), x402_payment_header_value(payment));
        CHECK(strlen(line) < sizeof line - 1, "the header is whole");
        headers = curl_slist_append(headers, line);
    }
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    /* On a connection it used before, libcurl repeats a request that was lost: the same bytes, so that is safe, but here
     * the loss is to be seen. */
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, payment ? 1L : 0L);
    outcome = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    answer->status = (uint16_t)status;
    curl_slist_free_all(headers);
    return outcome;
}

static x402_status pay_for(x402_client *client, const char *method, const char *url, const answer *asked,
                           x402_payment **payment, x402_error **error)
{
    return x402_client_pay(client, method, url, asked->status, names(asked), values(asked), asked->header_count,
                           asked->body, asked->body_len, payment, error);
}

/* cut: get */
/* GETs `url`, and pays if it asks. `fetch` is your HTTP client; given a payment, it adds the header
 * x402_payment_header_name(payment): x402_payment_header_value(payment). */
static x402_status get(x402_client *client, CURL *curl, const char *url, answer *answer, x402_error **error)
{
    x402_payment *payment;
    x402_status status;

    fetch(curl, url, NULL, NULL, answer);
    if (answer->status != 402)
        return X402_OK;
    status = x402_client_pay(client, "GET", url, answer->status, names(answer), values(answer), answer->header_count,
                             answer->body, answer->body_len, &payment, error);
    if (status != X402_OK)
        return status; /* nothing was signed, and the error says why */
    fetch(curl, url, NULL, payment, answer);
    status = x402_payment_settle(payment, answer->status, names(answer), values(answer), answer->header_count, error);
    if (x402_payment_money(payment) == X402_MONEY_PAID)
        printf("paid %s in %s\n", x402_payment_amount(payment), x402_payment_transaction(payment));
    x402_payment_free(payment);
    return status;
}
/* end of cut */

/* ---- a client that writes down what it logs ---- */

static char logged[1 << 16];
static x402_payment *settled_by_the_log; /* tried, when it is set, from inside the log callback */
static x402_status status_in_the_log;

static void note_log(void *userdata, int32_t level, const char *line, size_t len)
{
    size_t used = strlen(logged);
    (void)userdata, (void)level;
    if (used + len + 2 < sizeof logged)
        snprintf(logged + used, sizeof logged - used, "%s\n", line);
    if (settled_by_the_log) {
        status_in_the_log = x402_payment_settle(settled_by_the_log, 200, NULL, NULL, 0, NULL);
        x402_payment_free(settled_by_the_log);
    }
}

static x402_client *client_with_budget(const char *budget)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_policy *policy;
    x402_config *config;
    x402_client *client;
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_evm_key(wallet, TEST_KEY, &error));
    NEED(x402_policy_new(&policy, &error));
    NEED(x402_policy_budget(policy, "all", 0, budget, &error));
    NEED(x402_config_new(&config, &error));
    NEED(x402_config_wallet(config, wallet, &error));
    NEED(x402_config_policy(config, policy, &error));
    NEED(x402_config_log(config, note_log, NULL, &error));
    NEED(x402_client_new(config, &client, &error));
    x402_wallet_free(wallet);
    x402_policy_free(policy);
    x402_config_free(config);
    return client;
}

static void server_counts(const server *server, const char *what, int expected)
{
    char wanted[64], *state = server_ask(server, "GET", "/_server/state");
    snprintf(wanted, sizeof wanted, "\"%s\":%d,", what, expected);
    CHECK(strstr(state, wanted), "not %s in %s", wanted, state);
    free(state);
}

/* ---- */

/* The header value opens a purse: nothing but its getter gives it. */
static void the_value_is_nowhere_else(const x402_payment *payment)
{
    const char *value = x402_payment_header_value(payment);
    CHECK(strlen(value) > 100, "a value");
    CHECK(!strstr(x402_payment_json(payment), value), "it is in the JSON");
    CHECK(!strstr(x402_payment_json(payment), "signature"), "%s", x402_payment_json(payment));
    CHECK(!strstr(logged, value), "it is in the log");
}

static void settled_once(x402_payment *payment, const answer *answer)
{
    x402_error *error = NULL;
    NEED(x402_payment_settle(payment, answer->status, names(answer), values(answer), answer->header_count, &error));
    CHECK(x402_payment_settle(payment, 402, NULL, NULL, 0, &error) == X402_ERROR_ARGUMENT, "a second time");
    CHECK(x402_error_money(error) == x402_payment_money(payment), "%d", (int)x402_error_money(error));
    x402_error_free(error);
}

static void pays(const server *server, x402_client *client, CURL *curl, const char *path, const char *body,
                 const char *header, const char *expected)
{
    x402_error *error = NULL;
    x402_payment *payment;
    answer answer = {0};
    const char *url = server_path(server, path), *before, *json, *value;
    free(server_ask(server, "POST", "/_server/reset"));
    CHECK(fetch(curl, url, body, NULL, &answer) == CURLE_OK && answer.status == 402, "%s: %u", path, answer.status);
    NEED(pay_for(client, body ? "POST" : "GET", url, &answer, &payment, &error));
    CHECK(x402_payment_money(payment) == X402_MONEY_UNKNOWN, "%d", (int)x402_payment_money(payment));
    SAME_TEXT(x402_payment_header_name(payment), header);
    SAME_TEXT(x402_payment_amount(payment), "10000");
    before = x402_payment_transaction(payment);
    json = x402_payment_json(payment);
    value = x402_payment_header_value(payment);
    CHECK(fetch(curl, url, body, payment, &answer) == CURLE_OK && answer.status == 200, "%s: %u", path, answer.status);
    CHECK(strstr((char *)answer.body, expected), "%s", (char *)answer.body);
    settled_once(payment, &answer);
    CHECK(x402_payment_money(payment) == X402_MONEY_PAID, "%s: %s", path, x402_payment_json(payment));
    CHECK(strncmp(x402_payment_transaction(payment), "0x", 2) == 0, "%s", x402_payment_transaction(payment));
    SAME_TEXT(x402_payment_refusal(payment), "");
    SAME_TEXT(before, "");
    CHECK(strstr(json, "unknown") && strstr(x402_payment_json(payment), "\"paid\""), "both records are there");
    CHECK(value == x402_payment_header_value(payment), "the value stays until the payment is freed");
    the_value_is_nowhere_else(payment);
    server_counts(server, "payments_presented", 1);
    server_counts(server, "payments_settled", 1);
    x402_payment_free(payment);
    CHECK(x402_payment_header_value(payment) == NULL && x402_payment_amount(payment) == NULL, "freed");
    x402_payment_free(payment);
    answer_clear(&answer);
}

static void pays_a_post(const server *server, x402_client *client, CURL *curl)
{
    const char *body = "the same bytes twice";
    sha256 hash;
    char hex[65];
    sha256_start(&hash);
    sha256_add(&hash, (const uint8_t *)body, strlen(body));
    sha256_finish(&hash, hex);
    pays(server, client, curl, "/upload", body, "PAYMENT-SIGNATURE", hex);
}

/* Nothing is signed, and the error says why. */
static void refuses(const server *server, x402_client *client, CURL *curl, const char *path, x402_status expected,
                    x402_money money, const char *why)
{
    x402_error *error = NULL;
    x402_payment *payment = NULL;
    answer answer = {0};
    const char *url = server_path(server, path);
    free(server_ask(server, "POST", "/_server/reset"));
    CHECK(fetch(curl, url, NULL, NULL, &answer) == CURLE_OK, "%s", path);
    CHECK(pay_for(client, "GET", url, &answer, &payment, &error) == expected, "%s: %s", path, x402_error_message(error));
    CHECK(payment == NULL, "no payment");
    CHECK(x402_error_money(error) == money, "%s: %d", path, (int)x402_error_money(error));
    CHECK(strstr(x402_error_message(error), why), "%s: %s", path, x402_error_message(error));
    if (money == X402_MONEY_REFUSED)
        CHECK(strstr(x402_payment_refusal(x402_error_payment(error)), why), "%s", path);
    server_counts(server, "payments_presented", 0);
    x402_error_free(error);
    answer_clear(&answer);
}

/* Paid, as far as we did it; what the server says of it is not enough to call it so. */
static void stays_unknown(const server *server, x402_client *client, CURL *curl, const char *path, uint16_t status,
                          const char *refusal)
{
    x402_error *error = NULL;
    x402_payment *payment, *second;
    answer answer = {0};
    const char *url = server_path(server, path);
    CHECK(fetch(curl, url, NULL, NULL, &answer) == CURLE_OK, "%s", path);
    NEED(pay_for(client, "GET", url, &answer, &payment, &error));
    CHECK(fetch(curl, url, NULL, payment, &answer) == CURLE_OK && answer.status == status, "%s: %u", path, answer.status);
    settled_once(payment, &answer);
    CHECK(x402_payment_money(payment) == X402_MONEY_UNKNOWN, "%s: %s", path, x402_payment_json(payment));
    SAME_TEXT(x402_payment_refusal(payment), refusal);
    SAME_TEXT(x402_payment_transaction(payment), "");
    if (status == 402) {
        EXPECT(X402_ERROR_REFUSED, pay_for(client, "GET", url, &answer, &second, &error));
        CHECK(second == NULL, "the answer to a payment is not paid again");
    }
    x402_payment_free(payment);
    answer_clear(&answer);
}

/* The answer was lost after the server had settled: the same bytes once more, and they settle once. */
static void presents_again_what_was_lost(const server *server, x402_client *client, CURL *curl)
{
    x402_error *error = NULL;
    x402_payment *payment;
    answer answer = {0};
    const char *url = server_path(server, "/paid-then-close");
    free(server_ask(server, "POST", "/_server/reset"));
    CHECK(fetch(curl, url, NULL, NULL, &answer) == CURLE_OK && answer.status == 402, "%u", answer.status);
    NEED(pay_for(client, "GET", url, &answer, &payment, &error));
    CHECK(fetch(curl, url, NULL, payment, &answer) != CURLE_OK, "no answer came");
    EXPECT(X402_ERROR_ARGUMENT, x402_payment_settle(payment, answer.status, NULL, NULL, 0, &error));
    CHECK(fetch(curl, url, NULL, payment, &answer) == CURLE_OK && answer.status == 200, "%u", answer.status);
    settled_once(payment, &answer);
    CHECK(x402_payment_money(payment) == X402_MONEY_PAID, "%s", x402_payment_json(payment));
    server_counts(server, "payments_distinct", 1);
    server_counts(server, "payments_settled", 1);
    x402_payment_free(payment);
    answer_clear(&answer);
}

/* A used payment is turned down by the server, and stays what it was: settled before. */
static void a_replay_settles_nothing(const server *server, x402_client *client, CURL *curl)
{
    x402_error *error = NULL;
    x402_payment *payment;
    answer first = {0}, again = {0};
    const char *url = server_path(server, "/weather");
    free(server_ask(server, "POST", "/_server/reset"));
    fetch(curl, url, NULL, NULL, &first);
    NEED(pay_for(client, "GET", url, &first, &payment, &error));
    CHECK(fetch(curl, url, NULL, payment, &first) == CURLE_OK && first.status == 200, "%u", first.status);
    CHECK(fetch(curl, url, NULL, payment, &again) == CURLE_OK && again.status == 402, "%u", again.status);
    settled_once(payment, &again);
    CHECK(x402_payment_money(payment) == X402_MONEY_UNKNOWN, "the kept answer decides");
    CHECK(strstr(x402_payment_refusal(payment), "already_used"), "%s", x402_payment_refusal(payment));
    server_counts(server, "payments_settled", 1);
    x402_payment_free(payment);
    answer_clear(&first);
    answer_clear(&again);
}

/* Freed without a word, a payment counts: its header may have been sent. */
static void unsettled_counts(const server *server, CURL *curl)
{
    x402_error *error = NULL;
    x402_payment *payment;
    x402_client *client = client_with_budget("0.02 USD");
    answer answer = {0};
    const char *url = server_path(server, "/weather");
    fetch(curl, url, NULL, NULL, &answer);
    for (int i = 0; i < 2; i++) {
        NEED(pay_for(client, "GET", url, &answer, &payment, &error));
        x402_payment_free(payment);
    }
    CHECK(pay_for(client, "GET", url, &answer, &payment, &error) == X402_ERROR_REFUSED, "the budget is used up");
    CHECK(strstr(x402_error_message(error), "budget"), "%s", x402_error_message(error));
    x402_error_free(error);
    x402_client_free(client);
    answer_clear(&answer);
}

static void the_whole_way(const server *server, x402_client *client, CURL *curl)
{
    x402_error *error = NULL;
    answer answer = {0};
    free(server_ask(server, "POST", "/_server/reset"));
    NEED(get(client, curl, server_path(server, "/free"), &answer, &error));
    SAME_TEXT((char *)answer.body, "free");
    NEED(get(client, curl, server_path(server, "/weather"), &answer, &error));
    SAME_TEXT((char *)answer.body, "sunny");
    EXPECT(X402_ERROR_REFUSED, get(client, curl, server_path(server, "/expensive"), &answer, &error));
    CHECK(answer.status == 402, "the 402 is still there: %u", answer.status);
    server_counts(server, "payments_presented", 1);
    server_counts(server, "payments_settled", 1);
    answer_clear(&answer);
}

static void a_payment_outlives_its_client(const server *server, CURL *curl)
{
    x402_error *error = NULL;
    x402_payment *payment;
    x402_client *client = client_with_budget("1.00 USD");
    answer answer = {0};
    const char *url = server_path(server, "/weather");
    uint64_t live = x402_live_handles();
    fetch(curl, url, NULL, NULL, &answer);
    NEED(pay_for(client, "GET", url, &answer, &payment, &error));
    CHECK(x402_live_handles() == live + 1, "the caller's own payments count");
    x402_client_free(client);
    CHECK(fetch(curl, url, NULL, payment, &answer) == CURLE_OK && answer.status == 200, "%u", answer.status);
    settled_once(payment, &answer);
    CHECK(x402_payment_money(payment) == X402_MONEY_PAID, "%s", x402_payment_json(payment));
    x402_payment_free(payment);
    answer_clear(&answer);
}

#define THREADS 8

static void *settle_on_a_thread(void *payment)
{
    return (void *)(intptr_t)x402_payment_settle(payment, 200, NULL, NULL, 0, NULL);
}

static void one_thread_settles(const server *server, x402_client *client, CURL *curl)
{
    x402_error *error = NULL;
    x402_payment *payment;
    answer answer = {0};
    pthread_t threads[THREADS];
    const char *url = server_path(server, "/weather");
    int settled = 0;
    fetch(curl, url, NULL, NULL, &answer);
    NEED(pay_for(client, "GET", url, &answer, &payment, &error));
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, settle_on_a_thread, payment);
    for (int i = 0; i < THREADS; i++) {
        void *status;
        pthread_join(threads[i], &status);
        settled += (intptr_t)status == X402_OK;
        CHECK((intptr_t)status == X402_OK || (intptr_t)status == X402_ERROR_ARGUMENT || (intptr_t)status == X402_ERROR_BUSY,
              "%d", (int)(intptr_t)status);
    }
    CHECK(settled == 1, "%d threads settled it", settled);
    x402_payment_free(payment);
    answer_clear(&answer);
}

static void settled_and_freed_from_its_own_log(const server *server, x402_client *client, CURL *curl)
{
    x402_error *error = NULL;
    x402_payment *payment;
    answer answer = {0};
    const char *url = server_path(server, "/weather");
    fetch(curl, url, NULL, NULL, &answer);
    NEED(pay_for(client, "GET", url, &answer, &payment, &error));
    settled_by_the_log = payment;
    EXPECT(X402_OK, x402_payment_settle(payment, 200, NULL, NULL, 0, &error));
    settled_by_the_log = NULL;
    CHECK(status_in_the_log == X402_ERROR_BUSY, "%s", x402_status_name(status_in_the_log));
    EXPECT(X402_ERROR_HANDLE, x402_payment_settle(payment, 200, NULL, NULL, 0, &error));
    answer_clear(&answer);
}

int main(int argc, char **argv)
{
    server server = server_start(argc > 1 ? argv[1] : "tests/c/scenarios/curl.json", 0);
    x402_client *client = client_with_budget("1.00 USD");
    CURL *curl;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    curl = curl_easy_init();
    pays(&server, client, curl, "/weather", NULL, "PAYMENT-SIGNATURE", "sunny");
    pays(&server, client, curl, "/v1/weather", NULL, "X-PAYMENT", "sunny");
    pays_a_post(&server, client, curl);
    the_whole_way(&server, client, curl);
    refuses(&server, client, curl, "/expensive", X402_ERROR_REFUSED, X402_MONEY_REFUSED, "max_per_payment");
    refuses(&server, client, curl, "/malformed", X402_ERROR_CHALLENGE, X402_MONEY_REFUSED, "PAYMENT-REQUIRED");
    refuses(&server, client, curl, "/no-terms", X402_ERROR_CHALLENGE, X402_MONEY_NONE, "without terms");
    refuses(&server, client, curl, "/free", X402_ERROR_ARGUMENT, X402_MONEY_NONE, "402");
    stays_unknown(&server, client, curl, "/no-receipt", 200, "");
    stays_unknown(&server, client, curl, "/broken", 500, "");
    stays_unknown(&server, client, curl, "/settle-fails", 402, "insufficient_funds");
    presents_again_what_was_lost(&server, client, curl);
    a_replay_settles_nothing(&server, client, curl);
    unsettled_counts(&server, curl);
    a_payment_outlives_its_client(&server, curl);
    one_thread_settles(&server, client, curl);
    settled_and_freed_from_its_own_log(&server, client, curl);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    x402_client_free(client);
    server_stop(&server);
    return finish("curl_pay");
}
