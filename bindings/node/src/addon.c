/* addon.c: the module, and the life of an environment. Handles are numbers; outputs are Buffers that C writes to, and that
 * JavaScript reads afterwards. Everything is kept per environment, so that worker threads may load this too.
 *
 * At the end of an environment every question is refused first, so that no thread waits for an answer that will not come;
 * then the queues are freed, which waits for their threads, and only then is memory let go that they may have used. */
#include "addon.h"

#define DELIVERIES_MAX 64

instance *instance_of(napi_env env)
{
    void *found = NULL;
    napi_get_instance_data(env, &found);
    return found;
}

void let_go(instance *instance)
{
    if (--instance->holders == 0) {
        pthread_mutex_destroy(&instance->lock);
        pthread_cond_destroy(&instance->changed);
        free(instance->owned);
        free(instance);
    }
}

void wake(instance *instance)
{
    uv_async_send(&instance->wake);
}

/* Calls into JavaScript from the loop. What it throws is the program's uncaught exception. */
void enter(instance *instance, napi_value function, size_t count, const napi_value *arguments)
{
    napi_env env = instance->env;
    napi_value receiver, thrown;
    if (napi_create_object(env, &receiver) != napi_ok)
        return;
    napi_status status = napi_make_callback(env, instance->context, receiver, function, count, arguments, NULL);
    if (status == napi_pending_exception && napi_get_and_clear_last_exception(env, &thrown) == napi_ok)
        napi_fatal_exception(env, thrown);
}

static int deliver(instance *instance)
{
    napi_handle_scope scope;
    if (napi_open_handle_scope(instance->env, &scope) != napi_ok)
        return 0;
    int more = deliver_ask(instance) || deliver_later(instance) || deliver_line(instance);
    napi_close_handle_scope(instance->env, scope);
    return more;
}

/* Not for ever, because others wait in the loop too. */
static void woken(uv_async_t *async)
{
    instance *instance = async->data;
    for (int i = 0; i < DELIVERIES_MAX; i++)
        if (instance->ended || !deliver(instance))
            return;
    uv_async_send(&instance->wake);
}

static void end(instance *instance)
{
    pthread_mutex_lock(&instance->lock);
    instance->ended = 1;
    pthread_cond_broadcast(&instance->changed);
    pthread_mutex_unlock(&instance->lock);
    end_laters(instance);
    free_owned(instance, 0);
    drop_lines(instance, NULL);
}

/* end(): for the end of the program, where Node ends without ending its environment. No callback runs afterwards. */
static napi_value end_now(napi_env env, napi_callback_info info)
{
    (void)info;
    end(instance_of(env));
    return NULL;
}

static void wake_closed(uv_handle_t *handle)
{
    instance *instance = handle->data;
    napi_remove_async_cleanup_hook(instance->hook);
    let_go(instance);
}

static void environment_ends(napi_async_cleanup_hook_handle hook, void *data)
{
    instance *instance = data;
    (void)hook;
    end(instance);
    free_owned(instance, 1);
    close_watches(instance);
    napi_async_destroy(instance->env, instance->context);
    uv_close((uv_handle_t *)&instance->wake, wake_closed);
}

static void instance_freed(napi_env env, void *data, void *hint)
{
    (void)env, (void)hint;
    let_go(data);
}

static instance *instance_new(napi_env env)
{
    uv_loop_t *loop;
    napi_value name;
    instance *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->env = env;
    made->thread = pthread_self();
    made->holders = 2; /* the environment, and the handle in its loop */
    made->lines_end = &made->lines;
    made->wake.data = made;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok || uv_async_init(loop, &made->wake, woken) != 0) {
        free(made);
        return NULL;
    }
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    uv_unref((uv_handle_t *)&made->wake);
    napi_create_string_utf8(env, "x402", NAPI_AUTO_LENGTH, &name);
    napi_async_init(env, NULL, name, &made->context);
    napi_set_instance_data(env, made, instance_freed, NULL);
    napi_add_async_cleanup_hook(env, environment_ends, made, &made->hook);
    return made;
}

static void add(napi_env env, napi_value to, const char *name, napi_callback run, const function *data)
{
    napi_value made, later;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, run, (void *)data, &made) == napi_ok)
        napi_set_named_property(env, to, name, made);
    if (data && napi_create_function(env, name, NAPI_AUTO_LENGTH, call_later, (void *)data, &later) == napi_ok)
        napi_set_named_property(env, made, "later", later);
}

NAPI_MODULE_INIT()
{
    if (!instance_new(env)) {
        fail(env, "x402", "no loop to wait in");
        return NULL;
    }
    for (size_t i = 0; i < functions_count; i++)
        add(env, exports, functions[i].name, call_now, &functions[i]);
    add(env, exports, "callback", make_callback, NULL);
    add(env, exports, "release", release_callback, NULL);
    add(env, exports, "answer", answer_ask, NULL);
    add(env, exports, "bytes_at", bytes_at, NULL);
    add(env, exports, "headers_of", headers_of, NULL);
    add(env, exports, "record_of", record_of, NULL);
    add(env, exports, "watch", watch_new, NULL);
    add(env, exports, "watch_set", watch_set, NULL);
    add(env, exports, "end", end_now, NULL);
    return exports;
}
