/* addon.c: the functions of x402.h as JavaScript functions of the same names, over Node-API.
 *
 * Owns how values cross, callbacks and the watch on a queue's descriptor. Knows nothing of fetch. Handles are numbers;
 * outputs are Buffers that C writes into, read by JavaScript afterwards. `functions`, made by generate.js, has a line for
 * each function. Everything is kept per environment, so that worker threads may load this too.
 *
 * A callback of the library runs on a thread of a queue's (or of libuv's): it leaves an `ask`, and waits until JavaScript
 * has answered it. At the end of the environment every ask is refused, so that no thread waits for a dead one. */
#define NAPI_VERSION 8
#include <node_api.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <x402.h>

#define ARGUMENTS_MAX 16
#define LISTED_MAX 1024
#define REFUSED -1
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- values of one call ---- */

typedef union value {
    void *pointer;
    uint64_t number;
} value;

typedef struct text {
    struct text *next;
    size_t len;
    char bytes[];
} text;

typedef struct call {
    const struct function *function;
    value arguments[ARGUMENTS_MAX], result;
    text *texts;
    char result_kind;
    napi_async_work work;
    napi_ref arguments_ref, done;
} call;

typedef struct function {
    const char *name, *takes;
    char result;
    void (*run)(call *);
} function;

/* ---- what an environment has ---- */

typedef struct ask {
    struct ask *next;
    uint64_t id;
    const char *kind;
    const uint8_t *data;
    size_t len, cap;
    uint8_t *out;
    size_t out_len;
    int32_t answer;
    int answered;
} ask;

typedef struct watch {
    struct watch *next;
    uv_poll_t poll;
    napi_env env;
    napi_ref ready;
    napi_async_context context;
    int closed;
} watch;

typedef struct instance {
    napi_env env;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    ask *asks;
    watch *watches;
    uint64_t next_id;
    int ended;
    size_t holders; /* callbacks that are not yet freed, and the environment itself */
} instance;

/* A JavaScript function as a callback; what the library gets as userdata. */
typedef struct callback {
    instance *instance;
    napi_threadsafe_function function;
    int released;
} callback;

/* A line for the log: nobody waits for it. */
typedef struct line {
    int32_t level;
    size_t len;
    char bytes[];
} line;

static void fail(napi_env env, const char *function, const char *what)
{
    char message[200];
    bool pending = false;
    napi_is_exception_pending(env, &pending);
    if (pending)
        return;
    snprintf(message, sizeof message, "%s: %s", function, what);
    napi_throw_type_error(env, NULL, message);
}

/* ---- callbacks ---- */

static int32_t wait_for(callback *callback, ask *one)
{
    instance *instance = callback->instance;
    if (pthread_equal(pthread_self(), instance->thread))
        return REFUSED; /* JavaScript is waiting for this very call and could not answer */
    pthread_mutex_lock(&instance->lock);
    if (instance->ended || callback->released) {
        pthread_mutex_unlock(&instance->lock);
        return REFUSED;
    }
    one->id = ++instance->next_id;
    one->answer = REFUSED;
    one->next = instance->asks;
    instance->asks = one;
    if (napi_call_threadsafe_function(callback->function, (void *)(uintptr_t)one->id, napi_tsfn_nonblocking) != napi_ok)
        one->answered = 1;
    while (!one->answered && !instance->ended && !callback->released)
        pthread_cond_wait(&instance->answered, &instance->lock);
    for (ask **at = &instance->asks; *at; at = &(*at)->next)
        if (*at == one) {
            *at = one->next;
            break;
        }
    pthread_mutex_unlock(&instance->lock);
    return one->answered ? one->answer : REFUSED;
}

static int32_t on_read(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    ask one = {.kind = "read", .cap = cap, .out = buffer};
    int32_t answer = wait_for(userdata, &one);
    *len = one.out_len;
    return answer;
}

static int32_t on_rewind(void *userdata)
{
    ask one = {.kind = "rewind"};
    return wait_for(userdata, &one);
}

static int32_t on_progress(void *userdata, uint64_t sent, uint64_t send_total, uint64_t received, uint64_t total)
{
    uint64_t numbers[] = {sent, send_total, received, total};
    ask one = {.kind = "progress", .data = (const uint8_t *)numbers, .len = sizeof numbers};
    return wait_for(userdata, &one);
}

static int32_t on_approve(void *userdata, const char *offer_json, size_t len)
{
    ask one = {.kind = "approve", .data = (const uint8_t *)offer_json, .len = len};
    return wait_for(userdata, &one);
}

static int32_t on_chunk(void *userdata, const uint8_t *data, size_t len)
{
    ask one = {.kind = "chunk", .data = data, .len = len};
    return wait_for(userdata, &one);
}

static int32_t on_sign(void *userdata, const char *kind, const uint8_t *data, size_t len, uint8_t *signature,
                       size_t cap, size_t *signature_len)
{
    ask one = {.kind = kind, .data = data, .len = len, .out = signature, .cap = cap};
    int32_t answer = wait_for(userdata, &one);
    *signature_len = one.out_len;
    return answer;
}

static void on_log(void *userdata, int32_t level, const char *bytes, size_t len)
{
    callback *callback = userdata;
    line *copy = malloc(sizeof *copy + len);
    if (!copy)
        return;
    copy->level = level;
    copy->len = len;
    memcpy(copy->bytes, bytes, len);
    pthread_mutex_lock(&callback->instance->lock);
    if (callback->instance->ended || callback->released ||
        napi_call_threadsafe_function(callback->function, copy, napi_tsfn_nonblocking) != napi_ok)
        free(copy);
    pthread_mutex_unlock(&callback->instance->lock);
}

#include "functions.h"

static void call_line(napi_env env, napi_value function, void *context, void *data)
{
    line *line = data;
    napi_value arguments[2], undefined;
    (void)context;
    if (env && napi_create_int32(env, line->level, &arguments[0]) == napi_ok &&
        napi_create_string_utf8(env, line->bytes, line->len, &arguments[1]) == napi_ok &&
        napi_get_undefined(env, &undefined) == napi_ok)
        napi_call_function(env, undefined, function, 2, arguments, NULL);
    free(line);
}

/* On JavaScript's thread: calls function(id, kind, data copied or null, room); it answers with answer(id, ...). */
static void call_ask(napi_env env, napi_value function, void *context, void *data)
{
    instance *instance = context;
    uint64_t id = (uint64_t)(uintptr_t)data;
    napi_value arguments[4], undefined;
    ask *one;
    if (!env)
        return;
    pthread_mutex_lock(&instance->lock);
    for (one = instance->asks; one && one->id != id; one = one->next)
        ;
    if (one) {
        napi_create_double(env, (double)id, &arguments[0]);
        napi_create_string_utf8(env, one->kind, NAPI_AUTO_LENGTH, &arguments[1]);
        if (one->data)
            napi_create_buffer_copy(env, one->len, one->data, NULL, &arguments[2]);
        else
            napi_get_null(env, &arguments[2]);
        napi_create_double(env, (double)one->cap, &arguments[3]);
    }
    pthread_mutex_unlock(&instance->lock);
    if (one && napi_get_undefined(env, &undefined) == napi_ok)
        napi_call_function(env, undefined, function, 4, arguments, NULL);
}

static void let_go(instance *instance)
{
    if (--instance->holders == 0) {
        pthread_mutex_destroy(&instance->lock);
        pthread_cond_destroy(&instance->answered);
        free(instance);
    }
}

static void free_callback(napi_env env, void *data, void *hint)
{
    callback *callback = data;
    (void)env, (void)hint;
    if (!callback->released && !callback->instance->ended)
        napi_release_threadsafe_function(callback->function, napi_tsfn_abort);
    let_go(callback->instance);
    free(callback);
}

/* callback(function, "log" or not): an external, to be given as callback and as its userdata. Keep it referenced. */
static napi_value make_callback(napi_env env, napi_callback_info info)
{
    size_t count = 2;
    napi_value arguments[2], name, external;
    bool log = false;
    callback *callback = calloc(1, sizeof *callback);
    if (!callback)
        return NULL;
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    napi_get_instance_data(env, (void **)&callback->instance);
    napi_get_value_bool(env, arguments[1], &log);
    napi_create_string_utf8(env, "x402", NAPI_AUTO_LENGTH, &name);
    if (napi_create_threadsafe_function(env, arguments[0], NULL, name, 0, 1, NULL, NULL, callback->instance,
                                        log ? call_line : call_ask, &callback->function) != napi_ok) {
        free(callback);
        fail(env, "callback", "wants a function");
        return NULL;
    }
    /* What is under way keeps the program running, not the mere possibility of being called. */
    napi_unref_threadsafe_function(env, callback->function);
    callback->instance->holders++;
    if (napi_create_external(env, callback, free_callback, NULL, &external) != napi_ok) {
        free_callback(env, callback, NULL);
        return NULL;
    }
    return external;
}

/* release(external): whoever waits for its answer, or will ask, is refused. Keep it referenced while the library has it. */
static napi_value release_callback(napi_env env, napi_callback_info info)
{
    size_t count = 1;
    napi_value argument;
    callback *callback;
    napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
    if (napi_get_value_external(env, argument, (void **)&callback) == napi_ok && !callback->released) {
        pthread_mutex_lock(&callback->instance->lock);
        callback->released = 1;
        pthread_cond_broadcast(&callback->instance->answered);
        pthread_mutex_unlock(&callback->instance->lock);
        napi_release_threadsafe_function(callback->function, napi_tsfn_abort);
    }
    return NULL;
}

/* answer(id, number, bytes): lets the callback return. False if nobody waits for it any more. */
static napi_value answer_ask(napi_env env, napi_callback_info info)
{
    size_t count = 3, len = 0;
    napi_value arguments[3], known;
    double id = 0;
    int32_t number = REFUSED;
    void *bytes = NULL;
    bool is_bytes = false;
    instance *instance;
    ask *one;
    napi_get_instance_data(env, (void **)&instance);
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    napi_get_value_double(env, arguments[0], &id);
    napi_get_value_int32(env, arguments[1], &number);
    if (napi_is_buffer(env, arguments[2], &is_bytes) == napi_ok && is_bytes)
        napi_get_buffer_info(env, arguments[2], &bytes, &len);
    pthread_mutex_lock(&instance->lock);
    for (one = instance->asks; one && one->id != (uint64_t)id; one = one->next)
        ;
    if (one) {
        if (len <= one->cap) {
            if (len)
                memcpy(one->out, bytes, len);
            one->out_len = len;
            one->answer = number;
        }
        one->answered = 1;
        pthread_cond_broadcast(&instance->answered);
    }
    pthread_mutex_unlock(&instance->lock);
    napi_get_boolean(env, one != NULL, &known);
    return known;
}

/* ---- arguments ---- */

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

static int take_list(napi_env env, call *c, napi_value from, value *out)
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
    for (uint32_t i = 0; i < count; i++) {
        napi_value element;
        value one;
        if (napi_get_element(env, from, i, &element) != napi_ok || !take_text(env, c, element, &one))
            return 0;
        memcpy(list->bytes + i * sizeof one.pointer, &one.pointer, sizeof one.pointer);
    }
    return 1;
}

static int take_bytes(napi_env env, napi_value from, value *out)
{
    size_t len;
    bool is_buffer = false;
    return napi_is_buffer(env, from, &is_buffer) == napi_ok && is_buffer &&
           napi_get_buffer_info(env, from, &out->pointer, &len) == napi_ok;
}

static int take_userdata(napi_env env, napi_value from, char kind, value *out)
{
    value bytes;
    if (napi_get_value_external(env, from, &out->pointer) == napi_ok)
        return 1;
    if (kind != 'd' || !take_bytes(env, from, &bytes))
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
    if (napi_get_value_double(env, from, &number) != napi_ok || number != (double)(int64_t)number ||
        (kind != 'i' && number < 0) || number > 9007199254740991.0)
        return 0;
    out->number = (uint64_t)(int64_t)number;
    return 1;
}

static int take(napi_env env, call *c, napi_value from, char kind, value *out)
{
    napi_valuetype type;
    out->number = 0;
    if (napi_typeof(env, from, &type) != napi_ok)
        return 0;
    if (type == napi_null || type == napi_undefined)
        return kind != 'u' && kind != 'i';
    switch (kind) {
    case 's':
        return take_text(env, c, from, out);
    case 'a':
        return take_list(env, c, from, out);
    case 'b':
        return take_bytes(env, from, out);
    case 'f':
    case 'd':
        return take_userdata(env, from, kind, out);
    default:
        return take_number(env, from, kind, out);
    }
}

static void forget_texts(call *c)
{
    while (c->texts) {
        text *next = c->texts->next;
        memset(c->texts->bytes, 0, c->texts->len); /* it may have been a key */
        __asm__ __volatile__("" : : "r"(c->texts->bytes) : "memory");
        free(c->texts);
        c->texts = next;
    }
}

static napi_value result_of(napi_env env, const call *c)
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

static int take_all(napi_env env, call *c, const napi_value *arguments, size_t count)
{
    size_t wanted = strlen(c->function->takes);
    char what[80];
    if (count != wanted) {
        snprintf(what, sizeof what, "takes %zu arguments, not %zu", wanted, count);
        fail(env, c->function->name, what);
        return 0;
    }
    for (size_t i = 0; i < wanted; i++)
        if (!take(env, c, arguments[i], c->function->takes[i], &c->arguments[i])) {
            snprintf(what, sizeof what, "argument %zu is not of its kind, or holds a NUL", i + 1);
            fail(env, c->function->name, what);
            return 0;
        }
    return 1;
}

static napi_value call_now(napi_env env, napi_callback_info info)
{
    size_t count = ARGUMENTS_MAX;
    napi_value arguments[ARGUMENTS_MAX], result = NULL;
    call c;
    void *data;
    memset(&c, 0, sizeof c);
    napi_get_cb_info(env, info, &count, arguments, NULL, &data);
    c.function = data;
    if (take_all(env, &c, arguments, count)) {
        c.function->run(&c);
        result = result_of(env, &c);
    }
    forget_texts(&c);
    return result;
}

/* ---- the same on a thread of libuv's, for calls that wait ---- */

static void work_run(napi_env env, void *data)
{
    call *c = data;
    (void)env;
    c->function->run(c);
}

static void work_done(napi_env env, napi_status status, void *data)
{
    call *c = data;
    napi_value done, undefined, result = result_of(env, c);
    forget_texts(c);
    napi_get_reference_value(env, c->done, &done);
    napi_get_undefined(env, &undefined);
    napi_delete_reference(env, c->done);
    napi_delete_reference(env, c->arguments_ref);
    napi_delete_async_work(env, c->work);
    free(c);
    if (status == napi_ok)
        napi_call_function(env, undefined, done, 1, &result, NULL);
}

/* NAME.later(arguments..., done): calls done(result) afterwards. */
static napi_value call_later(napi_env env, napi_callback_info info)
{
    size_t count = ARGUMENTS_MAX;
    napi_value arguments[ARGUMENTS_MAX], kept, name;
    void *data;
    call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    napi_get_cb_info(env, info, &count, arguments, NULL, &data);
    c->function = data;
    if (!take_all(env, c, arguments, count ? count - 1 : 0)) {
        forget_texts(c);
        free(c);
        return NULL;
    }
    napi_create_array_with_length(env, count, &kept);
    for (size_t i = 0; i < count; i++)
        napi_set_element(env, kept, (uint32_t)i, arguments[i]);
    napi_create_reference(env, kept, 1, &c->arguments_ref);
    napi_create_reference(env, arguments[count - 1], 1, &c->done);
    napi_create_string_utf8(env, c->function->name, NAPI_AUTO_LENGTH, &name);
    napi_create_async_work(env, NULL, name, work_run, work_done, c, &c->work);
    napi_queue_async_work(env, c->work);
    return NULL;
}

/* ---- addresses in outputs ---- */

/* bytes_at(output, length): a copy of the bytes at the address that an output holds; of a text without its length. */
static napi_value bytes_at(napi_env env, napi_callback_info info)
{
    size_t count = 2;
    napi_value arguments[2], out = NULL;
    value holder;
    const char *address;
    double len = -1;
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    if (!take_bytes(env, arguments[0], &holder)) {
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

/* ---- the watch on a descriptor ---- */

static void watch_ready(uv_poll_t *poll, int status, int events)
{
    watch *watch = poll->data;
    napi_handle_scope scope;
    napi_value function, receiver;
    (void)status, (void)events;
    if (watch->closed || napi_open_handle_scope(watch->env, &scope) != napi_ok)
        return;
    if (napi_get_reference_value(watch->env, watch->ready, &function) == napi_ok &&
        napi_create_object(watch->env, &receiver) == napi_ok)
        napi_make_callback(watch->env, watch->context, receiver, function, 0, NULL, NULL);
    napi_close_handle_scope(watch->env, scope);
}

static void watch_freed(uv_handle_t *handle)
{
    free(handle->data);
}

static void watch_close(watch *watch)
{
    if (watch->closed)
        return;
    watch->closed = 1;
    uv_poll_stop(&watch->poll);
    napi_delete_reference(watch->env, watch->ready);
    napi_async_destroy(watch->env, watch->context);
    uv_close((uv_handle_t *)&watch->poll, watch_freed);
}

/* watch(fd, function): calls it whenever the descriptor is readable. Does not keep the program running until told so. */
static napi_value watch_new(napi_env env, napi_callback_info info)
{
    size_t count = 2;
    napi_value arguments[2], name, out;
    int32_t fd = -1;
    uv_loop_t *loop;
    instance *instance;
    watch *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    napi_get_value_int32(env, arguments[0], &fd);
    napi_get_instance_data(env, (void **)&instance);
    made->env = env;
    made->poll.data = made;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok || fd < 0 || uv_poll_init(loop, &made->poll, fd) != 0) {
        free(made);
        fail(env, "watch", "wants the descriptor of a queue");
        return NULL;
    }
    napi_create_string_utf8(env, "x402", NAPI_AUTO_LENGTH, &name);
    napi_async_init(env, NULL, name, &made->context);
    napi_create_reference(env, arguments[1], 1, &made->ready);
    uv_unref((uv_handle_t *)&made->poll);
    uv_poll_start(&made->poll, UV_READABLE, watch_ready);
    made->next = instance->watches;
    instance->watches = made;
    napi_create_external(env, made, NULL, NULL, &out);
    return out;
}

/* watch_set(watch, what): 0 closes it for good, 1 keeps the program running, 2 does not. */
static napi_value watch_set(napi_env env, napi_callback_info info)
{
    size_t count = 2;
    napi_value arguments[2];
    int32_t what = 0;
    watch *watch, **at;
    instance *instance;
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    napi_get_instance_data(env, (void **)&instance);
    napi_get_value_int32(env, arguments[1], &what);
    if (napi_get_value_external(env, arguments[0], (void **)&watch) != napi_ok)
        return NULL;
    for (at = &instance->watches; *at && *at != watch; at = &(*at)->next)
        ;
    if (!*at)
        return NULL; /* closed before */
    if (what == 1)
        uv_ref((uv_handle_t *)&watch->poll);
    else if (what == 2)
        uv_unref((uv_handle_t *)&watch->poll);
    else {
        *at = watch->next;
        watch_close(watch);
    }
    return NULL;
}

/* ---- the module ---- */

static void refuse_all(void *data)
{
    instance *instance = data;
    pthread_mutex_lock(&instance->lock);
    instance->ended = 1;
    pthread_cond_broadcast(&instance->answered);
    pthread_mutex_unlock(&instance->lock);
    while (instance->watches) {
        watch *next = instance->watches->next;
        watch_close(instance->watches);
        instance->watches = next;
    }
}

static void instance_freed(napi_env env, void *data, void *hint)
{
    (void)env, (void)hint;
    let_go(data);
}

static void add(napi_env env, napi_value to, const char *name, napi_callback run, const function *data)
{
    napi_value made;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, run, (void *)data, &made) == napi_ok)
        napi_set_named_property(env, to, name, made);
    if (data && napi_create_function(env, name, NAPI_AUTO_LENGTH, call_later, (void *)data, &to) == napi_ok)
        napi_set_named_property(env, made, "later", to);
}

NAPI_MODULE_INIT()
{
    instance *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->env = env;
    made->thread = pthread_self();
    made->holders = 1;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->answered, NULL);
    napi_set_instance_data(env, made, instance_freed, NULL);
    napi_add_env_cleanup_hook(env, refuse_all, made);
    for (size_t i = 0; i < COUNT(functions); i++)
        add(env, exports, functions[i].name, call_now, &functions[i]);
    add(env, exports, "callback", make_callback, NULL);
    add(env, exports, "release", release_callback, NULL);
    add(env, exports, "answer", answer_ask, NULL);
    add(env, exports, "bytes_at", bytes_at, NULL);
    add(env, exports, "watch", watch_new, NULL);
    add(env, exports, "watch_set", watch_set, NULL);
    return exports;
}
