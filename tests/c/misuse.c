/* misuse.c: every function of the header with every handle and pointer it must refuse: NULL, freed, of another noun, invented.
 * Nothing here may crash, and nothing may be written but the cleared outputs. */
#include "check.h"
#include "server.h"

enum { ERROR, WALLET, POLICY, CONFIG, CLIENT, REQUEST, RESPONSE, PAYMENT, LEDGER, QUEUE, NOUNS };

static void *live[NOUNS];
static void *freed[NOUNS];

/* ---- functions that answer with a status: `handle` is the one under test, the rest is good ---------------------- */

static int32_t some_read(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    (void)userdata, (void)buffer, (void)cap;
    *len = 0;
    return 0;
}
static int32_t some_chunk(void *userdata, const uint8_t *data, size_t len)
{
    (void)userdata, (void)data, (void)len;
    return 0;
}
static int32_t some_progress(void *userdata, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)userdata, (void)a, (void)b, (void)c, (void)d;
    return 0;
}
static int32_t some_approve(void *userdata, const char *offer, size_t len)
{
    (void)userdata, (void)offer, (void)len;
    return 0;
}
static int32_t some_sign(void *userdata, const char *kind, const uint8_t *data, size_t len, uint8_t *signature,
                         size_t cap, size_t *signature_len)
{
    (void)userdata, (void)kind, (void)data, (void)len, (void)signature, (void)cap, (void)signature_len;
    return 1;
}
static void some_log(void *userdata, int32_t level, const char *line, size_t len)
{
    (void)userdata, (void)level, (void)line, (void)len;
}

#define PHRASE "test test test test test test test test test test test junk"
/* The seed 01 02 … 20. */
#define SOLANA_KEY "2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSdZd8hbDHTd21as7EAsg7ypityqfsw2pMQKJcVDVcAEsd"

static const char *const POISON = "not cleared";
static const char *text_out;
static const char *text_out2;
static const uint8_t *data_out;
static char *json_out;
static size_t len_out;
static x402_client *client_out;
static x402_response *response_out;
static x402_payment *payment_out;
static x402_queue *queue_out;
static x402_event event_out = X402_EVENT_INIT;
static uint8_t byte;

typedef x402_status call(void *handle, x402_error **error);
#define CALL(name, expression)                                                                                         \
    static x402_status name(void *handle, x402_error **error) { return expression; }

CALL(wallet_add_evm_key, x402_wallet_add_evm_key(handle, TEST_KEY, error))
CALL(wallet_add_evm_mnemonic, x402_wallet_add_evm_mnemonic(handle, PHRASE, NULL, NULL, error))
CALL(wallet_add_solana_key, x402_wallet_add_solana_key(handle, SOLANA_KEY, error))
CALL(wallet_add_solana_mnemonic, x402_wallet_add_solana_mnemonic(handle, PHRASE, NULL, NULL, error))
CALL(wallet_add_keyfile, x402_wallet_add_keyfile(handle, "/dev/null", NULL, error))
CALL(wallet_add_signer, x402_wallet_add_signer(handle, "eip155", TEST_ADDRESS, some_sign, NULL, error))
CALL(wallet_address, x402_wallet_address(handle, "eip155", 0, &text_out, error))
CALL(policy_max_per_payment, x402_policy_max_per_payment(handle, "0.10 USD", error))
CALL(policy_budget, x402_policy_budget(handle, "all", 0, "1.00 USD", error))
CALL(policy_allow, x402_policy_allow(handle, "network", "eip155:*", error))
CALL(policy_prefer, x402_policy_prefer(handle, "network", "eip155:*", error))
CALL(policy_approve, x402_policy_approve(handle, some_approve, NULL, error))
CALL(config_wallet, x402_config_wallet(handle, live[WALLET], error))
CALL(config_wallet_wallet, x402_config_wallet(live[CONFIG], handle, error))
CALL(config_policy, x402_config_policy(handle, live[POLICY], error))
CALL(config_policy_policy, x402_config_policy(live[CONFIG], handle, error))
CALL(config_ledger, x402_config_ledger(handle, live[LEDGER], error))
CALL(config_ledger_ledger, x402_config_ledger(live[CONFIG], handle, error))
CALL(ledger_totals_json, x402_ledger_totals_json(handle, &json_out, error))
CALL(ledger_entries_json, x402_ledger_entries_json(handle, 0, 10, &json_out, error))
CALL(ledger_unsettled_json, x402_ledger_unsettled_json(handle, 0, 10, &json_out, error))
CALL(ledger_abandon, x402_ledger_abandon(handle, 1, error))
CALL(config_set, x402_config_set(handle, "user_agent", "test", error))
CALL(config_log, x402_config_log(handle, some_log, NULL, error))
CALL(client_new, x402_client_new(handle, &client_out, error))
CALL(client_get, x402_client_get(handle, "http://127.0.0.1:9/", &response_out, error))
CALL(client_post, x402_client_post(handle, "http://127.0.0.1:9/", "text/plain", &byte, 1, &response_out, error))
CALL(client_send, x402_client_send(handle, live[REQUEST], &response_out, error))
CALL(client_send_request, x402_client_send(live[CLIENT], handle, &response_out, error))
CALL(client_quote_json, x402_client_quote_json(handle, live[REQUEST], &json_out, error))
CALL(client_quote_json_request, x402_client_quote_json(live[CLIENT], handle, &json_out, error))
CALL(client_pay, x402_client_pay(handle, "GET", "https://a/", 402, NULL, NULL, 0, NULL, 0, &payment_out, error))
CALL(client_pay_request, x402_client_pay_request(handle, live[REQUEST], 402, NULL, NULL, 0, NULL, 0, &payment_out, error))
CALL(client_pay_request_request, x402_client_pay_request(live[CLIENT], handle, 402, NULL, NULL, 0, NULL, 0, &payment_out, error))
CALL(payment_settle, x402_payment_settle(handle, 200, NULL, NULL, 0, error))
CALL(request_header, x402_request_header(handle, "X-Name", "value", error))
CALL(request_body_bytes, x402_request_body_bytes(handle, &byte, 1, error))
CALL(request_body_file, x402_request_body_file(handle, "/dev/null", error))
CALL(request_body_reader, x402_request_body_reader(handle, some_read, NULL, NULL, 0, error))
CALL(request_progress, x402_request_progress(handle, some_progress, NULL, error))
CALL(request_set, x402_request_set(handle, "total_timeout_ms", "1000", error))
CALL(queue_new, x402_queue_new(handle, &queue_out, error))
CALL(queue_send, x402_queue_send(handle, live[REQUEST], 1, error))
CALL(queue_send_request, x402_queue_send(live[QUEUE], handle, 1, error))
CALL(queue_read, x402_queue_read(handle, live[RESPONSE], &byte, 1, 1, error))
CALL(queue_read_response, x402_queue_read(live[QUEUE], handle, &byte, 1, 1, error))
CALL(response_header_at, x402_response_header_at(handle, 0, &text_out, &text_out2, &len_out, error))
CALL(response_read, x402_response_read(handle, &byte, 1, &len_out, error))
CALL(response_each, x402_response_each(handle, some_chunk, NULL, error))
CALL(response_read_all, x402_response_read_all(handle, 1, &data_out, &len_out, error))

static const struct {
    const char *name;
    int noun;
    call *call;
} CALLS[] = {
    {"wallet_add_evm_key", WALLET, wallet_add_evm_key},
    {"wallet_add_evm_mnemonic", WALLET, wallet_add_evm_mnemonic},
    {"wallet_add_solana_key", WALLET, wallet_add_solana_key},
    {"wallet_add_solana_mnemonic", WALLET, wallet_add_solana_mnemonic},
    {"wallet_add_keyfile", WALLET, wallet_add_keyfile},
    {"wallet_add_signer", WALLET, wallet_add_signer},
    {"wallet_address", WALLET, wallet_address},
    {"policy_max_per_payment", POLICY, policy_max_per_payment},
    {"policy_budget", POLICY, policy_budget},
    {"policy_allow", POLICY, policy_allow},
    {"policy_prefer", POLICY, policy_prefer},
    {"policy_approve", POLICY, policy_approve},
    {"config_wallet", CONFIG, config_wallet},
    {"config_wallet, its wallet", WALLET, config_wallet_wallet},
    {"config_policy", CONFIG, config_policy},
    {"config_policy, its policy", POLICY, config_policy_policy},
    {"config_ledger", CONFIG, config_ledger},
    {"config_ledger, its ledger", LEDGER, config_ledger_ledger},
    {"ledger_totals_json", LEDGER, ledger_totals_json},
    {"ledger_entries_json", LEDGER, ledger_entries_json},
    {"ledger_unsettled_json", LEDGER, ledger_unsettled_json},
    {"ledger_abandon", LEDGER, ledger_abandon},
    {"config_set", CONFIG, config_set},
    {"config_log", CONFIG, config_log},
    {"client_new", CONFIG, client_new},
    {"client_get", CLIENT, client_get},
    {"client_post", CLIENT, client_post},
    {"client_send", CLIENT, client_send},
    {"client_send, its request", REQUEST, client_send_request},
    {"client_quote_json", CLIENT, client_quote_json},
    {"client_quote_json, its request", REQUEST, client_quote_json_request},
    {"client_pay", CLIENT, client_pay},
    {"client_pay_request", CLIENT, client_pay_request},
    {"client_pay_request, its request", REQUEST, client_pay_request_request},
    {"payment_settle", PAYMENT, payment_settle},
    {"request_header", REQUEST, request_header},
    {"request_body_bytes", REQUEST, request_body_bytes},
    {"request_body_file", REQUEST, request_body_file},
    {"request_body_reader", REQUEST, request_body_reader},
    {"request_progress", REQUEST, request_progress},
    {"request_set", REQUEST, request_set},
    {"queue_new", CLIENT, queue_new},
    {"queue_send", QUEUE, queue_send},
    {"queue_send, its request", REQUEST, queue_send_request},
    {"queue_read", QUEUE, queue_read},
    {"queue_read, its response", RESPONSE, queue_read_response},
    {"response_header_at", RESPONSE, response_header_at},
    {"response_read", RESPONSE, response_read},
    {"response_each", RESPONSE, response_each},
    {"response_read_all", RESPONSE, response_read_all},
};

/* ---- getters: true if they gave what the header promises for a handle that is not alive ------------------------- */

typedef int getter(void *handle);
#define GETTER(name, expression)                                                                                       \
    static int name(void *handle) { return expression; }

GETTER(error_status, x402_error_status(handle) == (handle ? X402_ERROR_HANDLE : X402_OK))
GETTER(error_message, strstr(x402_error_message(handle), "handle") != NULL)
GETTER(error_money, x402_error_money(handle) == X402_MONEY_UNKNOWN)
GETTER(error_retry, strcmp(x402_error_retry(handle), "never") == 0)
GETTER(error_callback_value, x402_error_callback_value(handle) == 0)
GETTER(error_payment, x402_error_payment(handle) == NULL)
GETTER(response_status, x402_response_status(handle) == 0)
GETTER(response_header, x402_response_header(handle, "Content-Type", &len_out) == NULL && len_out == 0)
GETTER(response_header_count, x402_response_header_count(handle) == 0)
GETTER(response_url, x402_response_url(handle) == NULL)
GETTER(response_money, x402_response_money(handle) == X402_MONEY_UNKNOWN)
GETTER(response_is_whole, x402_response_is_whole(handle) == 0)
GETTER(response_payment, x402_response_payment(handle) == NULL)
GETTER(payment_amount, x402_payment_amount(handle) == NULL)
GETTER(payment_asset, x402_payment_asset(handle) == NULL)
GETTER(payment_network, x402_payment_network(handle) == NULL)
GETTER(payment_payee, x402_payment_payee(handle) == NULL)
GETTER(payment_transaction, x402_payment_transaction(handle) == NULL)
GETTER(payment_refusal, x402_payment_refusal(handle) == NULL)
GETTER(payment_json, x402_payment_json(handle) == NULL)
GETTER(payment_money, x402_payment_money(handle) == X402_MONEY_UNKNOWN)
GETTER(payment_header_name, x402_payment_header_name(handle) == NULL)
GETTER(payment_header_value, x402_payment_header_value(handle) == NULL)
GETTER(queue_fd, x402_queue_fd(handle) == -1)
GETTER(queue_next, x402_queue_next(handle, &event_out) == X402_ERROR_HANDLE && !event_out.response && !event_out.error)
GETTER(queue_wait, x402_queue_wait(handle, X402_WAIT_FOREVER, &event_out) == X402_ERROR_HANDLE)
GETTER(queue_cancel, x402_queue_cancel(handle, 1) == X402_ERROR_HANDLE)
GETTER(request_cancel, x402_request_cancel(handle) == X402_ERROR_HANDLE)

static const struct {
    const char *name;
    int noun;
    getter *get;
} GETTERS[] = {
    {"error_status", ERROR, error_status},
    {"error_message", ERROR, error_message},
    {"error_money", ERROR, error_money},
    {"error_retry", ERROR, error_retry},
    {"error_callback_value", ERROR, error_callback_value},
    {"error_payment", ERROR, error_payment},
    {"response_status", RESPONSE, response_status},
    {"response_header", RESPONSE, response_header},
    {"response_header_count", RESPONSE, response_header_count},
    {"response_url", RESPONSE, response_url},
    {"response_money", RESPONSE, response_money},
    {"response_is_whole", RESPONSE, response_is_whole},
    {"response_payment", RESPONSE, response_payment},
    {"payment_amount", PAYMENT, payment_amount},
    {"payment_asset", PAYMENT, payment_asset},
    {"payment_network", PAYMENT, payment_network},
    {"payment_payee", PAYMENT, payment_payee},
    {"payment_transaction", PAYMENT, payment_transaction},
    {"payment_refusal", PAYMENT, payment_refusal},
    {"payment_json", PAYMENT, payment_json},
    {"payment_money", PAYMENT, payment_money},
    {"payment_header_name", PAYMENT, payment_header_name},
    {"payment_header_value", PAYMENT, payment_header_value},
    {"queue_fd", QUEUE, queue_fd},
    {"queue_next", QUEUE, queue_next},
    {"queue_wait", QUEUE, queue_wait},
    {"queue_cancel", QUEUE, queue_cancel},
    {"request_cancel", REQUEST, request_cancel},
};

/* ---- the wrong handles of one noun ------------------------------------------------------------------------------ */

#define WRONG_MAX (NOUNS + 8)
static int on_the_stack_of_the_program;

static size_t wrong_handles(int noun, void *wrong[WRONG_MAX])
{
    uintptr_t good = (uintptr_t)live[noun];
    const uintptr_t invented[] = {1, 4096, UINTPTR_MAX, (uintptr_t)&on_the_stack_of_the_program,
                                  good ^ (uintptr_t)1 << 40, good | 0x3fffff};
    size_t count = 0;
    wrong[count++] = NULL;
    wrong[count++] = freed[noun];
    for (int other = 0; other < NOUNS; other++)
        if (other != noun)
            wrong[count++] = live[other];
    for (size_t i = 0; i < sizeof invented / sizeof *invented && count < WRONG_MAX; i++)
        wrong[count++] = (void *)invented[i];
    return count;
}

static void poison(void)
{
    text_out = text_out2 = POISON;
    data_out = &byte;
    json_out = (char *)&byte;
    len_out = 77;
    client_out = live[CLIENT];
    response_out = live[RESPONSE];
    payment_out = live[PAYMENT];
    queue_out = live[QUEUE];
}

/* Each output is as it was, or cleared: never half an answer. */
static int outputs_are_clear(void)
{
    return (!text_out || text_out == POISON) && (!text_out2 || text_out2 == POISON) && (!data_out || data_out == &byte) &&
           (!json_out || json_out == (char *)&byte) && (!len_out || len_out == 77) &&
           (!client_out || client_out == live[CLIENT]) && (!response_out || response_out == live[RESPONSE]) &&
           (!payment_out || payment_out == live[PAYMENT]) && (!queue_out || queue_out == live[QUEUE]);
}

static void wrong_handles_are_refused(void)
{
    x402_error *error = NULL;
    void *wrong[WRONG_MAX];
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
        size_t count = wrong_handles(CALLS[i].noun, wrong);
        for (size_t w = 0; w < count; w++) {
            poison();
            EXPECT(X402_ERROR_HANDLE, CALLS[i].call(wrong[w], &error));
            CHECK(outputs_are_clear(), "x402_%s wrote an output", CALLS[i].name);
            CHECK(CALLS[i].call(wrong[w], NULL) == X402_ERROR_HANDLE, "x402_%s without an error output", CALLS[i].name);
        }
    }
    for (size_t i = 0; i < sizeof GETTERS / sizeof *GETTERS; i++) {
        size_t count = wrong_handles(GETTERS[i].noun, wrong);
        for (size_t w = 0; w < count; w++)
            CHECK(GETTERS[i].get(wrong[w]), "x402_%s with wrong handle %zu", GETTERS[i].name, w);
    }
}

static void free_refuses_what_is_not_its_own(void)
{
    uint64_t before = x402_live_handles();
    void *wrong[WRONG_MAX];
    for (int noun = 0; noun < NOUNS; noun++) {
        size_t count = wrong_handles(noun, wrong);
        for (size_t w = 0; w < count; w++) {
            switch (noun) {
            case ERROR: x402_error_free(wrong[w]); break;
            case WALLET: x402_wallet_free(wrong[w]); break;
            case POLICY: x402_policy_free(wrong[w]); break;
            case LEDGER: x402_ledger_free(wrong[w]); break;
            case CONFIG: x402_config_free(wrong[w]); break;
            case CLIENT: x402_client_free(wrong[w]); break;
            case REQUEST: x402_request_free(wrong[w]); break;
            case RESPONSE: x402_response_free(wrong[w]); break;
            case PAYMENT: x402_payment_free(wrong[w]); break;
            case QUEUE: x402_queue_free(wrong[w]); break;
            default: break;
            }
        }
    }
    x402_string_free(NULL);
    x402_string_free((char *)&on_the_stack_of_the_program);
    CHECK(x402_live_handles() == before, "a wrong free ended a handle");
}

/* ---- NULL and malformed arguments beside a good handle ---------------------------------------------------------- */

static void wallets_and_policies_refuse(void)
{
    x402_error *error = NULL;
    const char *address;
    void *wallet = live[WALLET], *policy = live[POLICY];
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_new(NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_add_evm_key(wallet, NULL, &error));
    EXPECT(X402_ERROR_KEY, x402_wallet_add_evm_key(wallet, "", &error));
    EXPECT(X402_ERROR_KEY, x402_wallet_add_evm_key(wallet, "0xabc", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_add_evm_key(wallet, "\xff\xfe", &error));
    EXPECT(X402_ERROR_KEY, x402_wallet_add_evm_key(wallet, "0x0000000000000000000000000000000000000000000000000000000000000000", &error));
    EXPECT(X402_ERROR_KEY, x402_wallet_add_evm_key(wallet, "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_add_evm_mnemonic(wallet, NULL, NULL, NULL, &error));
    EXPECT(X402_ERROR_KEY, x402_wallet_add_evm_mnemonic(wallet, "", NULL, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_add_evm_mnemonic(wallet, PHRASE, "\xff", NULL, &error));
    EXPECT(X402_ERROR_KEY, x402_wallet_add_evm_mnemonic(wallet, PHRASE, NULL, "", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_add_solana_mnemonic(wallet, NULL, NULL, NULL, &error));
    EXPECT(X402_ERROR_KEY, x402_wallet_add_solana_mnemonic(wallet, PHRASE, NULL, "m/44'/501'/0", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_add_solana_key(wallet, NULL, &error));
    EXPECT(X402_ERROR_KEY, x402_wallet_add_solana_key(wallet, "", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_add_keyfile(wallet, NULL, NULL, &error));
    EXPECT(X402_ERROR_KEY, x402_wallet_add_keyfile(wallet, "", NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_add_signer(wallet, "eip155", TEST_ADDRESS, NULL, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_add_signer(wallet, NULL, TEST_ADDRESS, some_sign, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_address(wallet, NULL, 0, &address, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_address(wallet, "eip155", 0, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_address(wallet, "eip155", 99, &address, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_address(wallet, "no family", 0, &address, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_policy_new(NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_policy_max_per_payment(policy, NULL, &error));
    EXPECT(X402_ERROR_AMOUNT, x402_policy_max_per_payment(policy, "a lot", &error));
    EXPECT(X402_ERROR_AMOUNT, x402_policy_max_per_payment(policy, "-1 USD", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_policy_budget(policy, NULL, 0, "1 USD", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_policy_budget(policy, "all", 0, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_policy_budget(policy, "planet", 0, "1.00 USD", &error));
    EXPECT(X402_ERROR_AMOUNT, x402_policy_budget(policy, "all", 0, "1e3 USD", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_policy_allow(policy, NULL, "x", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_policy_allow(policy, "network", NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_policy_allow(policy, "colour", "x", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_policy_prefer(policy, NULL, "x", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_policy_prefer(policy, "network", NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_policy_prefer(policy, "colour", "x", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_policy_approve(policy, NULL, NULL, &error));
}

static void ledgers_refuse(void)
{
    x402_error *error = NULL;
    x402_ledger *out = (x402_ledger *)live[LEDGER];
    void *ledger = live[LEDGER];
    EXPECT(X402_ERROR_ARGUMENT, x402_ledger_open(NULL, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_ledger_open("\xff\xfe", &out, &error));
    CHECK(out == NULL, "the output is cleared");
    EXPECT(X402_ERROR_LEDGER, x402_ledger_open("/", &out, &error));
    EXPECT(X402_ERROR_LEDGER, x402_ledger_open("", &out, &error));
    EXPECT(X402_ERROR_LEDGER, x402_ledger_open("/proc/nothing/here", &out, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_ledger_totals_json(ledger, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_ledger_entries_json(ledger, 0, 10, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_ledger_unsettled_json(ledger, 0, 10, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_ledger_abandon(ledger, 0, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_ledger_abandon(ledger, UINT64_MAX, &error));
}

static void configs_and_clients_refuse(void)
{
    x402_error *error = NULL;
    x402_response *response;
    char *json;
    void *config = live[CONFIG], *client = live[CLIENT], *request = live[REQUEST];
    EXPECT(X402_ERROR_ARGUMENT, x402_config_new(NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_config_set(config, NULL, "1", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_config_set(config, "user_agent", NULL, &error));
    EXPECT(X402_ERROR_SETTING, x402_config_set(config, "no_such_setting", "1", &error));
    EXPECT(X402_ERROR_SETTING, x402_config_set(config, "total_timeout_ms", "soon", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_config_log(config, NULL, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_new(config, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_get(client, NULL, &response, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_get(client, "http://127.0.0.1:9/", NULL, &error));
    EXPECT(X402_ERROR_URL, x402_client_get(client, "", &response, &error));
    EXPECT(X402_ERROR_URL, x402_client_get(client, "no url", &response, &error));
    EXPECT(X402_ERROR_URL, x402_client_get(client, "gopher://example.com/", &response, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_get(client, "http://example.com/\xff", &response, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_post(client, "http://127.0.0.1:9/", NULL, NULL, 1, &response, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_post(client, "http://127.0.0.1:9/", NULL, &byte, SIZE_MAX, &response, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_post(client, NULL, NULL, &byte, 1, &response, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_post(client, "http://127.0.0.1:9/", NULL, &byte, 1, NULL, &error));
    EXPECT(X402_ERROR_HEADER, x402_client_post(client, "http://127.0.0.1:9/", "a\r\nb: c", &byte, 1, &response, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_send(client, request, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_quote_json(client, request, NULL, &error));
    response = live[RESPONSE];
    CHECK(x402_client_get(client, "no url", &response, NULL) == X402_ERROR_URL, "status");
    CHECK(response == NULL, "a handle output is NULL after a failure");
    (void)json;
}

static void requests_and_responses_refuse(void)
{
    x402_error *error = NULL;
    x402_request *other;
    const char *name, *value;
    const uint8_t *data;
    size_t len;
    void *request = live[REQUEST], *response = live[RESPONSE];
    const char *const bad_names[] = {"", "a b", "a:b", "a\r\nb", "\xc3\xa4", "a\x7f"};
    const char *const bad_values[] = {"a\r\nb: c", "a\nb", "a\rb", "a\x01", "a\x7f"};
    EXPECT(X402_ERROR_ARGUMENT, x402_request_new(NULL, "http://a/", &other, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_request_new("GET", NULL, &other, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_request_new("GET", "http://a/", NULL, &error));
    EXPECT(X402_ERROR_METHOD, x402_request_new("", "http://a/", &other, &error));
    EXPECT(X402_ERROR_METHOD, x402_request_new("GE T", "http://a/", &other, &error));
    EXPECT(X402_ERROR_METHOD, x402_request_new("GET\r\n", "http://a/", &other, &error));
    EXPECT(X402_ERROR_URL, x402_request_new("GET", "/path", &other, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_request_header(request, NULL, "v", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_request_header(request, "X-Name", NULL, &error));
    for (size_t i = 0; i < sizeof bad_names / sizeof *bad_names; i++)
        EXPECT(X402_ERROR_HEADER, x402_request_header(request, bad_names[i], "v", &error));
    for (size_t i = 0; i < sizeof bad_values / sizeof *bad_values; i++)
        EXPECT(X402_ERROR_HEADER, x402_request_header(request, "X-Name", bad_values[i], &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_request_body_bytes(request, NULL, 1, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_request_body_bytes(request, &byte, SIZE_MAX, &error));
    EXPECT(X402_OK, x402_request_body_bytes(request, NULL, 0, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_request_body_file(request, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_request_body_reader(request, NULL, NULL, NULL, 0, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_request_progress(request, NULL, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_request_set(request, NULL, "1", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_request_set(request, "total_timeout_ms", NULL, &error));
    EXPECT(X402_ERROR_SETTING, x402_request_set(request, "no_such_setting", "1", &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_response_header_at(response, 0, NULL, &value, &len, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_response_header_at(response, 0, &name, NULL, &len, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_response_header_at(response, 9999, &name, &value, &len, &error));
    EXPECT(X402_OK, x402_response_header_at(response, 0, &name, &value, NULL, &error));
    CHECK(x402_response_header(response, NULL, NULL) == NULL, "a NULL name");
    CHECK(x402_response_header(response, "X-Not-There", NULL) == NULL, "a header that is not there");
    EXPECT(X402_ERROR_ARGUMENT, x402_response_read(response, NULL, 1, &len, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_response_read(response, &byte, 0, &len, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_response_read(response, &byte, 1, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_response_each(response, NULL, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_response_read_all(response, 1, NULL, &len, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_response_read_all(response, 1, &data, NULL, &error));
}

static void queues_refuse(void)
{
    x402_error *error = NULL;
    x402_event event = X402_EVENT_INIT;
    void *queue = live[QUEUE], *response = live[RESPONSE];
    const size_t too_small[] = {0, 1, sizeof event - 1};
    EXPECT(X402_ERROR_ARGUMENT, x402_queue_new(live[CLIENT], NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_queue_read(queue, response, NULL, 1, 1, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_queue_read(queue, response, &byte, 0, 1, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_queue_read(queue, response, NULL, 0, 1, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_queue_read(queue, response, &byte, SIZE_MAX, 1, &error));
    CHECK(x402_queue_next(queue, NULL) == X402_ERROR_ARGUMENT, "no event");
    CHECK(x402_queue_wait(queue, X402_WAIT_FOREVER, NULL) == X402_ERROR_ARGUMENT, "no event");
    for (size_t i = 0; i < sizeof too_small / sizeof *too_small; i++) {
        event.struct_size = too_small[i], event.token = 77;
        CHECK(x402_queue_next(queue, &event) == X402_ERROR_ARGUMENT && event.token == 77, "%zu bytes", too_small[i]);
        CHECK(x402_queue_wait(queue, 0, &event) == X402_ERROR_ARGUMENT && event.token == 77, "%zu bytes", too_small[i]);
    }
    CHECK(x402_queue_cancel(queue, 1) == X402_ERROR_ARGUMENT, "nothing was submitted");
    event.struct_size = sizeof event;
    CHECK(x402_queue_next(queue, &event) == X402_AGAIN, "nor was it by all that was refused");
}

#define PAY(names, values, count, body, len)                                                                           \
    x402_client_pay(client, "GET", "https://a/", 402, names, values, count, body, len, &payment, &error)

static void payments_refuse(void)
{
    x402_error *error = NULL;
    x402_payment *payment;
    void *client = live[CLIENT], *borrowed = live[PAYMENT];
    const char *const texts[] = {"PAYMENT-REQUIRED", "e30="}, *const holed[] = {"a", NULL};
    const char *const bytes[] = {"\xff", "\xfe"};
    EXPECT(X402_ERROR_ARGUMENT, x402_client_pay(client, "GET", "https://a/", 402, NULL, NULL, 0, NULL, 0, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_pay_request(client, live[REQUEST], 402, NULL, NULL, 0, NULL, 0, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_pay_request(client, live[REQUEST], 200, NULL, NULL, 0, NULL, 0, &payment, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_pay(client, NULL, "https://a/", 402, NULL, NULL, 0, NULL, 0, &payment, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_pay(client, "GET", NULL, 402, NULL, NULL, 0, NULL, 0, &payment, &error));
    EXPECT(X402_ERROR_METHOD, x402_client_pay(client, "", "https://a/", 402, NULL, NULL, 0, NULL, 0, &payment, &error));
    EXPECT(X402_ERROR_URL, x402_client_pay(client, "GET", "a", 402, NULL, NULL, 0, NULL, 0, &payment, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_client_pay(client, "GET", "https://a/", 200, NULL, NULL, 0, NULL, 0, &payment, &error));
    EXPECT(X402_ERROR_ARGUMENT, PAY(NULL, texts, 1, NULL, 0));
    EXPECT(X402_ERROR_ARGUMENT, PAY(texts, NULL, 1, NULL, 0));
    EXPECT(X402_ERROR_ARGUMENT, PAY(holed, texts, 2, NULL, 0));
    EXPECT(X402_ERROR_ARGUMENT, PAY(texts, holed, 2, NULL, 0));
    EXPECT(X402_ERROR_ARGUMENT, PAY(texts, texts, SIZE_MAX, NULL, 0));
    EXPECT(X402_ERROR_ARGUMENT, PAY(texts, texts, SIZE_MAX / 4, NULL, 0));
    EXPECT(X402_ERROR_ARGUMENT, PAY(NULL, NULL, 0, NULL, 1));
    EXPECT(X402_ERROR_ARGUMENT, PAY(NULL, NULL, 0, &byte, SIZE_MAX));
    EXPECT(X402_ERROR_CHALLENGE, PAY(bytes, bytes, 2, &byte, 1));
    CHECK(payment == NULL, "a handle output is NULL after a failure");
    /* A borrowed payment has no header, is not settled, and does not end before its response. */
    CHECK(x402_payment_header_name(borrowed) == NULL && x402_payment_header_value(borrowed) == NULL, "no header");
    EXPECT(X402_ERROR_ARGUMENT, x402_payment_settle(borrowed, 200, NULL, NULL, 0, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_payment_settle(borrowed, 200, NULL, texts, 1, &error));
    x402_payment_free(borrowed);
    CHECK(x402_payment_money(borrowed) == X402_MONEY_PAID, "still there");
    SAME_TEXT(x402_payment_amount(borrowed), "10000");
}

/* ---- */

static void make_all(const server *server, void *made[NOUNS])
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_policy *policy;
    x402_ledger *ledger;
    x402_config *config;
    x402_client *client;
    x402_request *request;
    x402_response *response;
    x402_queue *queue;
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_evm_key(wallet, TEST_KEY, &error));
    NEED(x402_policy_new(&policy, &error));
    NEED(x402_ledger_open(NULL, &ledger, &error));
    NEED(x402_config_new(&config, &error));
    NEED(x402_config_wallet(config, wallet, &error));
    NEED(x402_client_new(config, &client, &error));
    NEED(x402_request_new("POST", server_path(server, "/free-upload"), &request, &error));
    NEED(x402_client_get(client, server_path(server, "/weather"), &response, &error));
    NEED(x402_queue_new(client, &queue, &error));
    x402_config_set(NULL, NULL, NULL, &error);
    made[ERROR] = error, made[WALLET] = wallet, made[POLICY] = policy, made[CONFIG] = config, made[CLIENT] = client;
    made[LEDGER] = ledger, made[REQUEST] = request, made[RESPONSE] = response, made[QUEUE] = queue;
    made[PAYMENT] = (void *)(uintptr_t)x402_response_payment(response);
    CHECK(made[PAYMENT] != NULL && made[ERROR] != NULL, "a payment and an error to test with");
}

static void free_all(void *made[NOUNS])
{
    x402_client_free(made[CLIENT]);
    x402_wallet_free(made[WALLET]);
    x402_response_free(made[RESPONSE]);
    x402_config_free(made[CONFIG]);
    x402_request_free(made[REQUEST]);
    x402_policy_free(made[POLICY]);
    x402_ledger_free(made[LEDGER]);
    x402_queue_free(made[QUEUE]);
    x402_error_free(made[ERROR]);
}

int main(void)
{
    server server = server_start(NULL, 0);
    make_all(&server, freed);
    free_all(freed);
    CHECK(x402_live_handles() == 0, "all are freed, the lent payment with its response");
    make_all(&server, live);
    wrong_handles_are_refused();
    free_refuses_what_is_not_its_own();
    wallets_and_policies_refuse();
    ledgers_refuse();
    configs_and_clients_refuse();
    requests_and_responses_refuse();
    payments_refuse();
    queues_refuse();
    SAME_TEXT(x402_status_name(X402_ERROR_HANDLE), "X402_ERROR_HANDLE");
    SAME_TEXT(x402_status_name((x402_status)-5), "X402_ERROR_?");
    free_all(live);
    free_all(live);
    server_stop(&server);
    return finish("misuse");
}
