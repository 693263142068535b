/* callbacks.c: functions of JavaScript as callbacks of the library.
 *
 * A callback runs on a thread of a queue's, or of a later call's: it leaves an `ask` and waits until JavaScript has answered
 * it, the callback was released, or the environment ended; the last two refuse. A line for the log is left and not waited
 * for. On JavaScript's own thread nobody could answer: there it refuses at once. */
#include "addon.h"

#define MAGIC 0x34303278u

struct ask {
    ask *next;
    callback *callback;
    uint64_t id;
    const char *kind;
    const uint8_t *data;
    size_t len, cap;
    uint8_t *out;
    size_t out_len;
    int32_t answer;
    int asked, answered;
};

struct line {
    line *next;
    callback *callback;
    int32_t level;
    size_t len;
    char bytes[];
};

/* ---- on the library's threads ---- */

static void forget(instance *instance, const ask *one)
{
    for (ask **at = &instance->asks; *at; at = &(*at)->next)
        if (*at == one) {
            *at = one->next;
            return;
        }
}

static int32_t wait_for(callback *callback, ask *one)
{
    instance *instance = callback->instance;
    if (pthread_equal(pthread_self(), instance->thread))
        return REFUSED;
    pthread_mutex_lock(&instance->lock);
    one->callback = callback;
    one->id = ++instance->next_id;
    one->answer = REFUSED;
    if (!instance->ended && !callback->released) {
        one->next = instance->asks;
        instance->asks = one;
        wake(instance);
        while (!one->answered && !instance->ended && !callback->released)
            pthread_cond_wait(&instance->changed, &instance->lock);
        forget(instance, one);
    }
    pthread_mutex_unlock(&instance->lock);
    return one->answer;
}

int32_t on_read(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    ask one = {.kind = "read", .cap = cap, .out = buffer};
    int32_t answer = wait_for(userdata, &one);
    *len = one.out_len;
    return answer;
}

int32_t on_rewind(void *userdata)
{
    ask one = {.kind = "rewind"};
    return wait_for(userdata, &one);
}

int32_t on_progress(void *userdata, uint64_t sent, uint64_t send_total, uint64_t received, uint64_t total)
{
    uint64_t numbers[] = {sent, send_total, received, total};
    ask one = {.kind = "progress", .data = (const uint8_t *)numbers, .len = sizeof numbers};
    return wait_for(userdata, &one);
}

int32_t on_approve(void *userdata, const char *offer_json, size_t len)
{
    ask one = {.kind = "approve", .data = (const uint8_t *)offer_json, .len = len};
    return wait_for(userdata, &one);
}

int32_t on_chunk(void *userdata, const uint8_t *data, size_t len)
{
    ask one = {.kind = "chunk", .data = data, .len = len};
    return wait_for(userdata, &one);
}

int32_t on_sign(void *userdata, const char *kind, const uint8_t *data, size_t len, uint8_t *signature, size_t cap,
                size_t *signature_len)
{
    ask one = {.kind = kind, .data = data, .len = len, .out = signature, .cap = cap};
    int32_t answer = wait_for(userdata, &one);
    *signature_len = one.out_len;
    return answer;
}

void on_log(void *userdata, int32_t level, const char *bytes, size_t len)
{
    callback *callback = userdata;
    instance *instance = callback->instance;
    line *copy = malloc(sizeof *copy + len);
    if (!copy)
        return;
    *copy = (line){.callback = callback, .level = level, .len = len};
    memcpy(copy->bytes, bytes, len);
    pthread_mutex_lock(&instance->lock);
    if (instance->ended || callback->released) {
        free(copy);
    } else {
        *instance->lines_end = copy;
        instance->lines_end = &copy->next;
        wake(instance);
    }
    pthread_mutex_unlock(&instance->lock);
}

/* ---- on JavaScript's thread ---- */

/* Asks one that was not asked: function(id, kind, data copied or null, room). It answers with answer(id, ...). */
int deliver_ask(instance *instance)
{
    napi_env env = instance->env;
    napi_value function = NULL, arguments[4];
    ask *one;
    pthread_mutex_lock(&instance->lock);
    for (one = instance->asks; one && (one->asked || one->callback->released); one = one->next)
        ;
    if (one) {
        one->asked = 1;
        napi_get_reference_value(env, one->callback->function, &function);
        napi_create_double(env, (double)one->id, &arguments[0]);
        napi_create_string_utf8(env, one->kind, NAPI_AUTO_LENGTH, &arguments[1]);
        if (!one->data || napi_create_buffer_copy(env, one->len, one->data, NULL, &arguments[2]) != napi_ok)
            napi_get_null(env, &arguments[2]);
        napi_create_double(env, (double)one->cap, &arguments[3]);
    }
    pthread_mutex_unlock(&instance->lock);
    if (one && function)
        enter(instance, function, 4, arguments);
    return one != NULL;
}

/* Hands over one line: function(level, text). */
int deliver_line(instance *instance)
{
    napi_env env = instance->env;
    napi_value function = NULL, arguments[2];
    pthread_mutex_lock(&instance->lock);
    line *one = instance->lines;
    if (one && !(instance->lines = one->next))
        instance->lines_end = &instance->lines;
    pthread_mutex_unlock(&instance->lock);
    if (!one)
        return 0;
    /* Its callback is still there: whoever frees one drops its lines first. */
    if (!one->callback->released && napi_create_int32(env, one->level, &arguments[0]) == napi_ok &&
        napi_create_string_utf8(env, one->bytes, one->len, &arguments[1]) == napi_ok &&
        napi_get_reference_value(env, one->callback->function, &function) == napi_ok && function)
        enter(instance, function, 2, arguments);
    free(one);
    return 1;
}

/* Those of one callback; of all if it is NULL. */
void drop_lines(instance *instance, const callback *of)
{
    pthread_mutex_lock(&instance->lock);
    for (line **at = &instance->lines; *at;) {
        line *one = *at;
        if (of && one->callback != of) {
            at = &one->next;
        } else {
            *at = one->next;
            free(one);
        }
    }
    instance->lines_end = &instance->lines;
    while (*instance->lines_end)
        instance->lines_end = &(*instance->lines_end)->next;
    pthread_mutex_unlock(&instance->lock);
}

static void stop(callback *callback)
{
    instance *instance = callback->instance;
    if (callback->released)
        return;
    pthread_mutex_lock(&instance->lock);
    callback->released = 1;
    pthread_cond_broadcast(&instance->changed);
    pthread_mutex_unlock(&instance->lock);
    napi_delete_reference(instance->env, callback->function);
    drop_lines(instance, callback);
}

static void free_callback(napi_env env, void *data, void *hint)
{
    callback *callback = data;
    (void)env, (void)hint;
    stop(callback);
    let_go(callback->instance);
    callback->magic = 0;
    free(callback);
}

/* The external that make_callback gave; NULL for anything else. */
callback *callback_of(napi_env env, napi_value external)
{
    callback *found = NULL;
    napi_valuetype type;
    if (napi_typeof(env, external, &type) != napi_ok || type != napi_external ||
        napi_get_value_external(env, external, (void **)&found) != napi_ok || !found || found->magic != MAGIC)
        return NULL;
    return found;
}

/* callback(function): an external, to be given as callback and as its userdata. Keep it referenced while the library has
 * it. What is under way keeps the program running, not the mere possibility of being called. */
napi_value make_callback(napi_env env, napi_callback_info info)
{
    size_t count = 1;
    napi_value argument, external;
    napi_valuetype type = napi_undefined;
    callback *made;
    napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
    napi_typeof(env, argument, &type);
    if (type != napi_function || !(made = calloc(1, sizeof *made))) {
        fail(env, "callback", "wants a function");
        return NULL;
    }
    *made = (callback){.magic = MAGIC, .instance = instance_of(env)};
    napi_create_reference(env, argument, 1, &made->function);
    made->instance->holders++;
    if (napi_create_external(env, made, free_callback, NULL, &external) != napi_ok) {
        free_callback(env, made, NULL);
        return NULL;
    }
    return external;
}

/* release(external): whoever waits for its answer, or will ask, is refused. */
napi_value release_callback(napi_env env, napi_callback_info info)
{
    size_t count = 1;
    napi_value argument;
    callback *callback;
    napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
    if ((callback = callback_of(env, argument)))
        stop(callback);
    return NULL;
}

/* answer(id, number, bytes): lets the callback return. False if nobody waits for it any more. */
napi_value answer_ask(napi_env env, napi_callback_info info)
{
    size_t count = 3, len = 0;
    napi_value arguments[3], known;
    double id = 0;
    int32_t number = REFUSED;
    void *bytes = NULL;
    bool is_bytes = false;
    instance *instance = instance_of(env);
    ask *one;
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
        pthread_cond_broadcast(&instance->changed);
    }
    pthread_mutex_unlock(&instance->lock);
    napi_get_boolean(env, one != NULL, &known);
    return known;
}
