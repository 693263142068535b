/* calls.c: what each function does when it is used as meant, against the paying test server. */
#include "setup.h"
#include "sha256.h"

#include <time.h>
#include <unistd.h>

static void versions(void)
{
    SAME_TEXT(x402_version(), X402_VERSION);
    CHECK(x402_abi_version() == X402_ABI_VERSION, "%u", x402_abi_version());
}

static void wallet_keeps_its_texts(void)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    const char *first, *again, *second;
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_evm_key(wallet, TEST_KEY, &error));
    NEED(x402_wallet_address(wallet, "eip155", 0, &first, &error));
    for (int i = 0; i < 50; i++) {
        char key[65];
        snprintf(key, sizeof key, "%064x", i + 1);
        NEED(x402_wallet_add_evm_key(wallet, key, &error));
        NEED(x402_wallet_address(wallet, "eip155", (size_t)i + 1, &second, &error));
    }
    SAME_TEXT(first, TEST_ADDRESS);
    NEED(x402_wallet_address(wallet, "eip155", 0, &again, &error));
    CHECK(first == again, "the same text each time");
    x402_wallet_free(wallet);
}

static void a_key_is_never_repeated(void)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    NEED(x402_wallet_new(&wallet, &error));
    CHECK(x402_wallet_add_evm_key(wallet, TEST_KEY "77", &error) == X402_ERROR_KEY, "too long");
    CHECK(!strstr(x402_error_message(error), "ac0974be"), "%s", x402_error_message(error));
    CHECK(x402_error_money(error) == X402_MONEY_NONE, "%d", (int)x402_error_money(error));
    CHECK(x402_error_payment(error) == NULL, "no payment was begun");
    SAME_TEXT(x402_error_retry(error), "never");
    x402_error_free(error);
    x402_wallet_free(wallet);
}

static void free_answer_passes_through(const server *server, x402_client *client)
{
    x402_error *error = NULL;
    x402_response *response;
    const char *name, *value;
    size_t len, count;
    int seen = 0;
    NEED(x402_client_get(client, server_path(server, "/free"), &response, &error));
    CHECK(x402_response_status(response) == 200, "%u", x402_response_status(response));
    CHECK(x402_response_money(response) == X402_MONEY_NONE, "%d", (int)x402_response_money(response));
    CHECK(x402_response_payment(response) == NULL, "nothing was asked");
    SAME_TEXT(x402_response_url(response), server_path(server, "/free"));
    value = x402_response_header(response, "CONTENT-length", &len);
    SAME_TEXT(value, "4");
    CHECK(len == 1, "%zu", len);
    count = x402_response_header_count(response);
    for (size_t i = 0; i < count; i++) {
        NEED(x402_response_header_at(response, i, &name, &value, &len, &error));
        CHECK(strlen(value) == len, "%s: %s", name, value);
        seen += strlen(name) == 14 && len == 1 && *value == '4';
    }
    CHECK(seen == 1, "Content-Length among %zu headers", count);
    SAME_TEXT(body_text(response), "free");
    SAME_TEXT(body_text(response), "free");
    x402_response_free(response);
}

static void paid_get(const server *server, x402_client *client, const char *path)
{
    x402_error *error = NULL;
    x402_response *response;
    const x402_payment *payment;
    NEED(x402_client_get(client, server_path(server, path), &response, &error));
    CHECK(x402_response_status(response) == 200, "%s: %u", path, x402_response_status(response));
    CHECK(x402_response_money(response) == X402_MONEY_PAID, "%s: %d", path, (int)x402_response_money(response));
    payment = x402_response_payment(response);
    CHECK(payment == x402_response_payment(response), "the same borrowed handle each time");
    SAME_TEXT(x402_payment_amount(payment), "10000");
    SAME_TEXT(x402_payment_network(payment), "eip155:84532");
    CHECK(strlen(x402_payment_asset(payment)) == 42, "%s", x402_payment_asset(payment));
    CHECK(strlen(x402_payment_payee(payment)) == 42, "%s", x402_payment_payee(payment));
    CHECK(strncmp(x402_payment_transaction(payment), "0x", 2) == 0, "%s", x402_payment_transaction(payment));
    SAME_TEXT(x402_payment_refusal(payment), "");
    CHECK(strstr(x402_payment_json(payment), "10000"), "%s", x402_payment_json(payment));
    CHECK(strstr(body_text(response), "sunny"), "%s", body_text(response));
    x402_response_free(response);
    CHECK(x402_payment_amount(payment) == NULL, "the payment ended with its response");
}

static void refused_payment_gives_the_402(const server *server, x402_client *client)
{
    x402_error *error = NULL;
    x402_response *response;
    const x402_payment *payment;
    NEED(x402_client_get(client, server_path(server, "/expensive"), &response, &error));
    CHECK(x402_response_status(response) == 402, "%u", x402_response_status(response));
    CHECK(x402_response_money(response) == X402_MONEY_REFUSED, "%d", (int)x402_response_money(response));
    CHECK(x402_response_header(response, "PAYMENT-REQUIRED", NULL) != NULL, "the original headers");
    payment = x402_response_payment(response);
    CHECK(payment && x402_payment_refusal(payment)[0], "a reason");
    SAME_TEXT(x402_payment_transaction(payment), "");
    SAME_TEXT(body_text(response), "{}");
    x402_response_free(response);
}

/* ---- bodies ---- */

static void expected_hash(uint64_t length, char hex[65])
{
    sha256 hash;
    uint8_t block[4096];
    pattern body = {.length = length};
    size_t len;
    sha256_start(&hash);
    while (pattern_read(&body, block, sizeof block, &len), len > 0)
        sha256_add(&hash, block, len);
    sha256_finish(&hash, hex);
}

static void check_hash(x402_client *client, x402_request *request, uint64_t length)
{
    x402_error *error = NULL;
    x402_response *response;
    char hex[65];
    NEED(x402_client_send(client, request, &response, &error));
    expected_hash(length, hex);
    CHECK(x402_response_status(response) == 200, "%u", x402_response_status(response));
    CHECK(x402_response_money(response) == X402_MONEY_PAID, "%d", (int)x402_response_money(response));
    CHECK(strstr(body_text(response), hex), "%s, not %s", body_text(response), hex);
    x402_response_free(response);
}

static void body_from_memory(const server *server, x402_client *client)
{
    x402_error *error = NULL;
    x402_response *response;
    x402_request *request;
    uint8_t block[3000];
    size_t len;
    char hex[65];
    pattern body = {.length = sizeof block};
    pattern_read(&body, block, sizeof block, &len);
    expected_hash(sizeof block, hex);
    NEED(x402_client_post(client, server_path(server, "/upload"), "application/json", block, len, &response, &error));
    CHECK(strstr(body_text(response), hex) && strstr(body_text(response), "application/json"), "%s", body_text(response));
    x402_response_free(response);
    NEED(x402_client_post(client, server_path(server, "/free-echo"), NULL, NULL, 0, &response, &error));
    SAME_TEXT(body_text(response), "");
    x402_response_free(response);
    NEED(x402_request_new("PUT", server_path(server, "/upload"), &request, &error));
    NEED(x402_request_body_bytes(request, block, len, &error));
    memset(block, 0, sizeof block);
    check_hash(client, request, len);
    check_hash(client, request, len);
    x402_request_free(request);
}

static void body_from_a_file(const server *server, x402_client *client)
{
    x402_error *error = NULL;
    x402_request *request;
    x402_response *response;
    char path[] = "/tmp/x402-body-XXXXXX";
    uint8_t block[100000];
    size_t len;
    pattern body = {.length = sizeof block};
    int fd = mkstemp(path);
    pattern_read(&body, block, sizeof block, &len);
    CHECK(write(fd, block, len) == (ssize_t)len, "a file to send");
    close(fd);
    NEED(x402_request_new("POST", server_path(server, "/upload"), &request, &error));
    NEED(x402_request_body_file(request, path, &error));
    check_hash(client, request, len);
    unlink(path);
    response = NULL;
    EXPECT(X402_ERROR_BODY_FILE, x402_client_send(client, request, &response, &error));
    CHECK(response == NULL, "no response");
    x402_request_free(request);
}

static void body_from_a_callback(const server *server, x402_client *client, uint64_t announced, int with_rewind)
{
    x402_error *error = NULL;
    x402_request *request;
    pattern body = {.length = 200000, .most = 7000};
    NEED(x402_request_new("POST", server_path(server, "/upload-late"), &request, &error));
    NEED(x402_request_body_reader(request, pattern_read, with_rewind ? pattern_rewind : NULL, &body, announced, &error));
    check_hash(client, request, body.length);
    CHECK(!with_rewind == !body.rewinds, "%d rewinds", body.rewinds);
    x402_request_free(request);
}

static void body_callback_failures(const server *server, x402_client *client)
{
    x402_error *error = NULL;
    x402_request *request;
    x402_response *response = NULL;
    pattern stops = {.length = 100000, .most = 1000, .stop_value = 42, .stop_at = 5000};
    pattern is_short = {.length = 10}, is_long = {.length = 100000};
    NEED(x402_request_new("POST", server_path(server, "/free-upload"), &request, &error));
    NEED(x402_request_body_reader(request, pattern_read, NULL, &stops, stops.length, &error));
    CHECK(x402_client_send(client, request, &response, &error) == X402_ERROR_BODY_CALLBACK, "%s", x402_error_message(error));
    CHECK(x402_error_callback_value(error) == 42, "%d", (int)x402_error_callback_value(error));
    CHECK(x402_error_money(error) == X402_MONEY_NONE, "%d", (int)x402_error_money(error));
    CHECK(response == NULL, "no response");
    x402_error_free(error);
    error = NULL;
    NEED(x402_request_body_reader(request, pattern_read, NULL, &is_short, 11, &error));
    EXPECT(X402_ERROR_BODY_LENGTH, x402_client_send(client, request, &response, &error));
    NEED(x402_request_body_reader(request, pattern_read, NULL, &is_long, 10, &error));
    EXPECT(X402_ERROR_BODY_LENGTH, x402_client_send(client, request, &response, &error));
    x402_request_free(request);
}

static int32_t boastful_read(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    (void)userdata, (void)buffer;
    *len = cap + 1;
    return 0;
}

static void a_callback_that_claims_too_much(const server *server, x402_client *client)
{
    x402_error *error = NULL;
    x402_request *request;
    x402_response *response;
    NEED(x402_request_new("POST", server_path(server, "/free-upload"), &request, &error));
    NEED(x402_request_body_reader(request, boastful_read, NULL, NULL, X402_LENGTH_UNKNOWN, &error));
    EXPECT(X402_ERROR_BODY_CALLBACK, x402_client_send(client, request, &response, &error));
    x402_request_free(request);
}

/* ---- the other callbacks ---- */

typedef struct told {
    int lines, approvals, progress_calls, secrets;
    uint64_t sent, received;
    int32_t answer;
    char offer[4096];
} told;

static void note_log(void *userdata, int32_t level, const char *line, size_t len)
{
    told *told = userdata;
    told->lines++;
    told->secrets += strstr(line, "ac0974be") != NULL;
    CHECK(strlen(line) == len && level >= 1 && level <= 4, "level %d: %s", (int)level, line);
}

static int32_t note_offer(void *userdata, const char *offer, size_t len)
{
    told *told = userdata;
    told->approvals++;
    CHECK(strlen(offer) == len, "%zu", len);
    snprintf(told->offer, sizeof told->offer, "%s", offer);
    return told->answer;
}

static int32_t note_progress(void *userdata, uint64_t sent, uint64_t send_total, uint64_t received, uint64_t receive_total)
{
    told *told = userdata;
    told->progress_calls++;
    told->sent = sent;
    told->received = received;
    CHECK(sent <= send_total && received <= receive_total, "totals");
    return told->answer;
}

static x402_client *client_that_asks(told *told)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_policy *policy;
    x402_config *config;
    x402_client *client;
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_evm_key(wallet, TEST_KEY, &error));
    NEED(x402_policy_new(&policy, &error));
    NEED(x402_policy_max_per_payment(policy, "6.00 USD", &error));
    NEED(x402_policy_budget(policy, "all", 3600, "6.00 USD", &error));
    NEED(x402_policy_allow(policy, "network", "eip155:84532", &error));
    NEED(x402_policy_prefer(policy, "scheme", "exact", &error));
    NEED(x402_policy_approve(policy, note_offer, told, &error));
    NEED(x402_config_new(&config, &error));
    NEED(x402_config_wallet(config, wallet, &error));
    NEED(x402_config_policy(config, policy, &error));
    NEED(x402_config_log(config, note_log, told, &error));
    NEED(x402_client_new(config, &client, &error));
    x402_config_free(config);
    x402_policy_free(policy);
    x402_wallet_free(wallet);
    return client;
}

static void policy_and_its_callback(const server *server)
{
    x402_error *error = NULL;
    x402_response *response;
    told told = {0};
    x402_client *client = client_that_asks(&told);
    NEED(x402_client_get(client, server_path(server, "/expensive"), &response, &error));
    CHECK(x402_response_money(response) == X402_MONEY_PAID, "5.00 of 6.00 USD: %s",
          x402_payment_refusal(x402_response_payment(response)));
    x402_response_free(response);
    CHECK(told.approvals == 1 && strstr(told.offer, "5000000"), "%d: %s", told.approvals, told.offer);
    NEED(x402_client_get(client, server_path(server, "/expensive"), &response, &error));
    CHECK(x402_response_money(response) == X402_MONEY_REFUSED, "the budget is used up");
    x402_response_free(response);
    told.answer = 1;
    NEED(x402_client_get(client, server_path(server, "/weather"), &response, &error));
    CHECK(x402_response_status(response) == 402 && x402_response_money(response) == X402_MONEY_REFUSED, "declined");
    x402_response_free(response);
    CHECK(told.lines > 0 && told.secrets == 0, "%d lines, %d secrets", told.lines, told.secrets);
    x402_client_free(client);
}

typedef struct meddler {
    x402_policy *policy;
    x402_wallet *wallet;
    x402_config *config;
    char offer[1024];
} meddler;

/* Changes all that the client was made from, and says yes. */
static int32_t meddle(void *userdata, const char *offer, size_t len)
{
    meddler *meddler = userdata;
    x402_error *error = NULL;
    snprintf(meddler->offer, sizeof meddler->offer, "%.*s", (int)len, offer);
    NEED(x402_policy_allow(meddler->policy, "payee", "0x0000000000000000000000000000000000000001", &error));
    NEED(x402_policy_max_per_payment(meddler->policy, "0.000001 USD", &error));
    NEED(x402_wallet_add_evm_key(meddler->wallet, "0000000000000000000000000000000000000000000000000000000000000001", &error));
    NEED(x402_config_wallet(meddler->config, meddler->wallet, &error));
    NEED(x402_config_policy(meddler->config, meddler->policy, &error));
    x402_config_free(meddler->config);
    x402_policy_free(meddler->policy);
    x402_wallet_free(meddler->wallet);
    return 0;
}

static void what_was_approved_is_what_is_signed(const server *server)
{
    x402_error *error = NULL;
    x402_client *client;
    x402_response *response;
    meddler meddler = {0};
    char part[128];
    NEED(x402_wallet_new(&meddler.wallet, &error));
    NEED(x402_wallet_add_evm_key(meddler.wallet, TEST_KEY, &error));
    NEED(x402_policy_new(&meddler.policy, &error));
    NEED(x402_policy_approve(meddler.policy, meddle, &meddler, &error));
    NEED(x402_config_new(&meddler.config, &error));
    NEED(x402_config_wallet(meddler.config, meddler.wallet, &error));
    NEED(x402_config_policy(meddler.config, meddler.policy, &error));
    NEED(x402_client_new(meddler.config, &client, &error));
    NEED(x402_client_get(client, server_path(server, "/weather"), &response, &error));
    const x402_payment *payment = x402_response_payment(response);
    CHECK(x402_response_money(response) == X402_MONEY_PAID, "%s", x402_payment_refusal(payment));
    const char *signed_[][2] = {{"amount", x402_payment_amount(payment)},
                                {"asset", x402_payment_asset(payment)},
                                {"network", x402_payment_network(payment)},
                                {"payee", x402_payment_payee(payment)},
                                {"payer", TEST_ADDRESS}};
    for (size_t i = 0; i < sizeof signed_ / sizeof *signed_; i++) {
        snprintf(part, sizeof part, "\"%s\":\"%s\"", signed_[i][0], signed_[i][1]);
        CHECK(strstr(meddler.offer, part), "%s in %s", part, meddler.offer);
        CHECK(strstr(x402_payment_json(payment), part), "%s in %s", part, x402_payment_json(payment));
    }
    x402_response_free(response);
    x402_client_free(client);
}

/* Your own HTTP client, a request handle: one name, one header, however often it is asked for. */
static void a_named_request_gets_the_same_header(const server *server, x402_client *client)
{
    x402_error *error = NULL;
    x402_config *config;
    x402_client *keyless;
    x402_request *request;
    x402_response *asked;
    x402_payment *payment;
    const char *names[64], *values[64];
    char first[4096] = "";
    size_t len, count = 0;
    NEED(x402_config_new(&config, &error));
    NEED(x402_client_new(config, &keyless, &error));
    NEED(x402_client_get(keyless, server_path(server, "/weather"), &asked, &error));
    for (; count < x402_response_header_count(asked) && count < 64; count++)
        NEED(x402_response_header_at(asked, count, &names[count], &values[count], &len, &error));
    NEED(x402_request_new("GET", server_path(server, "/weather"), &request, &error));
    for (int round = 0; round < 3; round++) {
        if (round == 2) /* another name, another payment */
            NEED(x402_request_set(request, "purchase_key", "order 18", &error));
        else
            NEED(x402_request_set(request, "purchase_key", "order 17", &error));
        NEED(x402_client_pay_request(client, request, 402, names, values, count, NULL, 0, &payment, &error));
        const char *value = x402_payment_header_value(payment);
        if (round == 0)
            snprintf(first, sizeof first, "%s", value);
        CHECK((strcmp(first, value) == 0) == (round < 2), "round %d", round);
        CHECK(strstr(x402_payment_json(payment), "\"at_risk\":\"10000\""), "%s", x402_payment_json(payment));
        x402_payment_free(payment);
    }
    x402_request_free(request);
    x402_response_free(asked);
    x402_client_free(keyless);
    x402_config_free(config);
}

static int32_t approve_late(void *userdata, const char *offer, size_t len)
{
    const struct timespec ten_ms = {.tv_nsec = 10 * 1000 * 1000};
    (void)userdata, (void)offer, (void)len;
    nanosleep(&ten_ms, NULL);
    return 0;
}

static void an_approval_that_comes_late_refuses(const server *server)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_policy *policy;
    x402_config *config;
    x402_client *client;
    x402_response *response;
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_evm_key(wallet, TEST_KEY, &error));
    NEED(x402_policy_new(&policy, &error));
    NEED(x402_policy_approve(policy, approve_late, NULL, &error));
    NEED(x402_config_new(&config, &error));
    NEED(x402_config_wallet(config, wallet, &error));
    NEED(x402_config_policy(config, policy, &error));
    NEED(x402_config_set(config, "sign_timeout_ms", "5", &error));
    NEED(x402_client_new(config, &client, &error));
    NEED(x402_client_get(client, server_path(server, "/weather"), &response, &error));
    const char *refusal = x402_payment_refusal(x402_response_payment(response));
    CHECK(x402_response_money(response) == X402_MONEY_REFUSED, "%d", (int)x402_response_money(response));
    CHECK(strstr(refusal, "sign_timeout_ms"), "%s", refusal);
    x402_response_free(response);
    x402_client_free(client);
    x402_config_free(config);
    x402_policy_free(policy);
    x402_wallet_free(wallet);
}

static void progress_and_request_settings(const server *server, x402_client *client)
{
    x402_error *error = NULL;
    x402_request *request;
    x402_response *response;
    told told = {0};
    pattern body = {.length = 300000};
    NEED(x402_request_new("POST", server_path(server, "/free-upload"), &request, &error));
    NEED(x402_request_header(request, "X-Mark", "one", &error));
    NEED(x402_request_header(request, "X-Mark", "two", &error));
    NEED(x402_request_set(request, "total_timeout_ms", "30000", &error));
    NEED(x402_request_progress(request, note_progress, &told, &error));
    NEED(x402_request_body_reader(request, pattern_read, pattern_rewind, &body, body.length, &error));
    NEED(x402_client_send(client, request, &response, &error));
    CHECK(strstr(body_text(response), "one") && strstr(body_text(response), "two"), "%s", body_text(response));
    CHECK(told.progress_calls > 0 && told.sent == body.length, "%llu sent", (unsigned long long)told.sent);
    CHECK(told.received > 0, "the answer's bytes are told too");
    x402_response_free(response);
    told.answer = 99;
    CHECK(x402_client_send(client, request, &response, &error) == X402_ERROR_CALLBACK, "stopped by progress");
    CHECK(x402_error_callback_value(error) == 99, "%d", (int)x402_error_callback_value(error));
    x402_error_free(error);
    x402_request_free(request);
}

static void quoting(const server *server, x402_client *client)
{
    x402_error *error = NULL;
    x402_request *request;
    char *json, *state;
    uint64_t before = x402_live_handles();
    free(server_ask(server, "POST", "/_server/reset"));
    NEED(x402_request_new("GET", server_path(server, "/weather"), &request, &error));
    NEED(x402_client_quote_json(client, request, &json, &error));
    CHECK(json[0] == '{' && strstr(json, "10000"), "%s", json);
    CHECK(x402_live_handles() == before + 2, "the text counts until it is freed");
    x402_string_free(json);
    x402_string_free(json);
    x402_request_free(request);
    state = server_ask(server, "GET", "/_server/state");
    CHECK(strstr(state, "\"payments_presented\":0"), "a quote pays nothing: %s", state);
    free(state);
}

/* ---- life and death ---- */

static void any_order_of_freeing(const server *server)
{
    x402_error *error = NULL;
    x402_request *request;
    x402_response *response;
    x402_client *client = client_with(NULL, NULL, NULL);
    NEED(x402_request_new("GET", server_path(server, "/weather"), &request, &error));
    NEED(x402_client_send(client, request, &response, &error));
    x402_client_free(client);
    x402_request_free(request);
    CHECK(strstr(body_text(response), "sunny"), "a response outlives client and request");
    x402_response_free(response);
    EXPECT(X402_ERROR_HANDLE, x402_client_get(client, "http://127.0.0.1:9/", &response, &error));
    CHECK(response == NULL, "cleared");
}

static void network_errors(x402_client *client)
{
    x402_error *error = NULL;
    x402_response *response;
    CHECK(x402_client_get(client, "http://127.0.0.1:9/", &response, &error) == X402_ERROR_CONNECT, "nobody listens");
    CHECK(x402_error_money(error) == X402_MONEY_NONE, "%d", (int)x402_error_money(error));
    SAME_TEXT(x402_error_retry(error), "safe");
    CHECK(strstr(x402_error_message(error), "127.0.0.1"), "%s", x402_error_message(error));
    x402_error_free(error);
    error = NULL;
    CHECK(x402_client_get(client, "http://no-such-host.invalid/", &response, &error) == X402_ERROR_RESOLVE, "%s",
          x402_error_message(error));
    CHECK(strstr(x402_error_message(error), "no-such-host.invalid"), "%s", x402_error_message(error));
    x402_error_free(error);
}

int main(void)
{
    server server = server_start(NULL, 0);
    x402_client *client = client_with(NULL, NULL, NULL);
    versions();
    wallet_keeps_its_texts();
    a_key_is_never_repeated();
    free_answer_passes_through(&server, client);
    paid_get(&server, client, "/weather");
    paid_get(&server, client, "/v1/weather");
    refused_payment_gives_the_402(&server, client);
    body_from_memory(&server, client);
    body_from_a_file(&server, client);
    body_from_a_callback(&server, client, 200000, 0);
    body_from_a_callback(&server, client, 200000, 1);
    body_from_a_callback(&server, client, X402_LENGTH_UNKNOWN, 0);
    body_callback_failures(&server, client);
    a_callback_that_claims_too_much(&server, client);
    policy_and_its_callback(&server);
    what_was_approved_is_what_is_signed(&server);
    an_approval_that_comes_late_refuses(&server);
    progress_and_request_settings(&server, client);
    a_named_request_gets_the_same_header(&server, client);
    quoting(&server, client);
    network_errors(client);
    x402_client_free(client);
    any_order_of_freeing(&server);
    server_stop(&server);
    return finish("calls");
}
