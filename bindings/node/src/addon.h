/* addon.h: what the files of the addon share: the values of a call, and what is kept for each environment.
 *
 * An environment is a thread of JavaScript: the main one, or a worker's. Threads of the library's never touch it: they leave
 * what they have in a list under `lock`, and wake its loop. So nothing of Node's is used by a thread that may outlive it. */
#ifndef X402_ADDON_H
#define X402_ADDON_H

#define NAPI_VERSION 8
#include <node_api.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <x402.h>

#define ARGUMENTS_MAX 16
#define REFUSED -1
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- values.c: one call, its arguments and its result ---- */

typedef union value {
    void *pointer;
    uint64_t number;
} value;

typedef struct text {
    struct text *next;
    size_t len;
    char bytes[];
} text;

struct call;

typedef struct function {
    const char *name, *takes; /* a letter for each parameter; generate.js says which */
    char result;
    int request;      /* which argument is the request that it sends; -1: none */
    int makes, output; /* the noun that it makes, and which argument it is written to */
    int frees;        /* its argument is a handle that is noted down */
    void (*run)(struct call *);
} function;

typedef struct call {
    const function *function;
    value arguments[ARGUMENTS_MAX], result;
    size_t sizes[ARGUMENTS_MAX]; /* of buffers, bytes; of lists, texts */
    text *texts;
} call;

/* What ends with its environment; 0 is none. An event may bring a response. */
enum { NOUN_QUEUE = 1, NOUN_RESPONSE, NOUN_PAYMENT, NOUN_REQUEST, NOUN_CLIENT, NOUN_LEDGER, NOUN_EVENT };

int take_all(napi_env, call *, const napi_value *arguments, size_t count);
napi_value result_of(napi_env, const call *);
void forget_texts(call *);
void fail(napi_env, const char *function, const char *what);
napi_value bytes_at(napi_env, napi_callback_info);
napi_value headers_of(napi_env, napi_callback_info);
napi_value record_of(napi_env, napi_callback_info);

/* ---- callbacks.c: functions of JavaScript that the library asks ---- */

typedef struct ask ask;
typedef struct line line;
typedef struct later later;
typedef struct watch watch;

typedef struct callback {
    uint32_t magic;
    struct instance *instance;
    napi_ref function;
    int released;
} callback;

callback *callback_of(napi_env, napi_value external);
napi_value make_callback(napi_env, napi_callback_info);
napi_value release_callback(napi_env, napi_callback_info);
napi_value answer_ask(napi_env, napi_callback_info);
int deliver_ask(struct instance *);
int deliver_line(struct instance *);
void drop_lines(struct instance *, const callback *of);

int32_t on_read(void *, uint8_t *, size_t, size_t *);
int32_t on_rewind(void *);
int32_t on_progress(void *, uint64_t, uint64_t, uint64_t, uint64_t);
int32_t on_approve(void *, const char *, size_t);
int32_t on_chunk(void *, const uint8_t *, size_t);
int32_t on_sign(void *, const char *, const uint8_t *, size_t, uint8_t *, size_t, size_t *);
void on_log(void *, int32_t, const char *, size_t);

/* ---- calls.c: calls now, and on a thread of their own ---- */

extern const function functions[];
extern const size_t functions_count;
napi_value call_now(napi_env, napi_callback_info);
napi_value call_later(napi_env, napi_callback_info);
int deliver_later(struct instance *);
void end_laters(struct instance *);

/* ---- watch.c, owned.c ---- */

napi_value watch_new(napi_env, napi_callback_info);
napi_value watch_set(napi_env, napi_callback_info);
void close_watches(struct instance *);

typedef struct owned {
    void *handle; /* NULL: a free place */
    int noun;
} owned;

void own(struct instance *, const call *);
void disown(struct instance *, const call *);
void free_owned(struct instance *, int all);

/* ---- addon.c: an environment ---- */

typedef struct instance {
    napi_env env;
    pthread_t thread;
    napi_async_context context;
    napi_async_cleanup_hook_handle hook;
    uv_async_t wake;
    size_t holders; /* callbacks that are not yet freed, and the environment itself */

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t changed;
    int ended;
    uint64_t next_id;
    ask *asks;
    line *lines, **lines_end;
    later *running, *finished;

    /* JavaScript's thread alone */
    size_t laters;
    watch *watches;
    owned *owned;
    size_t owned_len, owned_cap;
} instance;

instance *instance_of(napi_env);
void let_go(instance *);
void wake(instance *); /* with the lock held */
void enter(instance *, napi_value function, size_t count, const napi_value *arguments);

#endif
