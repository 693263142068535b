/* values.c: how the values of a call cross, and that C is never told of more bytes than there are. Texts are copied, and
 * wiped afterwards, for one may be a key. */
#include "addon.h"
#include <stdio.h>

#define LISTED_MAX 1024
#define EXACT_MAX 9007199254740991.0
#define OUTPUT_BYTES 8

void fail(napi_env env, const char *function, const char *what)
{
    char message[200];
    bool pending = false;
    napi_is_exception_pending(env, &pending);
    if (pending)
        return;
    snprintf(message, sizeof message, "%s: %s", function, what);
    napi_throw_type_error(env, NULL, message);
}

static int take_text(napi_env env, call *c, napi_value from, value *out)
{
    size_t len;
    text *copy;
    if (napi_get_value_string_utf8(env, from, NULL, 0, &len) != napi_ok || !(copy = malloc(sizeof *copy + len + 1)))
        return 0;
    napi_get_value_string_utf8(env, from, copy->bytes, len + 1, &len);
    copy->len = len;
    copy->next = c->texts;
    c->texts = copy;
    out->pointer = copy->bytes;
    return strlen(copy->bytes) == len; /* a NUL inside would cut it short */
}

static int take_list(napi_env env, call *c, napi_value from, value *out, size_t *size)
{
    uint32_t count;
    text *list;
    if (napi_get_array_length(env, from, &count) != napi_ok || count > LISTED_MAX ||
        !(list = calloc(1, sizeof *list + (count + 1) * sizeof(char *))))
        return 0;
    list->len = (count + 1) * sizeof(char *);
    list->next = c->texts;
    c->texts = list;
    out->pointer = list->bytes;
    *size = count;
    for (uint32_t i = 0; i < count; i++) {
        napi_value element;
        value one;
        if (napi_get_element(env, from, i, &element) != napi_ok || !take_text(env, c, element, &one))
            return 0;
        memcpy(list->bytes + i * sizeof one.pointer, &one.pointer, sizeof one.pointer);
    }
    return 1;
}

static int take_bytes(napi_env env, napi_value from, value *out, size_t *size)
{
    bool is_buffer = false;
    return napi_is_buffer(env, from, &is_buffer) == napi_ok && is_buffer &&
           napi_get_buffer_info(env, from, &out->pointer, size) == napi_ok;
}

/* It says itself how much of it C may write. */
static int take_event(napi_env env, napi_value from, value *out, size_t *size)
{
    size_t said;
    if (!take_bytes(env, from, out, size) || *size < sizeof said)
        return 0;
    memcpy(&said, out->pointer, sizeof said);
    return said <= *size;
}

static int take_userdata(napi_env env, napi_value from, char kind, value *out)
{
    value bytes;
    size_t size;
    if ((out->pointer = callback_of(env, from)))
        return 1;
    if (kind != 'd' || !take_bytes(env, from, &bytes, &size) || size < OUTPUT_BYTES)
        return 0;
    memcpy(&out->pointer, bytes.pointer, sizeof out->pointer); /* an output that held an address */
    return 1;
}

static int take_number(napi_env env, napi_value from, char kind, value *out)
{
    double number;
    bool lossless;
    if (napi_get_value_bigint_uint64(env, from, &out->number, &lossless) == napi_ok)
        return lossless && kind == 'u';
    if (napi_get_value_double(env, from, &number) != napi_ok || !(number <= EXACT_MAX) || !(number >= -EXACT_MAX) ||
        number != (double)(int64_t)number || (kind != 'i' && number < 0))
        return 0;
    out->number = (uint64_t)(int64_t)number;
    return 1;
}

/* A length, of the bytes before it; a count, of both lists before it. */
static int fits(const call *c, size_t at, char kind)
{
    uint64_t wanted = c->arguments[at].number;
    return wanted <= c->sizes[at - 1] && (kind != 'n' || wanted <= c->sizes[at - 2]);
}

static int take(napi_env env, call *c, napi_value from, size_t at)
{
    char kind = c->function->takes[at];
    value *out = &c->arguments[at];
    size_t *size = &c->sizes[at];
    napi_valuetype type;
    if (napi_typeof(env, from, &type) != napi_ok)
        return 0;
    if (type == napi_null || type == napi_undefined)
        return !strchr("uiln", kind);
    switch (kind) {
    case 's':
        return take_text(env, c, from, out);
    case 'a':
        return take_list(env, c, from, out, size);
    case 'b':
        return take_bytes(env, from, out, size);
    case 'o':
        return take_bytes(env, from, out, size) && *size >= OUTPUT_BYTES;
    case 'e':
        return take_event(env, from, out, size);
    case 'f':
    case 'd':
        return take_userdata(env, from, kind, out);
    case 'l':
    case 'n':
        return take_number(env, from, kind, out) && fits(c, at, kind);
    default:
        return take_number(env, from, kind, out);
    }
}

int take_all(napi_env env, call *c, const napi_value *arguments, size_t count)
{
    size_t wanted = strlen(c->function->takes);
    char what[100];
    if (count != wanted) {
        snprintf(what, sizeof what, "takes %zu arguments, not %zu", wanted, count);
        fail(env, c->function->name, what);
        return 0;
    }
    for (size_t i = 0; i < wanted; i++)
        if (!take(env, c, arguments[i], i)) {
            snprintf(what, sizeof what, "argument %zu is not of its kind, holds a NUL, or says more than there is", i + 1);
            fail(env, c->function->name, what);
            return 0;
        }
    return 1;
}

void forget_texts(call *c)
{
    while (c->texts) {
        text *next = c->texts->next;
        memset(c->texts->bytes, 0, c->texts->len);
        __asm__ __volatile__("" : : "r"(c->texts->bytes) : "memory"); /* or the compiler leaves that out */
        free(c->texts);
        c->texts = next;
    }
}

napi_value result_of(napi_env env, const call *c)
{
    napi_value out = NULL;
    switch (c->function->result) {
    case 's':
        if (c->result.pointer)
            napi_create_string_utf8(env, c->result.pointer, NAPI_AUTO_LENGTH, &out);
        else
            napi_get_null(env, &out);
        break;
    case 'i':
        napi_create_int32(env, (int32_t)c->result.number, &out);
        break;
    case 'h':
    case 'u':
        napi_create_double(env, (double)c->result.number, &out);
        break;
    default:
        napi_get_undefined(env, &out);
    }
    return out;
}

/* headers_of(response): [name, value] of each header, as they came; values are bytes, a character each. */
napi_value headers_of(napi_env env, napi_callback_info info)
{
    size_t count = 1;
    napi_value argument, out, pair, text;
    double handle = 0;
    napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
    napi_get_value_double(env, argument, &handle);
    const x402_response *response = (const x402_response *)(uintptr_t)handle;
    size_t headers = x402_response_header_count(response);
    napi_create_array_with_length(env, headers, &out);
    for (size_t i = 0; i < headers; i++) {
        const char *name, *value;
        size_t len;
        if (x402_response_header_at(response, i, &name, &value, &len, NULL) != X402_OK)
            break;
        napi_create_array_with_length(env, 2, &pair);
        napi_create_string_latin1(env, name, NAPI_AUTO_LENGTH, &text);
        napi_set_element(env, pair, 0, text);
        napi_create_string_latin1(env, value, len, &text);
        napi_set_element(env, pair, 1, text);
        napi_set_element(env, out, (uint32_t)i, pair);
    }
    return out;
}

/* record_of(payment): its money, its texts, and its JSON, in the order of raw.js. */
napi_value record_of(napi_env env, napi_callback_info info)
{
    static const char *(*const texts[])(const x402_payment *) = {x402_payment_amount, x402_payment_asset, x402_payment_network,
        x402_payment_payee, x402_payment_transaction, x402_payment_refusal, x402_payment_json};
    size_t count = 1;
    napi_value argument, out, one;
    double handle = 0;
    napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
    napi_get_value_double(env, argument, &handle);
    const x402_payment *payment = (const x402_payment *)(uintptr_t)handle;
    napi_create_array_with_length(env, 1 + COUNT(texts), &out);
    napi_create_int32(env, x402_payment_money(payment), &one);
    napi_set_element(env, out, 0, one);
    for (size_t i = 0; i < COUNT(texts); i++) {
        const char *text = texts[i](payment);
        napi_create_string_utf8(env, text ? text : "", NAPI_AUTO_LENGTH, &one);
        napi_set_element(env, out, (uint32_t)i + 1, one);
    }
    return out;
}

/* bytes_at(output, length): a copy of the bytes at the address that an output holds; of a text without its length. */
napi_value bytes_at(napi_env env, napi_callback_info info)
{
    size_t count = 2, size;
    napi_value arguments[2], out = NULL;
    value holder;
    const char *address;
    double len = -1;
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    if (!take_bytes(env, arguments[0], &holder, &size) || size < OUTPUT_BYTES) {
        fail(env, "bytes_at", "wants an output");
        return NULL;
    }
    memcpy(&address, holder.pointer, sizeof address);
    napi_get_value_double(env, arguments[1], &len);
    if (!address)
        napi_get_null(env, &out);
    else
        napi_create_buffer_copy(env, len < 0 ? strlen(address) : (size_t)len, address, NULL, &out);
    return out;
}
