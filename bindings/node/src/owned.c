/* owned.c: the handles that an environment has, to be freed when it ends in whatever way: a worker that is terminated runs no
 * JavaScript any more, and its garbage collector never comes to what it left behind. They are noted down in the very call
 * that made them, so that there is no moment between in which a worker could end. */
#include "addon.h"

#define PLACES_MIN 64 /* a power of two */

#define FREE(noun) static void free_##noun(void *handle) { x402_##noun##_free(handle); }
FREE(queue)
FREE(response)
FREE(payment)
FREE(request)
FREE(client)
FREE(ledger)

/* By NOUN_..., in the order in which they are to be freed. */
static void (*const frees[])(void *) = {free_queue, free_response, free_payment, free_request, free_client, free_ledger};

/* Where a handle is looked for first; the next places follow. */
static size_t home_of(const instance *instance, const void *handle)
{
    return ((uint64_t)(uintptr_t)handle * 0x9e3779b97f4a7c15u >> 32) & (instance->owned_cap - 1);
}

static owned *place_of(const instance *instance, const void *handle)
{
    size_t at = home_of(instance, handle);
    while (instance->owned[at].handle && instance->owned[at].handle != handle)
        at = (at + 1) & (instance->owned_cap - 1);
    return &instance->owned[at];
}

/* A third of the places stays free. */
static int grow(instance *instance)
{
    owned *before = instance->owned;
    size_t count = instance->owned_cap;
    if (count && (instance->owned_len + 1) * 3 <= count * 2)
        return 1;
    size_t cap = count ? count * 2 : PLACES_MIN;
    owned *grown = calloc(cap, sizeof *grown);
    if (!grown)
        return 0;
    instance->owned = grown;
    instance->owned_cap = cap;
    for (size_t i = 0; i < count; i++)
        if (before[i].handle)
            *place_of(instance, before[i].handle) = before[i];
    free(before);
    return 1;
}

/* Without memory for it, the program's end is all that frees it. */
static void note(instance *instance, int noun, void *handle)
{
    if (!handle || !grow(instance))
        return;
    owned *place = place_of(instance, handle);
    instance->owned_len += !place->handle;
    *place = (owned){handle, noun};
}

/* What stands behind moves up, for a free place ends a search. */
static void forget(instance *instance, const void *handle)
{
    if (!handle || !instance->owned_cap)
        return;
    owned *gap = place_of(instance, handle);
    if (!gap->handle)
        return;
    instance->owned_len--;
    gap->handle = NULL;
    size_t mask = instance->owned_cap - 1, to = (size_t)(gap - instance->owned);
    for (size_t at = (to + 1) & mask; instance->owned[at].handle; at = (at + 1) & mask)
        if (((at - home_of(instance, instance->owned[at].handle)) & mask) >= ((at - to) & mask)) {
            instance->owned[to] = instance->owned[at];
            instance->owned[at].handle = NULL;
            to = at;
        }
}

/* Before a call: what it frees is nobody's any more. */
void disown(instance *instance, const call *c)
{
    if (c->function->frees)
        forget(instance, c->arguments[0].pointer);
}

/* After a call: what it made is the environment's. */
void own(instance *instance, const call *c)
{
    const function *function = c->function;
    x402_event event;
    void *made;
    if (!function->makes || c->result.number != X402_OK || !c->arguments[function->output].pointer)
        return;
    if (function->makes == NOUN_EVENT) {
        if (c->sizes[function->output] < sizeof event)
            return;
        memcpy(&event, c->arguments[function->output].pointer, sizeof event);
        note(instance, NOUN_RESPONSE, event.response);
    } else {
        memcpy(&made, c->arguments[function->output].pointer, sizeof made);
        note(instance, function->makes, made);
    }
}

/* Queues alone, or all. */
void free_owned(instance *instance, int all)
{
    for (int noun = NOUN_QUEUE; noun <= (all ? NOUN_LEDGER : NOUN_QUEUE); noun++)
        for (size_t i = 0; i < instance->owned_cap; i++)
            if (instance->owned[i].handle && instance->owned[i].noun == noun)
                frees[noun - NOUN_QUEUE](instance->owned[i].handle);
}
