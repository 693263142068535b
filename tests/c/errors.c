/* errors.c: each thing that can go wrong has a status of its own, a sentence that names what was at fault, and says
 * where the money is. */
#include "setup.h"

static const char *origin(const server *server, const char *name, const char *path)
{
    static char url[512];
    const char *base = server->url;
    for (size_t i = 0; i < server->origin_count; i++)
        if (strcmp(server->origins[i].name, name) == 0)
            base = server->origins[i].url;
    snprintf(url, sizeof url, "%s%s", base, path);
    return url;
}

/* A GET that must fail: with this status, nothing signed, and `names` somewhere in the sentence. */
static void fails(x402_client *client, const char *url, x402_status expected, const char *names)
{
    x402_error *error = NULL;
    x402_response *response = NULL;
    x402_status status = x402_client_get(client, url, &response, &error);
    CHECK(status == expected, "%s: got %s: %s", url, x402_status_name(status), x402_error_message(error));
    CHECK(x402_error_money(error) == X402_MONEY_NONE, "%s: %d", url, (int)x402_error_money(error));
    CHECK(strstr(x402_error_message(error), names), "%s: \"%s\" does not name \"%s\"", url, x402_error_message(error), names);
    CHECK(strlen(x402_error_message(error)) > 20, "a sentence: %s", x402_error_message(error));
    CHECK(x402_error_payment(error) == NULL, "no payment was begun");
    CHECK(response == NULL, "no response");
    x402_response_free(response);
    x402_error_free(error);
}

static void reaching_a_server(const server *server)
{
    x402_client *trusting = client_with(server->ca_file, NULL, NULL);
    x402_client *plain = client_with(NULL, NULL, NULL);
    x402_error *error = NULL;
    x402_response *response;
    fails(plain, "https//example.com", X402_ERROR_URL, "https//example.com");
    fails(plain, "ftp://example.com/", X402_ERROR_URL, "ftp");
    fails(plain, "http://no-such-host.invalid/", X402_ERROR_RESOLVE, "no-such-host.invalid");
    fails(plain, origin(server, "closed", "/"), X402_ERROR_CONNECT, "127.0.0.1");
    fails(plain, origin(server, "tls", "/free"), X402_ERROR_TLS, "ca_file");
    fails(trusting, origin(server, "untrusted", "/free"), X402_ERROR_TLS, "certificate");
    fails(trusting, origin(server, "expired", "/free"), X402_ERROR_TLS, "expired");
    fails(trusting, origin(server, "wrong_name", "/free"), X402_ERROR_TLS, "name");
    NEED(x402_client_get(trusting, origin(server, "tls", "/free"), &response, &error));
    SAME_TEXT(body_text(response), "free");
    x402_response_free(response);
    x402_client_free(plain);
    x402_client_free(trusting);
}

static void deadlines(const server *server)
{
    x402_client *client = client_with(NULL, "first_byte_timeout_ms", "150");
    fails(client, origin(server, "base", "/hang"), X402_ERROR_TIMEOUT, "first_byte_timeout_ms");
    fails(client, origin(server, "silent", "/"), X402_ERROR_TIMEOUT, "first_byte_timeout_ms");
    x402_client_free(client);
    client = client_with(NULL, "total_timeout_ms", "150");
    fails(client, origin(server, "base", "/hang"), X402_ERROR_TIMEOUT, "total_timeout_ms");
    x402_client_free(client);
}

static void answers_that_are_none(const server *server)
{
    x402_client *client = client_with(NULL, NULL, NULL);
    fails(client, origin(server, "base", "/close"), X402_ERROR_CONNECTION_LOST, "closed");
    fails(client, origin(server, "base", "/garbage"), X402_ERROR_PROTOCOL, "HTTP");
    fails(client, origin(server, "base", "/loop"), X402_ERROR_REDIRECT, "max_redirects");
    x402_client_free(client);
}

static int32_t count_bytes(void *userdata, const uint8_t *data, size_t len)
{
    size_t *at = userdata;
    for (size_t i = 0; i < len; i++)
        CHECK(data[i] == (uint8_t)((*at + i) % 251), "byte %zu", *at + i);
    *at += len;
    return 0;
}

/* However a body that broke off is read on: what arrived, once, and then the same error each time. */
static void the_error_stays(x402_response *response, x402_status expected, size_t arrived)
{
    x402_error *error = NULL;
    const uint8_t *data;
    uint8_t buffer[7000];
    size_t len, at = 0;
    EXPECT(expected, x402_response_read_all(response, 1 << 20, &data, &len, &error));
    EXPECT(expected, x402_response_read_all(response, 1 << 20, &data, &len, &error));
    CHECK(data == NULL && len == 0, "no part passes for the whole");
    EXPECT(X402_ERROR_RESPONSE_LIMIT, x402_response_read_all(response, arrived - 1, &data, &len, &error));
    NEED(x402_response_read(response, buffer, sizeof buffer, &len, &error));
    count_bytes(&at, buffer, len);
    EXPECT(expected, x402_response_each(response, count_bytes, &at, &error));
    CHECK(at == arrived, "%zu bytes", at);
    EXPECT(expected, x402_response_each(response, count_bytes, &at, &error));
    EXPECT(expected, x402_response_read(response, buffer, sizeof buffer, &len, &error));
    EXPECT(expected, x402_response_read_all(response, 1 << 20, &data, &len, &error));
    CHECK(at == arrived && len == 0, "%zu bytes", at);
}

static void bodies_that_break_off(const server *server)
{
    x402_client *client = client_with(NULL, "idle_timeout_ms", "150");
    x402_error *error = NULL;
    x402_response *response;
    const uint8_t *data;
    size_t len;
    NEED(x402_client_get(client, origin(server, "base", "/cut"), &response, &error));
    the_error_stays(response, X402_ERROR_CONNECTION_LOST, 50000);
    x402_response_free(response);
    NEED(x402_client_get(client, origin(server, "base", "/stall"), &response, &error));
    the_error_stays(response, X402_ERROR_TIMEOUT, 50000);
    x402_response_free(response);
    x402_client_free(client);
    client = client_with(NULL, "decompress", "true");
    NEED(x402_client_get(client, origin(server, "base", "/broken-gzip"), &response, &error));
    EXPECT(X402_ERROR_CONTENT_CODING, x402_response_read_all(response, 1 << 20, &data, &len, &error));
    x402_response_free(response);
    x402_client_free(client);
}

/* An HTTP error is an answer, and passes through. */
static void an_http_error_is_an_answer(const server *server)
{
    x402_client *client = client_with(NULL, NULL, NULL);
    x402_error *error = NULL;
    x402_response *response;
    NEED(x402_client_get(client, origin(server, "base", "/error"), &response, &error));
    CHECK(x402_response_status(response) == 500, "%u", x402_response_status(response));
    CHECK(x402_response_money(response) == X402_MONEY_NONE, "%d", (int)x402_response_money(response));
    SAME_TEXT(body_text(response), "broken");
    x402_response_free(response);
    NEED(x402_client_get(client, origin(server, "base", "/malformed"), &response, &error));
    CHECK(x402_response_status(response) == 402, "%u", x402_response_status(response));
    CHECK(x402_response_payment(response) && x402_payment_refusal(x402_response_payment(response))[0], "a reason");
    CHECK(x402_response_money(response) != X402_MONEY_PAID, "%d", (int)x402_response_money(response));
    x402_response_free(response);
    x402_client_free(client);
}

/* Once a payment has left, an error says so and lends the payment. */
static void the_money_is_unknown(x402_client *client, const char *url, x402_status expected)
{
    x402_error *error = NULL;
    x402_response *response = NULL;
    x402_status status = x402_client_get(client, url, &response, &error);
    const x402_payment *payment = x402_error_payment(error);
    CHECK(status == expected, "%s: got %s: %s", url, x402_status_name(status), x402_error_message(error));
    CHECK(x402_error_money(error) == X402_MONEY_UNKNOWN, "%s: %d", url, (int)x402_error_money(error));
    CHECK(strcmp(x402_error_retry(error), "safe") != 0, "%s: it is not safe to pay anew", url);
    CHECK(payment != NULL, "the payment hangs on the error");
    SAME_TEXT(x402_payment_amount(payment), "10000");
    SAME_TEXT(x402_payment_transaction(payment), "");
    x402_error_free(error);
    CHECK(x402_payment_amount(payment) == NULL, "and ends with it");
    x402_response_free(response);
}

static void after_a_payment_left(const server *server)
{
    x402_client *client = client_with(NULL, "first_byte_timeout_ms", "150");
    x402_error *error = NULL;
    x402_response *response;
    the_money_is_unknown(client, origin(server, "base", "/paid-then-hang"), X402_ERROR_TIMEOUT);
    /* A lost answer: the same bytes are sent once more, and this server says that they were used. */
    NEED(x402_client_get(client, origin(server, "base", "/paid-then-close"), &response, &error));
    CHECK(x402_response_status(response) == 402, "%u", x402_response_status(response));
    CHECK(x402_response_money(response) == X402_MONEY_UNKNOWN, "%d", (int)x402_response_money(response));
    x402_response_free(response);
    NEED(x402_client_get(client, origin(server, "base", "/second-402"), &response, &error));
    CHECK(x402_response_status(response) == 402, "%u", x402_response_status(response));
    CHECK(x402_response_money(response) != X402_MONEY_PAID && x402_response_money(response) != X402_MONEY_NONE, "%d",
          (int)x402_response_money(response));
    CHECK(strstr(x402_payment_refusal(x402_response_payment(response)), "insufficient_funds"), "%s",
          x402_payment_refusal(x402_response_payment(response)));
    x402_response_free(response);
    NEED(x402_client_get(client, origin(server, "base", "/settle-fails"), &response, &error));
    CHECK(strstr(x402_payment_json(x402_response_payment(response)), "insufficient_funds"), "%s",
          x402_payment_json(x402_response_payment(response)));
    x402_response_free(response);
    x402_client_free(client);
}

/* A paid body that breaks off changes what the payment says, and no text that was given out. */
static void a_paid_body_that_breaks_off(const server *server)
{
    x402_client *client = client_with(NULL, NULL, NULL);
    for (int asked_before = 0; asked_before < 2; asked_before++) {
        x402_error *error = NULL;
        x402_response *response;
        const x402_payment *payment = NULL;
        const char *before = NULL, *amount = NULL;
        const uint8_t *data;
        size_t len;
        NEED(x402_client_get(client, origin(server, "base", "/paid-then-cut"), &response, &error));
        CHECK(x402_response_money(response) == X402_MONEY_PAID, "%d", (int)x402_response_money(response));
        if (asked_before) {
            payment = x402_response_payment(response);
            before = x402_payment_json(payment);
            amount = x402_payment_amount(payment);
            CHECK(strstr(before, "\"retry\":\"never\""), "%s", before);
        }
        CHECK(x402_response_read_all(response, 1 << 20, &data, &len, &error) == X402_ERROR_CONNECTION_LOST, "%s",
              x402_error_message(error));
        CHECK(x402_error_money(error) == X402_MONEY_PAID, "%d", (int)x402_error_money(error));
        SAME_TEXT(x402_error_retry(error), "same-bytes");
        x402_error_free(error);
        error = NULL;
        CHECK(!asked_before || payment == x402_response_payment(response), "the same borrowed handle");
        payment = x402_response_payment(response);
        CHECK(strstr(x402_payment_json(payment), "\"retry\":\"same-bytes\""), "%s", x402_payment_json(payment));
        CHECK(x402_payment_money(payment) == X402_MONEY_PAID, "%d", (int)x402_payment_money(payment));
        if (asked_before) {
            CHECK(strstr(before, "\"retry\":\"never\""), "the text given out before: %s", before);
            SAME_TEXT(amount, "10000");
        }
        x402_response_free(response);
    }
    x402_client_free(client);
}

int main(int argc, char **argv)
{
    server server = server_start(argc > 1 ? argv[1] : "tests/c/scenarios/faults.json", 0);
    reaching_a_server(&server);
    deadlines(&server);
    answers_that_are_none(&server);
    bodies_that_break_off(&server);
    an_http_error_is_an_answer(&server);
    after_a_payment_left(&server);
    a_paid_body_that_breaks_off(&server);
    server_stop(&server);
    return finish("errors");
}
