#include "json.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64

typedef struct reader {
    const char *at, *end;
    int depth;
} reader;

static json *read_value(reader *in);

static void skip_space(reader *in)
{
    while (in->at < in->end && strchr(" \t\r\n", *in->at))
        in->at++;
}

static int take(reader *in, char wanted)
{
    skip_space(in);
    if (in->at >= in->end || *in->at != wanted)
        return 0;
    in->at++;
    return 1;
}

static int take_word(reader *in, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(in->end - in->at) < len || strncmp(in->at, word, len) != 0)
        return 0;
    in->at += len;
    return 1;
}

static json *make(json_kind kind)
{
    json *value = calloc(1, sizeof *value);
    if (!value)
        abort();
    value->kind = kind;
    return value;
}

/* ---- text ---- */

static long read_hex4(reader *in)
{
    long code = 0;
    if (in->end - in->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = *in->at++;
        const char *digits = "0123456789abcdef", *digit = strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);
        if (!c || !digit)
            return -1;
        code = code * 16 + (digit - digits);
    }
    return code;
}

static char *put_utf8(char *out, long code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 63));
        *out++ = (char)(0x80 | (code >> 6 & 63));
        *out++ = (char)(0x80 | (code & 63));
    }
    return out;
}

static char *read_escape(reader *in, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *simple;
    long code, low;
    if (in->at >= in->end)
        return NULL;
    if (*in->at != 'u') {
        simple = *in->at ? strchr(from, *in->at++) : NULL;
        if (!simple)
            return NULL;
        *out++ = to[simple - from];
        return out;
    }
    in->at++;
    code = read_hex4(in);
    if (code >= 0xd800 && code < 0xdc00) {
        if (!take_word(in, "\\u") || (low = read_hex4(in)) < 0xdc00 || low > 0xdfff)
            return NULL;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code < 0 || (code >= 0xdc00 && code < 0xe000)) {
        return NULL;
    }
    return put_utf8(out, code);
}

/* The opening quote has been read. Text never gets longer by being read. */
static char *read_text(reader *in, size_t *len)
{
    const char *start = in->at;
    char *text = malloc((size_t)(in->end - start) + 1), *out = text;
    if (!text)
        abort();
    while (out && in->at < in->end && *in->at != '"') {
        if (*in->at == '\\') {
            in->at++;
            out = read_escape(in, out);
        } else {
            *out++ = *in->at++;
        }
    }
    if (!out || in->at >= in->end) {
        free(text);
        return NULL;
    }
    in->at++;
    *out = '\0';
    *len = (size_t)(out - text);
    return realloc(text, *len + 1);
}

/* ---- lists and objects ---- */

/* The opening bracket has been read. */
static json *read_members(reader *in, json_kind kind, char closing)
{
    json *whole = make(kind), **place = &whole->first;
    if (take(in, closing))
        return whole;
    do {
        char *name = NULL;
        size_t name_len;
        json *member;
        if (kind == JSON_OBJECT && (!take(in, '"') || !(name = read_text(in, &name_len)) || !take(in, ':'))) {
            free(name);
            json_free(whole);
            return NULL;
        }
        member = read_value(in);
        if (!member) {
            free(name);
            json_free(whole);
            return NULL;
        }
        member->name = name;
        *place = member;
        place = &member->next;
        whole->len++;
    } while (take(in, ','));
    if (take(in, closing))
        return whole;
    json_free(whole);
    return NULL;
}

static json *read_number(reader *in)
{
    char digits[64];
    size_t len = 0;
    char *end;
    json *value;
    while (in->at < in->end && len < sizeof digits - 1 && *in->at && strchr("+-.0123456789eE", *in->at))
        digits[len++] = *in->at++;
    digits[len] = '\0';
    value = make(JSON_NUMBER);
    value->number = strtod(digits, &end);
    if (len > 0 && !*end)
        return value;
    json_free(value);
    return NULL;
}

static json *read_plain(reader *in)
{
    json *value;
    skip_space(in);
    if (take_word(in, "null"))
        return make(JSON_NULL);
    if (take_word(in, "true"))
        return make(JSON_TRUE);
    if (take_word(in, "false"))
        return make(JSON_FALSE);
    if (!take(in, '"'))
        return read_number(in);
    value = make(JSON_TEXT);
    value->text = read_text(in, &value->len);
    if (value->text)
        return value;
    json_free(value);
    return NULL;
}

static json *read_value(reader *in)
{
    json *value;
    if (in->depth >= DEPTH_MAX)
        return NULL;
    in->depth++;
    if (take(in, '{'))
        value = read_members(in, JSON_OBJECT, '}');
    else if (take(in, '['))
        value = read_members(in, JSON_LIST, ']');
    else
        value = read_plain(in);
    in->depth--;
    return value;
}

json *json_parse(const char *text, size_t len)
{
    reader in = {text, text + len, 0};
    json *value = read_value(&in);
    skip_space(&in);
    if (value && in.at != in.end) {
        json_free(value);
        return NULL;
    }
    return value;
}

void json_free(json *value)
{
    while (value) {
        json *next = value->next;
        json_free(value->first);
        free(value->text);
        free(value->name);
        free(value);
        value = next;
    }
}

/* ---- looking ---- */

static void complain(const char *name, const char *wanted)
{
    fprintf(stderr, "the member \"%s\" is not %s\n", name, wanted);
    exit(2);
}

const json *json_get(const json *object, const char *name)
{
    if (!object || object->kind != JSON_OBJECT)
        return NULL;
    for (const json *member = object->first; member; member = member->next)
        if (strcmp(member->name, name) == 0)
            return member;
    return NULL;
}

const char *json_get_text(const json *object, const char *name)
{
    const json *member = json_get(object, name);
    if (!member || member->kind == JSON_NULL)
        return NULL;
    if (member->kind != JSON_TEXT)
        complain(name, "text");
    return member->text;
}

double json_get_number(const json *object, const char *name, double otherwise)
{
    const json *member = json_get(object, name);
    if (!member || member->kind == JSON_NULL)
        return otherwise;
    if (member->kind != JSON_NUMBER)
        complain(name, "a number");
    return member->number;
}

int json_is_true(const json *value)
{
    return value && value->kind == JSON_TRUE;
}

/* ---- writing ---- */

void json_write_text(FILE *file, const char *text, size_t len)
{
    fputc('"', file);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            fprintf(file, "\\%c", c);
        else if (c < 0x20)
            fprintf(file, "\\u%04x", c);
        else
            fputc(c, file);
    }
    fputc('"', file);
}

int json_is_utf8(const char *text, size_t len)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + len;
    while (at < end) {
        int more = *at < 0x80 ? 0 : *at >= 0xc2 && *at < 0xe0 ? 1 : *at >= 0xe0 && *at < 0xf0 ? 2 : *at >= 0xf0 && *at < 0xf5 ? 3 : -1;
        long code = *at & (0x7f >> (more > 0 ? more + 1 : 0));
        if (more < 0 || end - at <= more)
            return 0;
        for (int i = 1; i <= more; i++) {
            if ((at[i] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (at[i] & 63);
        }
        if ((more == 2 && code < 0x800) || (code >= 0xd800 && code < 0xe000) || (more == 3 && (code < 0x10000 || code > 0x10ffff)))
            return 0;
        at += more + 1;
    }
    return 1;
}
