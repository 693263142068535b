/* json.h: reads and writes as much JSON as the case driver needs (RFC 8259; numbers are doubles). */
#ifndef X402_TESTS_JSON_H
#define X402_TESTS_JSON_H

#include <stddef.h>
#include <stdio.h>

typedef enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_OBJECT } json_kind;

typedef struct json {
    json_kind kind;
    double number;
    char *text;            /* of JSON_TEXT, NUL-terminated UTF-8 */
    size_t len;            /* of text; in a list or object the number of members */
    char *name;            /* of a member of an object */
    struct json *first;    /* the members of a list or object */
    struct json *next;     /* its neighbour in the list or object it is in */
} json;

/* NULL if the text is no JSON. Free with json_free. */
json *json_parse(const char *text, size_t len);
void json_free(json *value);

/* A member of an object; NULL if there is none, or `object` is NULL or no object. */
const json *json_get(const json *object, const char *name);
/* A member that must be text; NULL if it is not there or null. */
const char *json_get_text(const json *object, const char *name);
/* A member that must be a number; `otherwise` if it is not there or null. */
double json_get_number(const json *object, const char *name, double otherwise);
int json_is_true(const json *value);

/* Writes a text with its quotes. */
void json_write_text(FILE *file, const char *text, size_t len);
int json_is_utf8(const char *text, size_t len);

#endif
