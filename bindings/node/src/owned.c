/* owned.c: handles to be freed when their environment ends, in whatever way: a worker that is terminated runs no JavaScript
 * any more, and its garbage collector never comes to what it left behind. */
#include "addon.h"

#define SLOTS_MIN 64

#define FREE(noun) static void free_##noun(void *handle) { x402_##noun##_free(handle); }
FREE(queue)
FREE(response)
FREE(payment)
FREE(request)
FREE(client)
FREE(ledger)

/* In the order in which they are to be freed. */
static const struct noun {
    const char *name;
    void (*free)(void *);
} nouns[] = {
#define NOUN(noun) {#noun, free_##noun}
    NOUN(queue), NOUN(response), NOUN(payment), NOUN(request), NOUN(client), NOUN(ledger),
};

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

static const struct noun *noun_of(napi_env env, napi_value name)
{
    char text[16] = "";
    size_t len;
    napi_get_value_string_utf8(env, name, text, sizeof text, &len);
    for (size_t i = 0; i < COUNT(nouns); i++)
        if (strcmp(nouns[i].name, text) == 0)
            return &nouns[i];
    return NULL;
}

/* own(noun, handle): a slot, for disown(slot) once it was freed. */
napi_value own(napi_env env, napi_callback_info info)
{
    size_t count = 2, slot;
    napi_value arguments[2], out = NULL;
    int64_t handle = 0;
    instance *instance = instance_of(env);
    napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
    napi_get_value_int64(env, arguments[1], &handle);
    const struct noun *noun = noun_of(env, arguments[0]);
    if (!noun) {
        fail(env, "own", "knows no such noun");
        return NULL;
    }
    if (instance->owned_free) {
        slot = instance->owned_free - 1;
        instance->owned_free = (size_t)(uintptr_t)instance->owned[slot].handle;
    } else if (instance->owned_len < instance->owned_cap || grow(instance)) {
        slot = instance->owned_len++;
    } else {
        fail(env, "own", "out of memory");
        return NULL;
    }
    instance->owned[slot] = (owned){noun, (void *)(uintptr_t)handle};
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
    if (napi_get_value_uint32(env, argument, &slot) == napi_ok && slot < instance->owned_len && instance->owned[slot].noun) {
        instance->owned[slot] = (owned){NULL, (void *)(uintptr_t)instance->owned_free};
        instance->owned_free = slot + 1;
    }
    return NULL;
}

/* Queues alone, or all. */
void free_owned(instance *instance, int all)
{
    for (const struct noun *noun = nouns; noun < nouns + (all ? COUNT(nouns) : 1); noun++)
        for (size_t i = 0; i < instance->owned_len; i++)
            if (instance->owned[i].noun == noun)
                noun->free(instance->owned[i].handle);
}
