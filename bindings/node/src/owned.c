/* owned.c: handles to be freed when their environment ends, in whatever way: a worker that is terminated runs no JavaScript
 * any more, and its garbage collector never comes to what it left behind. */
#include "addon.h"

#define SLOTS_MIN 64

static void free_one(owned one)
{
    switch (one.kind) {
    case 'q':
        x402_queue_free(one.handle);
        break;
    case 'c':
        x402_client_free(one.handle);
        break;
    case 'l':
        x402_ledger_free(one.handle);
        break;
    case 'r':
        x402_response_free(one.handle);
        break;
    case 'p':
        x402_payment_free(one.handle);
        break;
    }
}

static int grow(instance *instance)
{
    size_t cap = instance->owned_cap ? instance->owned_cap * 2 : SLOTS_MIN;
    owned *grown = realloc(instance->owned, cap * sizeof *grown);
    if (!grown)
        return 0;
    instance->owned = grown;
    instance->owned_cap = cap;
    return 1;
}

/* own("queue", "client", "ledger", "response" or "payment", handle): a slot, for disown(slot) once it was freed. */
napi_value own(napi_env env, napi_callback_info info)
{
    size_t count = 2, len, slot;
    napi_value arguments[2], out = NULL;
    char kind[16] = "";
    int64_t handle = 0;
    instance *instance = instance_of(env);
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    napi_get_value_string_utf8(env, arguments[0], kind, sizeof kind, &len);
    napi_get_value_int64(env, arguments[1], &handle);
    if (instance->owned_free) {
        slot = instance->owned_free - 1;
        instance->owned_free = (size_t)(uintptr_t)instance->owned[slot].handle;
    } else if (instance->owned_len < instance->owned_cap || grow(instance)) {
        slot = instance->owned_len++;
    } else {
        fail(env, "own", "out of memory");
        return NULL;
    }
    instance->owned[slot] = (owned){kind[0], (void *)(uintptr_t)handle};
    napi_create_uint32(env, (uint32_t)slot, &out);
    return out;
}

napi_value disown(napi_env env, napi_callback_info info)
{
    size_t count = 1;
    napi_value argument;
    uint32_t slot = 0;
    instance *instance = instance_of(env);
    napi_get_cb_info(env, info, &count, &argument, NULL, NULL);
    if (napi_get_value_uint32(env, argument, &slot) == napi_ok && slot < instance->owned_len && instance->owned[slot].kind) {
        instance->owned[slot] = (owned){0, (void *)(uintptr_t)instance->owned_free};
        instance->owned_free = slot + 1;
    }
    return NULL;
}

void free_owned(instance *instance, const char *kinds)
{
    for (const char *kind = kinds; *kind; kind++)
        for (size_t i = 0; i < instance->owned_len; i++)
            if (instance->owned[i].kind == *kind)
                free_one(instance->owned[i]);
}
