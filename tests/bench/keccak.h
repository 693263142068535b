/* keccak.h: Keccak-256 (the original padding, as Ethereum has it), every loop of a round unrolled: the indices must be
 * constants, or the hash costs four times as much and flatters whoever is compared with it. */
#ifndef BENCH_KECCAK_H
#define BENCH_KECCAK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KECCAK_RATE_BYTES 136

static inline uint64_t keccak_rotate(uint64_t lane, unsigned by)
{
    return lane << by | lane >> (64 - by);
}

static void keccak_permute(uint64_t a[25])
{
    static const uint64_t rounds[24] = {
        0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
        0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
        0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
        0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
        0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008 };
    static const uint8_t turn[24] = { 1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44 };
    static const uint8_t lane[24] = { 10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1 };
    for (int round = 0; round < 24; round++) {
        uint64_t c[5], t;
#pragma GCC unroll 25
        for (int x = 0; x < 5; x++) c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
#pragma GCC unroll 25
        for (int x = 0; x < 5; x++) {
            t = c[(x + 4) % 5] ^ keccak_rotate(c[(x + 1) % 5], 1);
#pragma GCC unroll 25
            for (int y = 0; y < 25; y += 5) a[y + x] ^= t;
        }
        t = a[1];
#pragma GCC unroll 25
        for (int i = 0; i < 24; i++) {
            uint64_t next = a[lane[i]];
            a[lane[i]] = keccak_rotate(t, turn[i]);
            t = next;
        }
#pragma GCC unroll 25
        for (int y = 0; y < 25; y += 5) {
#pragma GCC unroll 25
            for (int x = 0; x < 5; x++) c[x] = a[y + x];
#pragma GCC unroll 25
            for (int x = 0; x < 5; x++) a[y + x] ^= ~c[(x + 1) % 5] & c[(x + 2) % 5];
        }
        a[0] ^= rounds[round];
    }
}

static void keccak256(const uint8_t *data, size_t len, uint8_t out[32])
{
    uint64_t state[25] = { 0 };
    uint8_t block[KECCAK_RATE_BYTES];
    for (;;) {
        size_t take = len < sizeof block ? len : sizeof block;
        memset(block, 0, sizeof block);
        memcpy(block, data, take);
        if (take < sizeof block) {
            block[take] ^= 0x01;
            block[sizeof block - 1] ^= 0x80;
        }
        for (int i = 0; i < KECCAK_RATE_BYTES / 8; i++) {
            uint64_t word;
            memcpy(&word, block + 8 * i, 8); /* little-endian machines only, as the assertion in eip3009.h says */
            state[i] ^= word;
        }
        keccak_permute(state);
        if (take < sizeof block) break;
        data += take, len -= take;
    }
    memcpy(out, state, 32);
}

#endif
