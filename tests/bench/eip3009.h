/* eip3009.h: the least a C program must do to pay an `exact` offer on an EVM chain.
 *
 * What does not change between calls (offer, domain separator, most of the payload's text) is made ready once; a
 * call is a nonce, two hashes, one signature, and text. So this is a floor and no client: it trusts the server,
 * knows one offer, and checks nothing. With `reads_all` a call has every part that a client cannot be without: the
 * challenge is decoded and its domain hashed each time, and so is the receipt decoded.
 * libsecp256k1 is the one the library itself is built with; SECP_PREFIX is what its functions' names begin with. */
#ifndef BENCH_EIP3009_H
#define BENCH_EIP3009_H

#include "keccak.h"
#include "raw_http.h"
#include <secp256k1.h>
#include <secp256k1_preallocated.h>
#include <secp256k1_recovery.h>
#include <sys/random.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the benchmark's Keccak is for little-endian machines");

#define SECP_GLUE_(a, b) a##b
#define SECP_GLUE(a, b) SECP_GLUE_(a, b)
#define SECP(name) SECP_GLUE(SECP_PREFIX, name)

#define CREDENTIAL_BYTES_MAX 8192

struct payer {
    SECP(context) *secp;
    uint8_t key[32], address[20];
    char address_hex[43];
    /* Of the offer, verbatim. */
    char offer[2048], resource[1024], amount[80], payee_hex[43];
    uint64_t timeout_s;
    uint8_t separator[32], domain_type[32], transfer_type[32];
    uint8_t payee[20], amount_word[32];
    int reads_all;
};

static const char hex_digits[] = "0123456789abcdef";

static void to_hex(const uint8_t *bytes, size_t len, char *out)
{
    *out++ = '0', *out++ = 'x';
    for (size_t i = 0; i < len; i++) *out++ = hex_digits[bytes[i] >> 4], *out++ = hex_digits[bytes[i] & 15];
    *out = '\0';
}

static uint8_t from_hex_digit(char digit)
{
    const char *at = digit ? strchr(hex_digits, digit | 0x20) : NULL;
    if (!at) die("%c is not a hexadecimal digit", digit);
    return (uint8_t)(at - hex_digits);
}

static void from_hex(const char *hex, uint8_t *out, size_t len)
{
    for (hex += 2; len > 0; hex += 2, len--) *out++ = (uint8_t)(from_hex_digit(hex[0]) << 4 | from_hex_digit(hex[1]));
}

static void word_of(uint64_t value, uint8_t word[32])
{
    memset(word, 0, 32);
    for (int i = 0; i < 8; i++) word[31 - i] = (uint8_t)(value >> 8 * i);
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t to_base64(const uint8_t *in, size_t len, char *out)
{
    char *start = out;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t three = (uint32_t)in[i] << 16 | (i + 1 < len ? in[i + 1] << 8 : 0) | (i + 2 < len ? in[i + 2] : 0);
        *out++ = base64_digits[three >> 18];
        *out++ = base64_digits[three >> 12 & 63];
        *out++ = i + 1 < len ? base64_digits[three >> 6 & 63] : '=';
        *out++ = i + 2 < len ? base64_digits[three & 63] : '=';
    }
    return (size_t)(out - start);
}

static size_t from_base64(const char *in, size_t len, char *out)
{
    static int8_t values[256];
    if (values['B'] == 0) {
        memset(values, -1, sizeof values);
        for (int i = 0; i < 64; i++) values[(uint8_t)base64_digits[i]] = (int8_t)i;
    }
    uint32_t bits = 0, have = 0;
    size_t count = 0;
    for (size_t i = 0; i < len && in[i] != '='; i++) {
        int8_t value = values[(uint8_t)in[i]];
        if (value < 0) die("not base64: %.40s", in);
        bits = bits << 6 | (uint32_t)value, have += 6;
        if (have >= 8) have -= 8, out[count++] = (char)(bits >> have);
    }
    out[count] = '\0';
    return count;
}

/* The object that follows `"name":` (or `"name":[`), as it stands. */
static void object_after(const char *json, const char *name, char *out, size_t cap)
{
    const char *at = strstr(json, name), *start, *end;
    if (!at || !(start = strchr(at, '{'))) die("the challenge has no %s", name);
    int depth = 0, quoted = 0;
    for (end = start; *end; end++) {
        if (*end == '"' && end[-1] != '\\') quoted = !quoted;
        if (!quoted && *end == '{') depth++;
        if (!quoted && *end == '}' && --depth == 0) break;
    }
    size_t len = (size_t)(end - start) + 1;
    if (depth != 0 || len >= cap) die("the challenge's %s is cut off or too long", name);
    memcpy(out, start, len);
    out[len] = '\0';
}

static void text_after(const char *json, const char *name, char *out, size_t cap)
{
    const char *at = strstr(json, name), *end;
    if (!at || !(end = strchr(at += strlen(name), '"')) || (size_t)(end - at) >= cap) die("the offer has no %s", name);
    memcpy(out, at, (size_t)(end - at));
    out[end - at] = '\0';
}

static void payer_new(struct payer *payer, const char *key_hex)
{
    static const char domain_type[] = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
    static const char transfer_type[] = "TransferWithAuthorization(address from,address to,uint256 value,"
                                        "uint256 validAfter,uint256 validBefore,bytes32 nonce)";
    payer->secp = SECP(context_preallocated_create)(malloc(SECP(context_preallocated_size)(SECP256K1_CONTEXT_NONE)),
                                                   SECP256K1_CONTEXT_NONE);
    from_hex(key_hex, payer->key, 32);
    uint8_t seed[32], public_bytes[65], hash[32];
    size_t len = sizeof public_bytes;
    SECP(pubkey) public_key;
    if (getrandom(seed, sizeof seed, 0) != sizeof seed || !SECP(context_randomize)(payer->secp, seed)
        || !SECP(ec_pubkey_create)(payer->secp, &public_key, payer->key)) die("the key cannot be used");
    SECP(ec_pubkey_serialize)(payer->secp, public_bytes, &len, &public_key, SECP256K1_EC_UNCOMPRESSED);
    keccak256(public_bytes + 1, 64, hash);
    memcpy(payer->address, hash + 12, 20);
    to_hex(payer->address, 20, payer->address_hex);
    keccak256((const uint8_t *)domain_type, sizeof domain_type - 1, payer->domain_type);
    keccak256((const uint8_t *)transfer_type, sizeof transfer_type - 1, payer->transfer_type);
}

/* Keeps the first offer of a 402's PAYMENT-REQUIRED header, and all that depends on it alone. */
static void payer_read_offer(struct payer *payer, const struct raw *raw)
{
    char json[8192], text[256];
    uint8_t words[5 * 32] = { 0 };
    size_t len;
    const char *header = raw_header(raw, "payment-required", &len);
    if (!header || len > sizeof json) die("the 402 has no PAYMENT-REQUIRED");
    from_base64(header, len, json);
    object_after(json, "\"accepts\":[", payer->offer, sizeof payer->offer);
    object_after(json, "\"resource\":", payer->resource, sizeof payer->resource);
    text_after(payer->offer, "\"amount\":\"", payer->amount, sizeof payer->amount);
    text_after(payer->offer, "\"payTo\":\"", payer->payee_hex, sizeof payer->payee_hex);
    from_hex(payer->payee_hex, payer->payee, 20);
    word_of(number(payer->amount), payer->amount_word);
    const char *timeout = strstr(payer->offer, "\"maxTimeoutSeconds\":");
    payer->timeout_s = timeout ? strtoull(timeout + 20, NULL, 10) : 60;

    memcpy(words, payer->domain_type, 32);
    text_after(payer->offer, "\"name\":\"", text, sizeof text);
    keccak256((const uint8_t *)text, strlen(text), words + 32);
    text_after(payer->offer, "\"version\":\"", text, sizeof text);
    keccak256((const uint8_t *)text, strlen(text), words + 64);
    text_after(payer->offer, "\"network\":\"eip155:", text, sizeof text);
    word_of(number(text), words + 96);
    text_after(payer->offer, "\"asset\":\"", text, sizeof text);
    from_hex(text, words + 128 + 12, 20);
    keccak256(words, sizeof words, payer->separator);
}

static void payer_sign(const struct payer *payer, const uint8_t nonce[32], uint64_t valid_before_s, uint8_t signature[65])
{
    uint8_t words[7 * 32] = { 0 }, last[2 + 64] = { 0x19, 0x01 }, digest[32];
    memcpy(words, payer->transfer_type, 32);
    memcpy(words + 32 + 12, payer->address, 20);
    memcpy(words + 64 + 12, payer->payee, 20);
    memcpy(words + 96, payer->amount_word, 32);
    word_of(valid_before_s, words + 160);
    memcpy(words + 192, nonce, 32);
    memcpy(last + 2, payer->separator, 32);
    keccak256(words, sizeof words, last + 34);
    keccak256(last, sizeof last, digest);
    SECP(ecdsa_recoverable_signature) recoverable;
    int id;
    if (!SECP(ecdsa_sign_recoverable)(payer->secp, &recoverable, digest, payer->key, NULL, NULL)) die("signing failed");
    SECP(ecdsa_recoverable_signature_serialize_compact)(payer->secp, signature, &id, &recoverable);
    signature[64] = (uint8_t)(27 + id);
}

/* A fresh payment of the offer, as the value of PAYMENT-SIGNATURE; its length. */
static size_t payer_credential(const struct payer *payer, char out[CREDENTIAL_BYTES_MAX])
{
    uint8_t nonce[32], signature[65];
    char nonce_hex[67], signature_hex[133], json[CREDENTIAL_BYTES_MAX * 3 / 4 - 3];
    uint64_t valid_before_s = (uint64_t)time(NULL) + payer->timeout_s;
    if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce) die("no randomness");
    payer_sign(payer, nonce, valid_before_s, signature);
    to_hex(nonce, 32, nonce_hex);
    to_hex(signature, 65, signature_hex);
    int len = snprintf(json, sizeof json,
        "{\"x402Version\":2,\"payload\":{\"signature\":\"%s\",\"authorization\":{\"from\":\"%s\",\"to\":\"%s\","
        "\"value\":\"%s\",\"validAfter\":\"0\",\"validBefore\":\"%" PRIu64 "\",\"nonce\":\"%s\"}},"
        "\"resource\":%s,\"accepted\":%s}",
        signature_hex, payer->address_hex, payer->payee_hex, payer->amount, valid_before_s, nonce_hex,
        payer->resource, payer->offer);
    if (len < 0 || (size_t)len >= sizeof json) die("the payment is too long");
    return to_base64((const uint8_t *)json, (size_t)len, out);
}

/* What a receipt says. */
static void read_receipt(const char *receipt, size_t len)
{
    char json[2048], transaction[256];
    if (len > sizeof json) die("the receipt is too long");
    from_base64(receipt, len, json);
    text_after(json, "\"transaction\":\"", transaction, sizeof transaction);
    if (!strstr(json, "\"success\":true")) die("not paid: %s", json);
}

/* GET, 402, payment, 200, on one connection; returns the paid body's length. The offer is read where it is not yet known. */
static size_t paid_get(struct raw *raw, struct payer *payer)
{
    char request[CREDENTIAL_BYTES_MAX + 1024];
    size_t len = (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", raw->path, raw->host);
    raw_send(raw, request, len);
    if (raw_receive(raw) != 402) die("expected 402: %.200s", raw->answer);
    if (payer->reads_all || payer->offer[0] == '\0') payer_read_offer(payer, raw);
    len -= 2;
    len += (size_t)sprintf(request + len, "PAYMENT-SIGNATURE: ");
    len += payer_credential(payer, request + len);
    memcpy(request + len, "\r\n\r\n", 4);
    raw_send(raw, request, len + 4);
    size_t receipt_len;
    const char *receipt;
    if (raw_receive(raw) != 200 || !(receipt = raw_header(raw, "payment-response", &receipt_len)))
        die("not paid: %.200s", raw->answer);
    if (payer->reads_all) read_receipt(receipt, receipt_len);
    return raw->body_len;
}

#endif
