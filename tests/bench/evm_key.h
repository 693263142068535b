/* evm_key.h: the test key on EVM chains and its signature of an EIP-712 message.
 *
 * libsecp256k1 is the one the library itself is built with; SECP_PREFIX is what its functions' names begin with. */
#ifndef BENCH_EVM_KEY_H
#define BENCH_EVM_KEY_H

#include "codec.h"
#include "keccak.h"
#include <secp256k1.h>
#include <secp256k1_preallocated.h>
#include <secp256k1_recovery.h>
#include <sys/random.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the benchmark's Keccak is for little-endian machines");

#define SECP_GLUE_(a, b) a##b
#define SECP_GLUE(a, b) SECP_GLUE_(a, b)
#define SECP(name) SECP_GLUE(SECP_PREFIX, name)

static struct {
    SECP(context) *secp;
    uint8_t key[32], address[20];
    char address_hex[43];
} evm;

static void evm_key_make_ready(void)
{
    evm.secp = SECP(context_preallocated_create)(malloc(SECP(context_preallocated_size)(SECP256K1_CONTEXT_NONE)),
                                                SECP256K1_CONTEXT_NONE);
    from_hex(TEST_KEY, evm.key, 32);
    uint8_t seed[32], public_bytes[65], hash[32];
    size_t len = sizeof public_bytes;
    SECP(pubkey) public_key;
    if (getrandom(seed, sizeof seed, 0) != sizeof seed || !SECP(context_randomize)(evm.secp, seed)
        || !SECP(ec_pubkey_create)(evm.secp, &public_key, evm.key)) die("the key cannot be used");
    SECP(ec_pubkey_serialize)(evm.secp, public_bytes, &len, &public_key, SECP256K1_EC_UNCOMPRESSED);
    keccak256(public_bytes + 1, 64, hash);
    memcpy(evm.address, hash + 12, 20);
    to_hex(evm.address, 20, evm.address_hex);
}

/* The signature of a message that hashes to `message`, as text. */
static void evm_sign(const uint8_t separator[32], const uint8_t message[32], char out[133])
{
    uint8_t last[2 + 64] = { 0x19, 0x01 }, digest[32], signature[65];
    memcpy(last + 2, separator, 32);
    memcpy(last + 34, message, 32);
    keccak256(last, sizeof last, digest);
    SECP(ecdsa_recoverable_signature) recoverable;
    int id;
    if (!SECP(ecdsa_sign_recoverable)(evm.secp, &recoverable, digest, evm.key, NULL, NULL)) die("signing failed");
    SECP(ecdsa_recoverable_signature_serialize_compact)(evm.secp, signature, &id, &recoverable);
    signature[64] = (uint8_t)(27 + id);
    to_hex(signature, sizeof signature, out);
}

static void keccak256_text(const char *text, uint8_t hash[32])
{
    keccak256((const uint8_t *)text, strlen(text), hash);
}

#endif
