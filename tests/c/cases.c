/* cases.c: the driver that runs tests/cases/NAME.json through the C interface; the protocol is in tests/cases/README.md.
 *
 * Reads one case from its input, writes what every request came to on its output. It judges nothing. */
#include "check.h"
#include "json.h"
#include "sha256.h"

#define TEXT_BYTES_MAX (64 * 1024)

/* ---- content: bytes a case speaks of ---- */

typedef struct content {
    uint8_t *data;        /* NULL: a pattern */
    uint64_t length;
} content;

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *digit = c ? strchr(digits, c) : NULL;
    return digit ? (int)(digit - digits) : -1;
}

static content from_base64(const char *text)
{
    content out = {malloc(strlen(text) + 1), 0};
    uint32_t bits = 0;
    int count = 0;
    for (; base64_digit(*text) >= 0; text++) {
        bits = bits << 6 | (uint32_t)base64_digit(*text);
        if ((count += 6) >= 8)
            out.data[out.length++] = (uint8_t)(bits >> (count -= 8));
    }
    return out;
}

static content content_of(const json *value)
{
    content out = {NULL, 0};
    const json *text = json_get(value, "text");
    if (text) {
        out.data = malloc(text->len + 1);
        memcpy(out.data, text->text, text->len);
        out.length = text->len;
    } else if (json_get(value, "base64")) {
        out = from_base64(json_get_text(value, "base64"));
    } else {
        out.length = (uint64_t)json_get_number(value, "pattern", 0);
    }
    return out;
}

static uint8_t content_at(const content *content, uint64_t index)
{
    return content->data ? content->data[index] : (uint8_t)(index % 251);
}

/* ---- the callbacks of one request ---- */

typedef struct job {
    content body;
    uint64_t at, pulled, chunk, fail_at, stop_at;
    int rewinds, rewind_fails, fails;
    int32_t fail_with, stop_with;
} job;

static int32_t give(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    job *job = userdata;
    uint64_t want = job->chunk && job->chunk < cap ? job->chunk : cap;
    if (job->fails && job->at >= job->fail_at)
        return job->fail_with;
    if (job->fails && job->at + want > job->fail_at)
        want = job->fail_at - job->at;
    if (want > job->body.length - job->at)
        want = job->body.length - job->at;
    for (uint64_t i = 0; i < want; i++)
        buffer[i] = content_at(&job->body, job->at + i);
    job->at += want;
    job->pulled += want;
    *len = (size_t)want;
    return 0;
}

static int32_t give_again(void *userdata)
{
    job *job = userdata;
    job->rewinds++;
    job->at = 0;
    return job->rewind_fails ? job->fail_with : 0;
}

static int32_t watch(void *userdata, uint64_t sent, uint64_t send_total, uint64_t received, uint64_t receive_total)
{
    job *job = userdata;
    (void)send_total, (void)received, (void)receive_total;
    return sent >= job->stop_at ? job->stop_with : 0;
}

static int32_t approve(void *userdata, const char *offer, size_t len)
{
    (void)offer, (void)len;
    return *(const int32_t *)userdata;
}

/* ---- the client ---- */

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        x402_status status_ = (call);                                                                                  \
        if (status_ != X402_OK)                                                                                        \
            return status_;                                                                                            \
    } while (0)

static x402_status set_policy(x402_policy *policy, const json *rules, int32_t *answer, x402_error **error)
{
    const json *list, *entry;
    if ((list = json_get(rules, "max_per_payment")))
        for (entry = list->first; entry; entry = entry->next)
            TRY(x402_policy_max_per_payment(policy, entry->text, error));
    if ((list = json_get(rules, "budget")))
        for (entry = list->first; entry; entry = entry->next)
            TRY(x402_policy_budget(policy, entry->first->text, (uint64_t)entry->first->next->number,
                                   entry->first->next->next->text, error));
    if ((list = json_get(rules, "allow")))
        for (entry = list->first; entry; entry = entry->next)
            TRY(x402_policy_allow(policy, entry->first->text, entry->first->next->text, error));
    if ((list = json_get(rules, "prefer")))
        for (entry = list->first; entry; entry = entry->next)
            TRY(x402_policy_prefer(policy, entry->first->text, entry->first->next->text, error));
    if (json_get(rules, "approve")) {
        *answer = (int32_t)json_get_number(rules, "approve", 0);
        TRY(x402_policy_approve(policy, approve, answer, error));
    }
    return X402_OK;
}

static x402_status set_config(x402_config *config, x402_wallet *wallet, x402_policy *policy, const json *client,
                              int32_t *answer, x402_error **error)
{
    const json *list = json_get(client, "keys"), *entry;
    if (list)
        for (entry = list->first; entry; entry = entry->next)
            TRY(x402_wallet_add_evm_key(wallet, entry->text, error));
    list = json_get(client, "solana_keys");
    if (list)
        for (entry = list->first; entry; entry = entry->next)
            TRY(x402_wallet_add_solana_key(wallet, entry->text, error));
    TRY(x402_config_wallet(config, wallet, error));
    if (json_get(client, "policy")) {
        TRY(set_policy(policy, json_get(client, "policy"), answer, error));
        TRY(x402_config_policy(config, policy, error));
    }
    if ((list = json_get(client, "settings")))
        for (entry = list->first; entry; entry = entry->next)
            TRY(x402_config_set(config, entry->name, entry->text, error));
    return X402_OK;
}

static x402_client *make_client(const json *client, int32_t *answer, x402_error **error)
{
    x402_wallet *wallet = NULL;
    x402_policy *policy = NULL;
    x402_config *config = NULL;
    x402_client *made = NULL;
    if (x402_wallet_new(&wallet, error) == X402_OK && x402_policy_new(&policy, error) == X402_OK &&
        x402_config_new(&config, error) == X402_OK &&
        set_config(config, wallet, policy, client, answer, error) == X402_OK)
        x402_client_new(config, &made, error);
    x402_wallet_free(wallet);
    x402_policy_free(policy);
    x402_config_free(config);
    return made;
}

/* ---- a request ---- */

static x402_status set_body(x402_request *request, const json *body, job *job, x402_error **error)
{
    const json *reader = json_get(body, "reader");
    uint64_t length;
    if (json_get(body, "file"))
        return x402_request_body_file(request, json_get_text(body, "file"), error);
    if (json_get(body, "bytes")) {
        uint8_t *data;
        x402_status status;
        job->body = content_of(json_get(body, "bytes"));
        data = malloc(job->body.length + 1);
        for (uint64_t i = 0; i < job->body.length; i++)
            data[i] = content_at(&job->body, i);
        status = x402_request_body_bytes(request, data, (size_t)job->body.length, error);
        free(data);
        return status;
    }
    job->body = content_of(json_get(reader, "content"));
    job->chunk = (uint64_t)json_get_number(reader, "chunk", 0);
    job->rewind_fails = json_is_true(json_get(reader, "rewind_fails"));
    job->fail_with = (int32_t)json_get_number(reader, "fail_with", 1);
    job->fails = json_get(reader, "fail_at") && json_get(reader, "fail_at")->kind == JSON_NUMBER;
    job->fail_at = (uint64_t)json_get_number(reader, "fail_at", 0);
    length = json_get(reader, "declare") ? X402_LENGTH_UNKNOWN : job->body.length;
    if (json_get(reader, "declare") && json_get(reader, "declare")->kind == JSON_NUMBER)
        length = (uint64_t)json_get_number(reader, "declare", 0);
    return x402_request_body_reader(request, give, json_is_true(json_get(reader, "rewind")) ? give_again : NULL, job,
                                    length, error);
}

static x402_status make_request(const json *from, job *job, x402_request **request, x402_error **error)
{
    const json *list, *entry;
    TRY(x402_request_new(json_get_text(from, "method") ? json_get_text(from, "method") : "GET",
                         json_get_text(from, "url"), request, error));
    if ((list = json_get(from, "headers")))
        for (entry = list->first; entry; entry = entry->next)
            TRY(x402_request_header(*request, entry->first->text, entry->first->next->text, error));
    if ((list = json_get(from, "settings")))
        for (entry = list->first; entry; entry = entry->next)
            TRY(x402_request_set(*request, entry->name, entry->text, error));
    if (json_get(from, "body") && json_get(from, "body")->kind == JSON_OBJECT)
        TRY(set_body(*request, json_get(from, "body"), job, error));
    if (json_get(from, "stop_progress_at") && json_get(from, "stop_progress_at")->kind == JSON_NUMBER) {
        job->stop_at = (uint64_t)json_get_number(from, "stop_progress_at", 0);
        job->stop_with = (int32_t)json_get_number(from, "stop_with", 1);
        TRY(x402_request_progress(*request, watch, job, error));
    }
    return X402_OK;
}

/* ---- results ---- */

static const char *money_name(x402_money money)
{
    static const char *const names[] = {"none", "refused", "unpaid", "paid", "unknown"};
    return (unsigned)money < sizeof names / sizeof *names ? names[money] : "?";
}

static void put_text(const char *name, const char *text)
{
    printf("\"%s\": ", name);
    if (text)
        json_write_text(stdout, text, strlen(text));
    else
        printf("null");
}

static void put_error(const char *name, const x402_error *error)
{
    printf("\"%s\": {", name);
    put_text("status", x402_status_name(x402_error_status(error)));
    printf(", ");
    put_text("message", x402_error_message(error));
    printf(", \"money\": \"%s\", ", money_name(x402_error_money(error)));
    put_text("retry", x402_error_retry(error));
    if (x402_error_callback_value(error))
        printf(", \"callback_value\": %d}", (int)x402_error_callback_value(error));
    else
        printf(", \"callback_value\": null}");
}

static void put_payment(const x402_payment *payment)
{
    if (!payment) {
        printf("\"payment\": null");
        return;
    }
    printf("\"payment\": {");
    put_text("amount", x402_payment_amount(payment)), printf(", ");
    put_text("asset", x402_payment_asset(payment)), printf(", ");
    put_text("network", x402_payment_network(payment)), printf(", ");
    put_text("payee", x402_payment_payee(payment)), printf(", ");
    put_text("transaction", x402_payment_transaction(payment)), printf(", ");
    put_text("refusal", x402_payment_refusal(payment));
    printf(", \"json\": %s}", x402_payment_json(payment));
}

static void put_headers(const x402_response *response)
{
    size_t count = x402_response_header_count(response);
    printf("\"headers\": [");
    for (size_t i = 0; i < count; i++) {
        const char *name, *value;
        size_t len;
        if (x402_response_header_at(response, i, &name, &value, &len, NULL) != X402_OK)
            continue;
        printf("%s[", i ? ", " : "");
        json_write_text(stdout, name, strlen(name));
        printf(", ");
        if (json_is_utf8(value, len))
            json_write_text(stdout, value, len);
        else
            printf("null");
        printf("]");
    }
    printf("]");
}

typedef struct received {
    sha256 hash;
    uint64_t length;
    char text[TEXT_BYTES_MAX];
} received;

static int32_t receive(void *userdata, const uint8_t *data, size_t len)
{
    received *body = userdata;
    sha256_add(&body->hash, data, len);
    if (body->length + len <= TEXT_BYTES_MAX)
        memcpy(body->text + body->length, data, len);
    body->length += len;
    return 0;
}

static void put_body(x402_response *response)
{
    static received body;
    x402_error *error = NULL;
    char hex[65];
    body.length = 0;
    sha256_start(&body.hash);
    x402_response_each(response, receive, &body, &error);
    sha256_finish(&body.hash, hex);
    printf("\"body\": {\"length\": %llu, \"sha256\": \"%s\", \"text\": ", (unsigned long long)body.length, hex);
    if (body.length <= TEXT_BYTES_MAX && json_is_utf8(body.text, (size_t)body.length))
        json_write_text(stdout, body.text, (size_t)body.length);
    else
        printf("null");
    printf("}, ");
    if (error)
        put_error("body_error", error);
    else
        printf("\"body_error\": null");
    x402_error_free(error);
}

static void put_response(x402_response *response)
{
    printf("{\"outcome\": \"response\", \"status\": %u, ", x402_response_status(response));
    put_text("url", x402_response_url(response));
    printf(", ");
    put_headers(response);
    printf(", ");
    put_body(response);
    printf(", \"money\": \"%s\", ", money_name(x402_response_money(response)));
    put_payment(x402_response_payment(response));
}

static void run_request(x402_client *client, const json *from)
{
    job job;
    x402_error *error = NULL;
    x402_request *request = NULL;
    x402_response *response = NULL;
    char *quote = NULL;
    const char *call = json_get_text(from, "call");
    x402_status status;
    memset(&job, 0, sizeof job);
    status = make_request(from, &job, &request, &error);
    if (status == X402_OK && call && strcmp(call, "quote") == 0)
        status = x402_client_quote_json(client, request, &quote, &error);
    else if (status == X402_OK)
        status = x402_client_send(client, request, &response, &error);
    if (quote) {
        printf("{\"outcome\": \"quote\", \"quote\": %s", quote);
    } else if (status == X402_OK) {
        put_response(response);
    } else {
        printf("{\"outcome\": \"error\", ");
        put_error("error", error);
        printf(", \"money\": \"%s\", ", money_name(x402_error_money(error)));
        put_payment(x402_error_payment(error));
    }
    printf(", \"reader\": {\"pulled\": %llu, \"rewinds\": %d}}", (unsigned long long)job.pulled, job.rewinds);
    x402_string_free(quote);
    x402_response_free(response);
    x402_request_free(request);
    x402_error_free(error);
    free(job.body.data);
}

static char *read_all_input(size_t *len)
{
    size_t cap = 1 << 16;
    char *text = malloc(cap);
    *len = 0;
    for (;;) {
        size_t got = fread(text + *len, 1, cap - *len, stdin);
        *len += got;
        if (got == 0)
            return text;
        if (cap - *len < 4096)
            text = realloc(text, cap *= 2);
    }
}

int main(void)
{
    size_t len;
    char *text = read_all_input(&len);
    json *scenario = json_parse(text, len);
    const json *requests = json_get(scenario, "requests");
    x402_error *error = NULL;
    x402_client *client;
    int32_t answer = 0;
    if (!requests)
        return fprintf(stderr, "the input is no case\n"), 2;
    client = make_client(json_get(scenario, "client"), &answer, &error);
    printf("{\"results\": [");
    if (client) {
        for (const json *request = requests->first; request; request = request->next) {
            run_request(client, request);
            printf("%s\n", request->next ? "," : "");
        }
        printf("]");
    } else {
        printf("], ");
        put_error("setup_error", error);
    }
    x402_error_free(error);
    x402_client_free(client);
    printf(", \"live_handles\": %llu}\n", (unsigned long long)x402_live_handles());
    json_free(scenario);
    free(text);
    return 0;
}
