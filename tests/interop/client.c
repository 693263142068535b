/* The C program of the interop suite: one call, paid for if the server asks.
 *
 *     client METHOD URL [UPLOAD_BYTES]
 *
 * The keys come in X402_INTEROP_KEY and X402_INTEROP_SOLANA_KEY, the URLs of the chains' nodes in X402_INTEROP_NODE and
 * X402_INTEROP_SOLANA_NODE. With UPLOAD_BYTES the body is streamed from a callback that cannot
 * rewind, its length not declared. Prints one line of JSON: what the library says of answer and money.
 * Ends with 0 when there was an answer of any status, 1 when there was none, 2 when it was called wrongly.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x402.h>

#define BODY_BYTES_MAX (64u * 1024u)

struct upload {
    uint64_t at;
    uint64_t length;
};

/* Byte i is the top byte of i times Knuth's 2654435761 modulo 2^32, so that the suite knows every byte. */
static int32_t upload_read(void *userdata, uint8_t *buffer, size_t cap, size_t *len) {
    struct upload *upload = userdata;
    size_t n = 0;
    while (n < cap && upload->at < upload->length) {
        buffer[n++] = (uint8_t)((uint32_t)((uint32_t)upload->at * UINT32_C(2654435761)) >> 24);
        upload->at++;
    }
    *len = n;
    return 0;
}

static const char *money_name(x402_money money) {
    switch (money) {
    case X402_MONEY_NONE: return "none";
    case X402_MONEY_REFUSED: return "refused";
    case X402_MONEY_UNPAID: return "unpaid";
    case X402_MONEY_PAID: return "paid";
    case X402_MONEY_UNKNOWN: return "unknown";
    default: return "unheard-of";
    }
}

static void print_text(const char *name, const char *text, size_t len) {
    size_t i;
    printf(",\"%s\":\"", name);
    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') printf("\\%c", c);
        else if (c < 0x20) printf("\\u%04x", c);
        else putchar(c);
    }
    putchar('"');
}

static void print_payment(const x402_payment *payment) {
    const char *amount = payment ? x402_payment_amount(payment) : "";
    const char *transaction = payment ? x402_payment_transaction(payment) : "";
    const char *refusal = payment ? x402_payment_refusal(payment) : "";
    print_text("amount", amount, strlen(amount));
    print_text("transaction", transaction, strlen(transaction));
    print_text("refusal", refusal, strlen(refusal));
}

static int report_failure(x402_error *error) {
    const char *message = x402_error_message(error);
    printf("{\"status\":0,\"money\":\"%s\"", money_name(x402_error_money(error)));
    print_payment(x402_error_payment(error));
    print_text("error", message, strlen(message));
    printf("}\n");
    fprintf(stderr, "%s: %s\n", x402_status_name(x402_error_status(error)), message);
    x402_error_free(error);
    return 1;
}

static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

static x402_status client_open(x402_client **client, x402_error **error) {
    x402_wallet *wallet = NULL;
    x402_config *config = NULL;
    const char *solana_key = environment("X402_INTEROP_SOLANA_KEY");
    x402_status status = x402_wallet_new(&wallet, error);
    if (status == X402_OK) status = x402_wallet_add_evm_key(wallet, environment("X402_INTEROP_KEY"), error);
    if (status == X402_OK && *solana_key) status = x402_wallet_add_solana_key(wallet, solana_key, error);
    if (status == X402_OK) status = x402_config_new(&config, error);
    if (status == X402_OK) status = x402_config_wallet(config, wallet, error);
    if (status == X402_OK) status = x402_config_set(config, "evm_rpc", environment("X402_INTEROP_NODE"), error);
    if (status == X402_OK)
        status = x402_config_set(config, "solana_rpc", environment("X402_INTEROP_SOLANA_NODE"), error);
    if (status == X402_OK) status = x402_client_new(config, client, error);
    x402_config_free(config);
    x402_wallet_free(wallet);
    return status;
}

static x402_status request_open(const char *method, const char *url, struct upload *upload, x402_request **request,
                                x402_error **error) {
    x402_status status = x402_request_new(method, url, request, error);
    if (status != X402_OK || upload->length == 0) return status;
    return x402_request_body_reader(*request, upload_read, NULL, upload, X402_LENGTH_UNKNOWN, error);
}

static x402_status report(x402_response *response, x402_error **error) {
    const uint8_t *body = NULL;
    size_t body_len = 0;
    x402_status status = x402_response_read_all(response, BODY_BYTES_MAX, &body, &body_len, error);
    if (status != X402_OK) return status;
    printf("{\"status\":%u,\"money\":\"%s\"", (unsigned)x402_response_status(response),
           money_name(x402_response_money(response)));
    print_payment(x402_response_payment(response));
    print_text("body", (const char *)body, body_len);
    printf("}\n");
    return X402_OK;
}

static int parse_length(const char *text, uint64_t *length) {
    char *end = NULL;
    errno = 0;
    *length = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *length > 0;
}

int main(int argc, char **argv) {
    struct upload upload = {0, 0};
    x402_client *client = NULL;
    x402_request *request = NULL;
    x402_response *response = NULL;
    x402_error *error = NULL;
    x402_status status;
    if (argc < 3 || argc > 4 || (argc == 4 && !parse_length(argv[3], &upload.length))) {
        fprintf(stderr, "usage: X402_INTEROP_KEY=0x... %s METHOD URL [UPLOAD_BYTES]\n", argv[0]);
        return 2;
    }
    status = client_open(&client, &error);
    if (status == X402_OK) status = request_open(argv[1], argv[2], &upload, &request, &error);
    if (status == X402_OK) status = x402_client_send(client, request, &response, &error);
    if (status == X402_OK) status = report(response, &error);
    x402_response_free(response);
    x402_request_free(request);
    x402_client_free(client);
    if (status != X402_OK) return report_failure(error);
    if (x402_live_handles() != 0) {
        fprintf(stderr, "%" PRIu64 " handles are still live\n", x402_live_handles());
        return 1;
    }
    return 0;
}
