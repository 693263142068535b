/* keys.c: every way to give a wallet a key, and signers whose keys stay elsewhere. No server: the 402 is written here. */
#include "setup.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PHRASE "test test test test test test test test test test test junk"
/* The seed 01 02 … 20. */
#define SOLANA_KEY "2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSdZd8hbDHTd21as7EAsg7ypityqfsw2pMQKJcVDVcAEsd"
#define SOLANA_ADDRESS "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj"

static const char *const TERMS =
    "{\"x402Version\":2,\"resource\":{\"url\":\"https://shop.example/a\"},\"accepts\":[{\"scheme\":\"exact\",\"network\":\"eip155:"
    "84532\",\"amount\":\"10000\",\"asset\":\"0x036CbD53842c5426634e7929541eC2318f3dCF7e\",\"payTo\":"
    "\"0x209693Bc6afc0C5328bA36FaF03C514EF312287C\",\"maxTimeoutSeconds\":60,\"extra\":{\"name\":\"USDC\",\"version\":\"2\"}}]}";

static x402_client *client_of(x402_wallet *wallet)
{
    x402_error *error = NULL;
    x402_config *config;
    x402_client *client;
    NEED(x402_config_new(&config, &error));
    NEED(x402_config_wallet(config, wallet, &error));
    NEED(x402_client_new(config, &client, &error));
    x402_config_free(config);
    return client;
}

static x402_status pay(x402_client *client, x402_payment **payment, x402_error **error)
{
    return x402_client_pay(client, "GET", "https://shop.example/a", 402, NULL, NULL, 0, (const uint8_t *)TERMS,
                           strlen(TERMS), payment, error);
}

static void address_is(x402_wallet *wallet, const char *family, size_t index, const char *expected)
{
    x402_error *error = NULL;
    const char *address;
    NEED(x402_wallet_address(wallet, family, index, &address, &error));
    SAME_TEXT(address, expected);
}

static void keys_of_every_form(void)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_evm_key(wallet, TEST_KEY, &error));
    NEED(x402_wallet_add_evm_mnemonic(wallet, PHRASE, NULL, NULL, &error));
    NEED(x402_wallet_add_evm_mnemonic(wallet, PHRASE, "", "m/44'/60'/0'/0/1", &error));
    NEED(x402_wallet_add_solana_mnemonic(wallet, PHRASE, NULL, NULL, &error));
    NEED(x402_wallet_add_solana_mnemonic(wallet, PHRASE, NULL, "m/44'/501'/1'/0'", &error));
    NEED(x402_wallet_add_solana_key(wallet, SOLANA_KEY, &error));
    address_is(wallet, "eip155", 0, TEST_ADDRESS);
    address_is(wallet, "eip155", 1, TEST_ADDRESS);
    address_is(wallet, "eip155", 2, "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
    address_is(wallet, "solana", 0, "oeYf6KAJkLYhBuR8CiGc6L4D4Xtfepr85fuDgA9kq96");
    address_is(wallet, "solana", 1, "AqynRZwvVqUPRwRJXvm6odUb3t93fDjnWe3p6BeuUFxD");
    address_is(wallet, "solana", 2, SOLANA_ADDRESS);
    x402_wallet_free(wallet);
}

/* The sentence names what is wrong and repeats nothing secret. */
static void refused(x402_status status, x402_error **error, x402_status expected, const char *names, const char *secret)
{
    CHECK(status == expected, "got %s", x402_status_name(status));
    const char *message = x402_error_message(*error);
    CHECK(strstr(message, names), "\"%s\" does not name \"%s\"", message, names);
    CHECK(!strstr(message, secret), "\"%s\" repeats the secret", message);
    x402_error_free(*error);
    *error = NULL;
}

static void wrong_keys(void)
{
    const x402_status KEY = X402_ERROR_KEY;
    x402_error *error = NULL;
    x402_wallet *wallet;
    char folder[] = "/tmp/x402-keys-XXXXXX", path[64];
    const char *address;
    NEED(x402_wallet_new(&wallet, &error));
    x402_status got = x402_wallet_add_evm_mnemonic(wallet, "test test junk", NULL, NULL, &error);
    refused(got, &error, KEY, "3 words", "junk");
    got = x402_wallet_add_solana_mnemonic(wallet, "test test test test test test test test test test test jnuk", NULL, NULL, &error);
    refused(got, &error, KEY, "word 12", "jnuk");
    got = x402_wallet_add_evm_mnemonic(wallet, PHRASE, NULL, "m/44'/60'/x", &error);
    refused(got, &error, KEY, "component 3", "junk");
    got = x402_wallet_add_solana_mnemonic(wallet, PHRASE, NULL, "m/44'/501'/0", &error);
    refused(got, &error, KEY, "hardened", "junk");
    got = x402_wallet_add_solana_key(wallet, SOLANA_ADDRESS, &error);
    refused(got, &error, KEY, "32 bytes", SOLANA_ADDRESS);
    CHECK(mkdtemp(folder), "a folder");
    snprintf(path, sizeof path, "%s/key", folder);
    got = x402_wallet_add_keyfile(wallet, path, "password", &error);
    refused(got, &error, KEY, path, "password");
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    CHECK(file >= 0 && write(file, "[1, 2, 3]", 9) == 9 && close(file) == 0, "a file");
    got = x402_wallet_add_keyfile(wallet, path, NULL, &error);
    refused(got, &error, KEY, "3 bytes", "1, 2");
    CHECK(chmod(path, 0644) == 0, "mode");
    got = x402_wallet_add_keyfile(wallet, path, NULL, &error);
    refused(got, &error, KEY, "chmod 600", "1, 2");
    unlink(path);
    rmdir(folder);
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_address(wallet, "eip155", 0, &address, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_address(wallet, "solana", 0, &address, &error));
    x402_wallet_free(wallet);
}

/* ---- signers -------------------------------------------------------------------------------------------------- */

typedef struct signer {
    int32_t value;            /* what it returns */
    size_t length;            /* of the signature it claims to give */
    int asked;                /* how often it was asked */
    int wants_digest;
    int saw_json, saw_digest;
    x402_wallet *wallet;      /* looked at from inside, if given */
    x402_client *client;      /* pays from inside, if given */
} signer;

static int32_t sign(void *userdata, const char *kind, const uint8_t *data, size_t len, uint8_t *signature, size_t cap,
                    size_t *signature_len)
{
    signer *self = (signer *)userdata;
    self->asked++;
    CHECK(cap == 4096, "cap %zu", cap);
    if (strcmp(kind, "evm-typed-data") == 0) {
        self->saw_json = len > 2 && data[0] == '{' && data[len - 1] == '}';
        if (self->wants_digest)
            return X402_SIGN_OTHER_KIND;
    } else {
        SAME_TEXT(kind, "evm-digest");
        self->saw_digest = len == 32;
    }
    if (self->wallet)
        address_is(self->wallet, "eip155", 0, TEST_ADDRESS);
    if (self->client) {
        x402_error *error = NULL;
        x402_payment *payment = NULL;
        NEED(pay(self->client, &payment, &error));
        x402_payment_free(payment);
    }
    memset(signature, 0xab, self->length < cap ? self->length : cap);
    *signature_len = self->length;
    return self->value;
}

/* A client whose only key is `self`. */
static x402_client *signing(signer *self, const char *family)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_signer(wallet, family, TEST_ADDRESS, sign, self, &error));
    x402_client *client = client_of(wallet);
    x402_wallet_free(wallet);
    return client;
}

static void a_signer_that_fails_pays_nothing(void)
{
    static const struct {
        signer signer;
        const char *says;
    } FAILURES[] = {
        {{.value = 42, .length = 65}, "the value 42"},
        {{.value = -1, .length = 65}, "the value -1"},
        {{.length = 0}, "empty"},
        {{.length = 4097}, "4097 bytes"},
        {{.length = (size_t)-1}, "more than the 4096"},
        {{.length = 65}, "no signature of this message by " TEST_ADDRESS},
        {{.length = 64}, "no signature of this message by " TEST_ADDRESS},
        {{.value = X402_SIGN_OTHER_KIND}, "neither"},
    };
    for (size_t i = 0; i < sizeof FAILURES / sizeof *FAILURES; i++) {
        signer self = FAILURES[i].signer;
        x402_client *client = signing(&self, "eip155");
        x402_error *error = NULL;
        x402_payment *payment = NULL;
        x402_status status = pay(client, &payment, &error);
        CHECK(status != X402_OK && payment == NULL, "row %zu: %s", i, x402_status_name(status));
        CHECK(strstr(x402_error_message(error), FAILURES[i].says), "row %zu: %s", i, x402_error_message(error));
        CHECK(x402_error_money(error) == X402_MONEY_REFUSED, "row %zu: %d", i, (int)x402_error_money(error));
        CHECK(self.asked == (self.value == X402_SIGN_OTHER_KIND ? 2 : 1), "row %zu: asked %d times", i, self.asked);
        x402_error_free(error);
        x402_client_free(client);
    }
}

static void what_a_contract_or_another_length_gives_is_sent(void)
{
    static const struct {
        const char *family;
        signer signer;
    } ROWS[] = {
        {"eip155", {.length = 96}},
        {"eip155", {.length = 4096}},
        {"eip155-contract", {.length = 65}},
        {"eip155-contract", {.length = 96, .wants_digest = 1}},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        signer self = ROWS[i].signer;
        x402_client *client = signing(&self, ROWS[i].family);
        x402_error *error = NULL;
        x402_payment *payment;
        NEED(pay(client, &payment, &error));
        CHECK(strlen(x402_payment_header_value(payment)) > 2 * self.length, "row %zu: the signature is in it", i);
        CHECK(self.saw_json && self.saw_digest == self.wants_digest, "row %zu", i);
        x402_payment_free(payment);
        x402_client_free(client);
    }
}

static void a_signer_may_call_in(void)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_payment *payment;
    signer inner = {.length = 96}, outer = {.length = 96};
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_signer(wallet, "eip155", TEST_ADDRESS, sign, &outer, &error));
    outer.wallet = wallet;
    outer.client = signing(&inner, "eip155");
    x402_client *client = client_of(wallet);
    NEED(pay(client, &payment, &error));
    CHECK(outer.asked == 1 && inner.asked == 1, "%d %d", outer.asked, inner.asked);
    x402_payment_free(payment);
    x402_client_free(client);
    x402_client_free(outer.client);
    x402_wallet_free(wallet);
}

/* A signer that waits for somebody holds up nobody else: another thread uses the same client's wallet meanwhile. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static int is_waiting, is_open;

static int32_t wait_and_sign(void *userdata, const char *kind, const uint8_t *data, size_t len, uint8_t *signature,
                             size_t cap, size_t *signature_len)
{
    (void)userdata, (void)kind, (void)data, (void)len;
    pthread_mutex_lock(&gate);
    is_waiting = 1;
    pthread_cond_broadcast(&opened);
    while (!is_open)
        pthread_cond_wait(&opened, &gate);
    pthread_mutex_unlock(&gate);
    memset(signature, 1, cap < 70 ? cap : 70);
    *signature_len = 70;
    return 0;
}

static void *pay_once(void *client)
{
    x402_error *error = NULL;
    x402_payment *payment;
    NEED(pay((x402_client *)client, &payment, &error));
    x402_payment_free(payment);
    return NULL;
}

static void a_signer_that_waits_holds_up_nobody(void)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    pthread_t thread;
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_signer(wallet, "eip155-contract", TEST_ADDRESS, wait_and_sign, NULL, &error));
    x402_client *client = client_of(wallet);
    CHECK(pthread_create(&thread, NULL, pay_once, client) == 0, "a thread");
    pthread_mutex_lock(&gate);
    while (!is_waiting)
        pthread_cond_wait(&opened, &gate);
    pthread_mutex_unlock(&gate);
    address_is(wallet, "eip155", 0, TEST_ADDRESS);
    NEED(x402_wallet_add_evm_key(wallet, TEST_KEY, &error));
    pthread_mutex_lock(&gate);
    is_open = 1;
    pthread_cond_broadcast(&opened);
    pthread_mutex_unlock(&gate);
    pthread_join(thread, NULL);
    pay_once(client); /* open by now */
    x402_client_free(client);
    x402_wallet_free(wallet);
}

static void signers_that_cannot_be(void)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    NEED(x402_wallet_new(&wallet, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_add_signer(wallet, "bitcoin", TEST_ADDRESS, sign, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_add_signer(wallet, "eip155", TEST_ADDRESS, NULL, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_add_signer(wallet, NULL, TEST_ADDRESS, sign, NULL, &error));
    EXPECT(X402_ERROR_ARGUMENT, x402_wallet_add_signer(wallet, "eip155", NULL, sign, NULL, &error));
    EXPECT(X402_ERROR_KEY, x402_wallet_add_signer(wallet, "eip155", "0x1234", sign, NULL, &error));
    EXPECT(X402_ERROR_KEY, x402_wallet_add_signer(wallet, "solana", TEST_ADDRESS, sign, NULL, &error));
    EXPECT(X402_OK, x402_wallet_add_signer(wallet, "solana", SOLANA_ADDRESS, sign, NULL, &error));
    address_is(wallet, "solana", 0, SOLANA_ADDRESS);
    x402_wallet_free(wallet);
}

/* A child has no keys: it is told so instead of signing with zeroes. Plain fork, no threads at this point. */
static void a_forked_child_cannot_sign(void)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_payment *payment = NULL;
    int ended;
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_evm_key(wallet, TEST_KEY, &error));
    x402_client *client = client_of(wallet);
    pid_t child = fork();
    if (child == 0) {
        x402_status status = pay(client, &payment, &error);
        int right = status != X402_OK && strstr(x402_error_message(error), "forked") != NULL;
        if (!right)
            fprintf(stderr, "in the child: %s: %s\n", x402_status_name(status), x402_error_message(error));
        _exit(right ? 0 : 1);
    }
    CHECK(child > 0 && waitpid(child, &ended, 0) == child && ended == 0, "the child ended with %d", ended);
    NEED(pay(client, &payment, &error));
    x402_payment_free(payment);
    x402_client_free(client);
    x402_wallet_free(wallet);
}

int main(void)
{
    a_forked_child_cannot_sign();
    keys_of_every_form();
    wrong_keys();
    a_signer_that_fails_pays_nothing();
    what_a_contract_or_another_length_gives_is_sent();
    a_signer_may_call_in();
    a_signer_that_waits_holds_up_nobody();
    signers_that_cannot_be();
    return finish("keys");
}
