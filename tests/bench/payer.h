/* payer.h: the least a C program must do to pay an `exact` offer: 402, payment, 200, on one connection.
 *
 * Does not know how an offer is signed: that is a `struct kind` (eip3009.h, permit2.h, solana.h). It is a floor and no
 * client: it trusts the server, knows one offer, and checks nothing. With `reads_all` a call has every part that a
 * client cannot be without: the challenge is decoded and what is signed of it read each time, and so is the receipt;
 * otherwise the offer is read once. */
#ifndef BENCH_PAYER_H
#define BENCH_PAYER_H

#include "codec.h"
#include "raw_http.h"
#include <sys/random.h>

#define CREDENTIAL_BYTES_MAX 8192
#define PAYLOAD_BYTES_MAX 4096

/* Of the offer, verbatim. */
struct offer {
    char json[2048], resource[1024], amount[80], payee[64];
    uint64_t timeout_s;
};

/* How an offer is signed. */
struct kind {
    const char *name;
    void (*make_ready)(void);
    void (*read)(const struct offer *offer);
    /* A fresh payment as JSON (x402 `payload`). */
    void (*pay)(const struct offer *offer, char out[PAYLOAD_BYTES_MAX]);
};

struct payer {
    const struct kind *kind;
    struct offer offer;
    int reads_all;
};

static void random_bytes(uint8_t *out, size_t len)
{
    if (getrandom(out, len, 0) != (ssize_t)len) die("no randomness");
}

/* The first offer of a 402's PAYMENT-REQUIRED header. */
static void payer_read_offer(struct payer *payer, const struct raw *raw)
{
    char json[8192];
    size_t len;
    struct offer *offer = &payer->offer;
    const char *header = raw_header(raw, "payment-required", &len);
    if (!header || len > sizeof json) die("the 402 has no PAYMENT-REQUIRED");
    from_base64(header, len, json);
    object_after(json, "\"accepts\":[", offer->json, sizeof offer->json);
    object_after(json, "\"resource\":", offer->resource, sizeof offer->resource);
    text_after(offer->json, "\"amount\":\"", offer->amount, sizeof offer->amount);
    text_after(offer->json, "\"payTo\":\"", offer->payee, sizeof offer->payee);
    const char *timeout = strstr(offer->json, "\"maxTimeoutSeconds\":");
    offer->timeout_s = timeout ? strtoull(timeout + 20, NULL, 10) : 60;
    payer->kind->read(offer);
}

/* A fresh payment of the offer, as the value of PAYMENT-SIGNATURE; its length. */
static size_t payer_credential(const struct payer *payer, char out[CREDENTIAL_BYTES_MAX])
{
    char payload[PAYLOAD_BYTES_MAX], json[CREDENTIAL_BYTES_MAX * 3 / 4 - 3];
    payer->kind->pay(&payer->offer, payload);
    int len = snprintf(json, sizeof json, "{\"x402Version\":2,\"payload\":%s,\"resource\":%s,\"accepted\":%s}", payload,
                       payer->offer.resource, payer->offer.json);
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

/* GET, 402, payment, 200, on one connection; returns the paid body's length. */
static size_t paid_get(struct raw *raw, struct payer *payer)
{
    char request[CREDENTIAL_BYTES_MAX + 1024];
    size_t len = (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", raw->path, raw->host);
    raw_send(raw, request, len);
    if (raw_receive(raw) != 402) die("expected 402: %.200s", raw->answer);
    if (payer->reads_all || payer->offer.json[0] == '\0') payer_read_offer(payer, raw);
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
