/* codec.h: the texts of a payment and back: hexadecimal, base64, base58, and members of JSON by their names. */
#ifndef BENCH_CODEC_H
#define BENCH_CODEC_H

#include "measure.h"

static const char hex_digits[] = "0123456789abcdef";

static inline void to_bare_hex(const uint8_t *bytes, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) *out++ = hex_digits[bytes[i] >> 4], *out++ = hex_digits[bytes[i] & 15];
    *out = '\0';
}

static inline void to_hex(const uint8_t *bytes, size_t len, char *out)
{
    out[0] = '0', out[1] = 'x';
    to_bare_hex(bytes, len, out + 2);
}

static inline uint8_t from_hex_digit(char digit)
{
    const char *at = digit ? strchr(hex_digits, digit | 0x20) : NULL;
    if (!at) die("%c is not a hexadecimal digit", digit);
    return (uint8_t)(at - hex_digits);
}

static inline void from_hex(const char *hex, uint8_t *out, size_t len)
{
    for (hex += 2; len > 0; hex += 2, len--) *out++ = (uint8_t)(from_hex_digit(hex[0]) << 4 | from_hex_digit(hex[1]));
}

static inline void word_of(uint64_t value, uint8_t word[32])
{
    memset(word, 0, 32);
    for (int i = 0; i < 8; i++) word[31 - i] = (uint8_t)(value >> 8 * i);
}

/* A big-endian number of 256 bits. */
static inline void to_decimal(const uint8_t word[32], char out[80])
{
    uint64_t limbs[4];
    char digits[80];
    size_t count = 0;
    for (int i = 0; i < 4; i++) {
        limbs[i] = 0;
        for (int at = 0; at < 8; at++) limbs[i] = limbs[i] << 8 | word[8 * i + at];
    }
    do {
        /* So many digits at a time as a word of 64 bits holds. */
        unsigned __int128 rest = 0;
        for (int i = 0; i < 4; i++) {
            unsigned __int128 part = rest << 64 | limbs[i];
            limbs[i] = (uint64_t)(part / 10000000000000000000u);
            rest = part % 10000000000000000000u;
        }
        uint64_t chunk = (uint64_t)rest;
        for (int i = 0; i < 19; i++, chunk /= 10) digits[count++] = (char)('0' + chunk % 10);
    } while (limbs[0] | limbs[1] | limbs[2] | limbs[3]);
    while (count > 1 && digits[count - 1] == '0') count--;
    for (size_t i = 0; i < count; i++) out[i] = digits[count - 1 - i];
    out[count] = '\0';
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static inline size_t to_base64(const uint8_t *in, size_t len, char *out)
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

static inline size_t from_base64(const char *in, size_t len, char *out)
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

/* 32 bytes. */
static inline void from_base58(const char *text, uint8_t out[32])
{
    static const char digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    memset(out, 0, 32);
    for (const char *at = text; *at; at++) {
        const char *digit = strchr(digits, *at);
        if (!digit) die("not base58: %s", text);
        unsigned carry = (unsigned)(digit - digits);
        for (int i = 31; i >= 0; i--) carry += 58u * out[i], out[i] = (uint8_t)carry, carry >>= 8;
    }
}

/* The object that follows `"name":` (or `"name":[`), as it stands. */
static inline void object_after(const char *json, const char *name, char *out, size_t cap)
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

static inline void text_after(const char *json, const char *name, char *out, size_t cap)
{
    const char *at = strstr(json, name), *end;
    if (!at || !(end = strchr(at += strlen(name), '"')) || (size_t)(end - at) >= cap) die("the offer has no %s", name);
    memcpy(out, at, (size_t)(end - at));
    out[end - at] = '\0';
}

#endif
