/* demo.c: what libx402 is for, in one page. Streams a request body from a callback to a server that wants to be paid,
 * pays it, and prints the receipt and the answer.
 *
 *     demo URL [PRIVATE_KEY]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x402.h>

/* A well-known key of development chains. It holds no money anywhere, and must not. */
static const char DEVELOPMENT_KEY[] = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

static void try(x402_status status, x402_error **error)
{
    if (status == X402_OK)
        return;
    fprintf(stderr, "%s: %s (money: %d)\n", x402_status_name(status), x402_error_message(*error),
            (int)x402_error_money(*error));
    exit(1);
}

typedef struct poem {
    int lines_left;
} poem;

/* The request body: a line a call, made when it is asked for. */
static int32_t next_line(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    poem *poem = userdata;
    *len = 0;
    if (poem->lines_left > 0)
        *len = (size_t)snprintf((char *)buffer, cap, "%d bottles of milk on the wall\n", poem->lines_left--);
    return 0;
}

/* Asked before anything is signed. */
static int32_t approve(void *userdata, const char *offer, size_t len)
{
    (void)userdata;
    printf("the server asks   %.*s\n", (int)len, offer);
    return 0;
}

int main(int argc, char **argv)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_policy *policy;
    x402_config *config;
    x402_client *client;
    x402_request *request;
    x402_response *response;
    const x402_payment *payment;
    const char *address;
    const uint8_t *body;
    size_t len;
    poem poem = {99};
    int paid;

    if (argc < 2)
        return fprintf(stderr, "usage: demo URL [PRIVATE_KEY]\n"), 2;

    try(x402_wallet_new(&wallet, &error), &error);
    try(x402_wallet_add_evm_key(wallet, argc > 2 ? argv[2] : DEVELOPMENT_KEY, &error), &error);
    try(x402_wallet_address(wallet, "eip155", 0, &address, &error), &error);
    printf("paying from       %s\n", address);

    try(x402_policy_new(&policy, &error), &error);
    try(x402_policy_max_per_payment(policy, "0.05 USD", &error), &error);
    try(x402_policy_approve(policy, approve, NULL, &error), &error);

    try(x402_config_new(&config, &error), &error);
    try(x402_config_wallet(config, wallet, &error), &error);
    try(x402_config_policy(config, policy, &error), &error);
    try(x402_client_new(config, &client, &error), &error);

    /* Its length is not known, and it cannot start over: libx402 keeps what the payment may need again. */
    try(x402_request_new("POST", argv[1], &request, &error), &error);
    try(x402_request_header(request, "Content-Type", "text/plain", &error), &error);
    try(x402_request_body_reader(request, next_line, NULL, &poem, X402_LENGTH_UNKNOWN, &error), &error);
    try(x402_client_send(client, request, &response, &error), &error);
    try(x402_response_read_all(response, 1 << 20, &body, &len, &error), &error);

    payment = x402_response_payment(response);
    paid = x402_response_money(response) == X402_MONEY_PAID;
    if (payment) {
        printf("paid              %s of %s on %s\n", x402_payment_amount(payment), x402_payment_asset(payment),
               x402_payment_network(payment));
        printf("to                %s\n", x402_payment_payee(payment));
        printf("settled in        %s\n", x402_payment_transaction(payment));
        if (x402_payment_refusal(payment)[0])
            printf("not paid because  %s\n", x402_payment_refusal(payment));
        printf("receipt           %s\n", x402_payment_json(payment));
    }
    printf("answer            %u %s\n", x402_response_status(response), (const char *)body);

    x402_response_free(response);
    x402_request_free(request);
    x402_client_free(client);
    x402_config_free(config);
    x402_policy_free(policy);
    x402_wallet_free(wallet);
    return paid && x402_live_handles() == 0 ? 0 : 1;
}
