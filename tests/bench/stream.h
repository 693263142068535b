/* stream.h: the streamed body of the upload benchmarks: a block of noise, handed out again and again. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define STREAM_BLOCK_BYTES (64 * 1024)

struct stream { uint64_t total, given; };

static uint8_t stream_block[STREAM_BLOCK_BYTES];

static void stream_prepare(void)
{
    uint32_t noise = 2463534242u;
    for (size_t i = 0; i < sizeof stream_block; i++) {
        noise ^= noise << 13, noise ^= noise >> 17, noise ^= noise << 5;
        stream_block[i] = (uint8_t)noise;
    }
}

/* Fills `buffer` as far as the body goes; 0 is its end. */
static size_t stream_read(struct stream *stream, void *buffer, size_t cap)
{
    uint64_t left = stream->total - stream->given;
    size_t count = cap < left ? cap : (size_t)left;
    for (size_t done = 0; done < count;) {
        size_t at = (size_t)((stream->given + done) % STREAM_BLOCK_BYTES);
        size_t piece = STREAM_BLOCK_BYTES - at;
        if (piece > count - done) piece = count - done;
        memcpy((uint8_t *)buffer + done, stream_block + at, piece);
        done += piece;
    }
    stream->given += count;
    return count;
}

#endif
