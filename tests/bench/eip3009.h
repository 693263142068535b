/* eip3009.h: pays by EIP-3009: a nonce, the domain's hashes where the offer is read, the message's two, one signature. */
#ifndef BENCH_EIP3009_H
#define BENCH_EIP3009_H

#include "evm_key.h"
#include "payer.h"

static struct {
    uint8_t domain_type[32], transfer_type[32];
    uint8_t separator[32], payee[20], amount_word[32];
} eip3009;

static void eip3009_make_ready(void)
{
    evm_key_make_ready();
    keccak256_text("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
                   eip3009.domain_type);
    keccak256_text("TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,"
                   "uint256 validBefore,bytes32 nonce)", eip3009.transfer_type);
}

static void eip3009_read(const struct offer *offer)
{
    char text[256];
    uint8_t words[5 * 32] = { 0 };
    from_hex(offer->payee, eip3009.payee, 20);
    word_of(number(offer->amount), eip3009.amount_word);
    memcpy(words, eip3009.domain_type, 32);
    text_after(offer->json, "\"name\":\"", text, sizeof text);
    keccak256_text(text, words + 32);
    text_after(offer->json, "\"version\":\"", text, sizeof text);
    keccak256_text(text, words + 64);
    text_after(offer->json, "\"network\":\"eip155:", text, sizeof text);
    word_of(number(text), words + 96);
    text_after(offer->json, "\"asset\":\"", text, sizeof text);
    from_hex(text, words + 128 + 12, 20);
    keccak256(words, sizeof words, eip3009.separator);
}

static void eip3009_pay(const struct offer *offer, char out[PAYLOAD_BYTES_MAX])
{
    uint8_t words[7 * 32] = { 0 }, nonce[32], message[32];
    char nonce_hex[67], signature_hex[133];
    uint64_t valid_before_s = (uint64_t)time(NULL) + offer->timeout_s;
    random_bytes(nonce, sizeof nonce);
    memcpy(words, eip3009.transfer_type, 32);
    memcpy(words + 32 + 12, evm.address, 20);
    memcpy(words + 64 + 12, eip3009.payee, 20);
    memcpy(words + 96, eip3009.amount_word, 32);
    word_of(valid_before_s, words + 160);
    memcpy(words + 192, nonce, 32);
    keccak256(words, sizeof words, message);
    evm_sign(eip3009.separator, message, signature_hex);
    to_hex(nonce, 32, nonce_hex);
    snprintf(out, PAYLOAD_BYTES_MAX,
             "{\"signature\":\"%s\",\"authorization\":{\"from\":\"%s\",\"to\":\"%s\",\"value\":\"%s\","
             "\"validAfter\":\"0\",\"validBefore\":\"%" PRIu64 "\",\"nonce\":\"%s\"}}",
             signature_hex, evm.address_hex, offer->payee, offer->amount, valid_before_s, nonce_hex);
}

static const struct kind by_eip3009 = { "eip3009", eip3009_make_ready, eip3009_read, eip3009_pay };

#endif
