/* solana.h: pays on Solana: sixteen random bytes in a memo, one ed25519 signature, base64 twice.
 *
 * Its message is made ready once for the one offer of the scenario, and the token accounts are constants, as a client
 * finds them that has derived them before. Reading an offer is to see that it is still that one. */
#ifndef BENCH_SOLANA_H
#define BENCH_SOLANA_H

#include "payer.h"

/* tests/bench/ed25519: the same code that the library signs with. */
struct ed25519_key;
const struct ed25519_key *ed25519_key(const uint8_t seed[32], uint8_t public_key[32]);
void ed25519_sign(const struct ed25519_key *key, const uint8_t *message, size_t len, uint8_t signature[64]);

/* The accounts of the test key and of the scenario's payee in USDC. */
#define SOURCE_ACCOUNT "FjCjyojZLVYVQ2dEdDKQx76msks96TdH9xqvc8BQ9UUx"
#define DESTINATION_ACCOUNT "ASZ2TDDNJG2n42TxAezqNNzwWipykHrENDKMCoLKgzup"

#define COMPUTE_UNITS 20000
#define USDC_DECIMALS 6
#define MEMO_BYTES 32
#define SIGNATURE_BYTES 64
/* Of the fee payer, which signs later, and of the payer. */
#define SIGNATURES 2

static struct {
    const struct ed25519_key *key;
    uint8_t public_key[32];
    char mint[64], payee[64], fee_payer[64], blockhash[64], amount[80];
    /* How many signatures, these, and then the message. */
    uint8_t transaction[1 + SIGNATURES * SIGNATURE_BYTES + 1024];
    size_t len, memo_at;
} solana;

static void solana_make_ready(void)
{
    uint8_t seed[32];
    for (int i = 0; i < 32; i++) seed[i] = (uint8_t)(i + 1);
    solana.key = ed25519_key(seed, solana.public_key);
}

static void solana_put(const void *bytes, size_t len)
{
    memcpy(solana.transaction + solana.len, bytes, len);
    solana.len += len;
}

static void solana_put_address(const char *base58)
{
    uint8_t bytes[32];
    from_base58(base58, bytes);
    solana_put(bytes, sizeof bytes);
}

/* A number, its low byte first. */
static void solana_put_number(uint64_t value, size_t bytes)
{
    for (; bytes > 0; bytes--, value >>= 8) solana.transaction[solana.len++] = (uint8_t)value;
}

static void solana_compile(void)
{
    enum { FEE_PAYER, PAYER, SOURCE, DESTINATION, MINT, TOKEN, COMPUTE_BUDGET, MEMO, ADDRESSES };
    solana.len = 0;
    solana_put_number(SIGNATURES, 1);
    solana.len += SIGNATURES * SIGNATURE_BYTES;
    /* Version 0; two sign, of which one only reads, and four of the others only read. */
    solana_put((const uint8_t[]){ 0x80, SIGNATURES, 1, 4, ADDRESSES }, 5);
    solana_put_address(solana.fee_payer);
    solana_put(solana.public_key, 32);
    solana_put_address(SOURCE_ACCOUNT);
    solana_put_address(DESTINATION_ACCOUNT);
    solana_put_address(solana.mint);
    solana_put_address("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
    solana_put_address("ComputeBudget111111111111111111111111111111");
    solana_put_address("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
    solana_put_address(solana.blockhash);
    /* Four calls: program, accounts, data, each list with its length before it. */
    solana_put((const uint8_t[]){ 4, COMPUTE_BUDGET, 0, 5, 2 }, 5);
    solana_put_number(COMPUTE_UNITS, 4);
    solana_put((const uint8_t[]){ COMPUTE_BUDGET, 0, 9, 3 }, 4);
    solana_put_number(1, 8);
    solana_put((const uint8_t[]){ TOKEN, 4, SOURCE, MINT, DESTINATION, PAYER, 10, 12 }, 8);
    solana_put_number(number(solana.amount), 8);
    solana_put((const uint8_t[]){ USDC_DECIMALS, MEMO, 0, MEMO_BYTES }, 4);
    solana.memo_at = solana.len;
    solana.len += MEMO_BYTES;
    solana_put_number(0, 1); /* no address comes from a table */
}

/* Whether `known` was another text, which it is no more. */
static int solana_changes(const struct offer *offer, const char *name, char *known, size_t cap)
{
    char text[80];
    text_after(offer->json, name, text, cap);
    if (strcmp(text, known) == 0) return 0;
    strcpy(known, text);
    return 1;
}

static void solana_read(const struct offer *offer)
{
    int changes = solana_changes(offer, "\"asset\":\"", solana.mint, sizeof solana.mint)
        | solana_changes(offer, "\"payTo\":\"", solana.payee, sizeof solana.payee)
        | solana_changes(offer, "\"feePayer\":\"", solana.fee_payer, sizeof solana.fee_payer)
        | solana_changes(offer, "\"recentBlockhash\":\"", solana.blockhash, sizeof solana.blockhash)
        | solana_changes(offer, "\"amount\":\"", solana.amount, sizeof solana.amount);
    if (changes) solana_compile();
}

static void solana_pay(const struct offer *offer, char out[PAYLOAD_BYTES_MAX])
{
    (void)offer;
    uint8_t random[MEMO_BYTES / 2];
    char memo[MEMO_BYTES + 1];
    random_bytes(random, sizeof random);
    to_bare_hex(random, sizeof random, memo);
    memcpy(solana.transaction + solana.memo_at, memo, MEMO_BYTES);
    size_t signed_from = 1 + SIGNATURES * SIGNATURE_BYTES;
    ed25519_sign(solana.key, solana.transaction + signed_from, solana.len - signed_from,
                 solana.transaction + 1 + SIGNATURE_BYTES);
    char *at = out + sprintf(out, "{\"transaction\":\"");
    at += to_base64(solana.transaction, solana.len, at);
    strcpy(at, "\"}");
}

static const struct kind on_solana = { "solana", solana_make_ready, solana_read, solana_pay };

#endif
