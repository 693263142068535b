package x402

/*
#include <stdint.h>
#include <x402.h>

// Trampolines: userdata is a number (a cgo.Handle), never a pointer into Go's memory.
extern int32_t x402GoRead(uintptr_t, uint8_t *, size_t, size_t *);
extern int32_t x402GoRewind(uintptr_t);
extern int32_t x402GoApprove(uintptr_t, char *, size_t);

static int32_t go_read(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    return x402GoRead((uintptr_t)userdata, buffer, cap, len);
}

static int32_t go_rewind(void *userdata)
{
    return x402GoRewind((uintptr_t)userdata);
}

static int32_t go_approve(void *userdata, const char *offer, size_t len)
{
    return x402GoApprove((uintptr_t)userdata, (char *)offer, len);
}

x402_status x402go_body_reader(x402_request *request, int rewinds, uintptr_t handle, uint64_t length, x402_error **error)
{
    return x402_request_body_reader(request, go_read, rewinds ? go_rewind : NULL, (void *)handle, length, error);
}

x402_status x402go_approve(x402_policy *policy, uintptr_t handle, x402_error **error)
{
    return x402_policy_approve(policy, go_approve, (void *)handle, error);
}
*/
import "C"
