/* check.h: what the C tests share. A failed check says where and what, and the test goes on to count the others. */
#ifndef X402_TESTS_CHECK_H
#define X402_TESTS_CHECK_H

#include "x402.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int checks_done;
static int checks_failed;

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        checks_done++;                                                                                                 \
        if (!(condition)) {                                                                                            \
            checks_failed++;                                                                                           \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                            \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fprintf(stderr, "\n");                                                                                     \
        }                                                                                                              \
    } while (0)

/* The call must give this status, and an error object that agrees with it. Takes `x402_error *error` from around. */
#define EXPECT(expected, call)                                                                                         \
    do {                                                                                                               \
        x402_status got_ = (call);                                                                                     \
        CHECK(got_ == (expected), "got %s (%s)", x402_status_name(got_), got_ ? x402_error_message(error) : "ok");     \
        CHECK(got_ == X402_OK ? error == NULL : x402_error_status(error) == got_, "the error object disagrees");       \
        x402_error_free(error);                                                                                        \
        error = NULL;                                                                                                  \
    } while (0)

/* The call must succeed, or the test cannot go on. */
#define NEED(call)                                                                                                     \
    do {                                                                                                               \
        x402_status got_ = (call);                                                                                     \
        if (got_ != X402_OK) {                                                                                         \
            fprintf(stderr, "%s:%d: %s: %s: %s\n", __FILE__, __LINE__, #call, x402_status_name(got_),                  \
                    x402_error_message(error));                                                                        \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define SAME_TEXT(got, expected) CHECK(strcmp((got) ? (got) : "(null)", (expected)) == 0, "got \"%s\"", (got) ? (got) : "(null)")

/* The last line of every test: nothing may be left alive. */
static inline int finish(const char *name)
{
    CHECK(x402_live_handles() == 0, "%llu handles were not freed", (unsigned long long)x402_live_handles());
    printf("%s: %d checks, %d failed\n", name, checks_done, checks_failed);
    return checks_failed ? 1 : 0;
}

/* Test keys and names that everybody knows; never hold money with them. */
#define TEST_KEY "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
#define TEST_ADDRESS "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"

#endif
