/* permit2.h: pays through Permit2 with x402's proxy: one hash of the domain where the offer is read, four blocks for the
 * message, one signature. What is the same for every offer is hashed once. */
#ifndef BENCH_PERMIT2_H
#define BENCH_PERMIT2_H

#include "evm_key.h"
#include "payer.h"

#define PERMIT2_CONTRACT "0x000000000022D473030F116dDEE9F6B43aC78BA3"
#define EXACT_PROXY "0x402085c248EeA27D92E8b30b2C58ed07f9E20001"

static struct {
    uint8_t domain_type[32], name[32], permit_type[32], permissions_type[32], witness_type[32];
    uint8_t contract[20], proxy[20];
    uint8_t separator[32], token[20], payee[20], amount_word[32];
    char token_hex[64];
} permit2;

static void permit2_make_ready(void)
{
    evm_key_make_ready();
    keccak256_text("EIP712Domain(string name,uint256 chainId,address verifyingContract)", permit2.domain_type);
    keccak256_text("Permit2", permit2.name);
    keccak256_text("PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,"
                   "Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,uint256 validAfter)",
                   permit2.permit_type);
    keccak256_text("TokenPermissions(address token,uint256 amount)", permit2.permissions_type);
    keccak256_text("Witness(address to,uint256 validAfter)", permit2.witness_type);
    from_hex(PERMIT2_CONTRACT, permit2.contract, 20);
    from_hex(EXACT_PROXY, permit2.proxy, 20);
}

static void permit2_read(const struct offer *offer)
{
    char text[256];
    uint8_t words[4 * 32] = { 0 };
    from_hex(offer->payee, permit2.payee, 20);
    word_of(number(offer->amount), permit2.amount_word);
    text_after(offer->json, "\"asset\":\"", permit2.token_hex, sizeof permit2.token_hex);
    from_hex(permit2.token_hex, permit2.token, 20);
    memcpy(words, permit2.domain_type, 32);
    memcpy(words + 32, permit2.name, 32);
    text_after(offer->json, "\"network\":\"eip155:", text, sizeof text);
    word_of(number(text), words + 64);
    memcpy(words + 96 + 12, permit2.contract, 20);
    keccak256(words, sizeof words, permit2.separator);
}

static void permit2_hash(const uint8_t nonce[32], uint64_t deadline_s, uint8_t message[32])
{
    uint8_t permitted[3 * 32] = { 0 }, witness[3 * 32] = { 0 }, words[6 * 32] = { 0 };
    memcpy(permitted, permit2.permissions_type, 32);
    memcpy(permitted + 32 + 12, permit2.token, 20);
    memcpy(permitted + 64, permit2.amount_word, 32);
    memcpy(witness, permit2.witness_type, 32);
    memcpy(witness + 32 + 12, permit2.payee, 20);
    memcpy(words, permit2.permit_type, 32);
    keccak256(permitted, sizeof permitted, words + 32);
    memcpy(words + 64 + 12, permit2.proxy, 20);
    memcpy(words + 96, nonce, 32);
    word_of(deadline_s, words + 128);
    keccak256(witness, sizeof witness, words + 160);
    keccak256(words, sizeof words, message);
}

static void permit2_pay(const struct offer *offer, char out[PAYLOAD_BYTES_MAX])
{
    uint8_t nonce[32], message[32];
    char nonce_text[80], signature_hex[133];
    uint64_t deadline_s = (uint64_t)time(NULL) + offer->timeout_s;
    random_bytes(nonce, sizeof nonce);
    permit2_hash(nonce, deadline_s, message);
    evm_sign(permit2.separator, message, signature_hex);
    to_decimal(nonce, nonce_text);
    snprintf(out, PAYLOAD_BYTES_MAX,
             "{\"signature\":\"%s\",\"permit2Authorization\":{\"from\":\"%s\",\"permitted\":{\"token\":\"%s\","
             "\"amount\":\"%s\"},\"spender\":\"" EXACT_PROXY "\",\"nonce\":\"%s\",\"deadline\":\"%" PRIu64 "\","
             "\"witness\":{\"to\":\"%s\",\"validAfter\":\"0\"}}}",
             signature_hex, evm.address_hex, permit2.token_hex, offer->amount, nonce_text, deadline_s, offer->payee);
}

static const struct kind by_permit2 = { "permit2", permit2_make_ready, permit2_read, permit2_pay };

#endif
