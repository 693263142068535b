/* watch.c: calls a function whenever a descriptor is readable. Owns libuv's handle for it, not the descriptor. */
#include "addon.h"

struct watch {
    watch *next;
    uv_poll_t poll;
    instance *instance;
    napi_ref ready;
};

static void is_ready(uv_poll_t *poll, int status, int events)
{
    watch *watch = poll->data;
    napi_env env = watch->instance->env;
    napi_handle_scope scope;
    napi_value function;
    (void)status, (void)events;
    if (napi_open_handle_scope(env, &scope) != napi_ok)
        return;
    if (napi_get_reference_value(env, watch->ready, &function) == napi_ok)
        enter(watch->instance, function, 0, NULL);
    napi_close_handle_scope(env, scope);
}

static void freed(uv_handle_t *handle)
{
    free(handle->data);
}

/* It is out of the instance's list by now, and is_ready is not called again. */
static void end(watch *watch)
{
    uv_poll_stop(&watch->poll);
    napi_delete_reference(watch->instance->env, watch->ready);
    uv_close((uv_handle_t *)&watch->poll, freed);
}

void close_watches(instance *instance)
{
    while (instance->watches) {
        watch *first = instance->watches;
        instance->watches = first->next;
        end(first);
    }
}

/* watch(fd, function): does not keep the program running until told so. */
napi_value watch_new(napi_env env, napi_callback_info info)
{
    size_t count = 2;
    napi_value arguments[2], out;
    int32_t fd = -1;
    uv_loop_t *loop;
    watch *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    napi_get_value_int32(env, arguments[0], &fd);
    made->instance = instance_of(env);
    made->poll.data = made;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok || fd < 0 || uv_poll_init(loop, &made->poll, fd) != 0) {
        free(made);
        fail(env, "watch", "wants the descriptor of a queue");
        return NULL;
    }
    napi_create_reference(env, arguments[1], 1, &made->ready);
    uv_unref((uv_handle_t *)&made->poll);
    uv_poll_start(&made->poll, UV_READABLE, is_ready);
    made->next = made->instance->watches;
    made->instance->watches = made;
    napi_create_external(env, made, NULL, NULL, &out);
    return out;
}

/* watch_set(watch, what): 0 closes it for good, 1 keeps the program running, 2 does not. */
napi_value watch_set(napi_env env, napi_callback_info info)
{
    size_t count = 2;
    napi_value arguments[2];
    int32_t what = 0;
    watch *one = NULL, **at;
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    napi_get_value_int32(env, arguments[1], &what);
    if (napi_get_value_external(env, arguments[0], (void **)&one) != napi_ok)
        return NULL;
    for (at = &instance_of(env)->watches; *at && *at != one; at = &(*at)->next)
        ;
    if (!*at)
        return NULL; /* closed before */
    if (what == 1) {
        uv_ref((uv_handle_t *)&one->poll);
    } else if (what == 2) {
        uv_unref((uv_handle_t *)&one->poll);
    } else {
        *at = one->next;
        end(one);
    }
    return NULL;
}
