/* calls.c: the functions of x402.h under their own names; NAME.later(..., done) runs one on a thread of its own.
 *
 * Not on one of libuv's four: a call that waits there for JavaScript (a signer, an approval) would wait for ever once four of
 * them are under way and JavaScript itself needs such a thread, for a name lookup or a file. */
#include "addon.h"
#include <signal.h>

#define STACK_BYTES (1024 * 1024)

struct later {
    later *next;
    instance *instance;
    call call;
    napi_ref arguments, done;
};

#include "functions.h"

const size_t functions_count = COUNT(functions);

napi_value call_now(napi_env env, napi_callback_info info)
{
    size_t count = ARGUMENTS_MAX;
    napi_value arguments[ARGUMENTS_MAX], result = NULL;
    call c;
    void *data;
    memset(&c, 0, sizeof c);
    napi_get_cb_info(env, info, &count, arguments, NULL, &data);
    c.function = data;
    if (take_all(env, &c, arguments, count)) {
        instance *instance = instance_of(env);
        disown(instance, &c);
        c.function->run(&c);
        own(instance, &c);
        result = result_of(env, &c);
    }
    forget_texts(&c);
    return result;
}

static void *run(void *data)
{
    later *one = data;
    instance *instance = one->instance;
    one->call.function->run(&one->call);
    pthread_mutex_lock(&instance->lock);
    for (later **at = &instance->running; *at; at = &(*at)->next)
        if (*at == one) {
            *at = one->next;
            break;
        }
    one->next = instance->finished;
    instance->finished = one;
    if (!instance->ended)
        wake(instance);
    pthread_cond_broadcast(&instance->changed);
    pthread_mutex_unlock(&instance->lock);
    return NULL;
}

/* With the program's signals blocked: its handlers run on its own threads. */
static int start(later *one)
{
    sigset_t all, before;
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int problem = pthread_create(&thread, &attributes, run, one);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return problem == 0;
}

static void forget(later *one)
{
    napi_delete_reference(one->instance->env, one->done);
    napi_delete_reference(one->instance->env, one->arguments);
    forget_texts(&one->call);
    free(one);
}

/* Keeps what C writes to, and `done`, until it is over; and the program running. */
static int keep(napi_env env, later *one, const napi_value *arguments, size_t count)
{
    napi_value kept;
    if (napi_create_array_with_length(env, count, &kept) != napi_ok)
        return 0;
    for (size_t i = 0; i < count; i++)
        napi_set_element(env, kept, (uint32_t)i, arguments[i]);
    return napi_create_reference(env, kept, 1, &one->arguments) == napi_ok &&
           napi_create_reference(env, arguments[count - 1], 1, &one->done) == napi_ok;
}

napi_value call_later(napi_env env, napi_callback_info info)
{
    size_t count = ARGUMENTS_MAX;
    napi_value arguments[ARGUMENTS_MAX];
    napi_valuetype type = napi_undefined;
    void *data;
    later *one = calloc(1, sizeof *one);
    if (!one)
        return NULL;
    napi_get_cb_info(env, info, &count, arguments, NULL, &data);
    one->instance = instance_of(env);
    one->call.function = data;
    if (count)
        napi_typeof(env, arguments[count - 1], &type);
    if (type != napi_function) {
        fail(env, one->call.function->name, "later wants a function as its last argument");
        free(one);
        return NULL;
    }
    if (!take_all(env, &one->call, arguments, count - 1) || !keep(env, one, arguments, count)) {
        forget(one);
        return NULL;
    }
    instance *instance = one->instance;
    disown(instance, &one->call);
    pthread_mutex_lock(&instance->lock);
    one->next = instance->running;
    instance->running = one;
    int started = !instance->ended && start(one);
    if (!started)
        instance->running = one->next;
    pthread_mutex_unlock(&instance->lock);
    if (!started) {
        fail(env, one->call.function->name, "no thread could be started for it");
        forget(one);
    } else if (instance->laters++ == 0) {
        uv_ref((uv_handle_t *)&instance->wake);
    }
    return NULL;
}

int deliver_later(instance *instance)
{
    napi_env env = instance->env;
    napi_value done, result;
    pthread_mutex_lock(&instance->lock);
    later *one = instance->finished;
    if (one)
        instance->finished = one->next;
    pthread_mutex_unlock(&instance->lock);
    if (!one)
        return 0;
    if (--instance->laters == 0)
        uv_unref((uv_handle_t *)&instance->wake);
    own(instance, &one->call);
    result = result_of(env, &one->call);
    napi_get_reference_value(env, one->done, &done);
    forget(one);
    enter(instance, done, 1, &result);
    return 1;
}

/* What it gave, and JavaScript will not take. Each function frees its own and nothing else. */
static void drop_outputs(const call *c)
{
    for (size_t i = 0; c->function->takes[i]; i++) {
        void *given;
        if (c->function->takes[i] != 'o' || !c->arguments[i].pointer)
            continue;
        memcpy(&given, c->arguments[i].pointer, sizeof given);
        x402_error_free(given);
        x402_response_free(given);
        x402_payment_free(given);
        x402_string_free(given);
    }
}

/* At the end: cancels those that send a request, and waits for all, because they write to memory of JavaScript's. */
void end_laters(instance *instance)
{
    pthread_mutex_lock(&instance->lock);
    for (later *one = instance->running; one; one = one->next)
        if (one->call.function->request >= 0)
            x402_request_cancel(one->call.arguments[one->call.function->request].pointer);
    while (instance->running)
        pthread_cond_wait(&instance->changed, &instance->lock);
    while (instance->finished) {
        later *next = instance->finished->next;
        drop_outputs(&instance->finished->call);
        forget(instance->finished);
        instance->finished = next;
    }
    pthread_mutex_unlock(&instance->lock);
}
