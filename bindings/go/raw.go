package x402

/*
#include <stdint.h>
#include <x402.h>

// Trampolines: userdata is a number (a cgo.Handle), never a pointer into Go's memory.
extern int32_t x402GoRead(uintptr_t, uint8_t *, size_t, size_t *);
extern int32_t x402GoRewind(uintptr_t);
extern int32_t x402GoProgress(uintptr_t, uint64_t, uint64_t, uint64_t, uint64_t);
extern int32_t x402GoApprove(uintptr_t, char *, size_t);
extern int32_t x402GoSign(uintptr_t, char *, uint8_t *, size_t, uint8_t *, size_t, size_t *);
extern void x402GoLog(uintptr_t, int32_t, char *, size_t);

static int32_t go_read(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    return x402GoRead((uintptr_t)userdata, buffer, cap, len);
}

static int32_t go_rewind(void *userdata)
{
    return x402GoRewind((uintptr_t)userdata);
}

static int32_t go_progress(void *userdata, uint64_t sent, uint64_t send_total, uint64_t received, uint64_t receive_total)
{
    return x402GoProgress((uintptr_t)userdata, sent, send_total, received, receive_total);
}

static int32_t go_approve(void *userdata, const char *offer, size_t len)
{
    return x402GoApprove((uintptr_t)userdata, (char *)offer, len);
}

static int32_t go_sign(void *userdata, const char *kind, const uint8_t *data, size_t len, uint8_t *signature, size_t cap,
                       size_t *signature_len)
{
    return x402GoSign((uintptr_t)userdata, (char *)kind, (uint8_t *)data, len, signature, cap, signature_len);
}

static void go_log(void *userdata, int32_t level, const char *line, size_t len)
{
    x402GoLog((uintptr_t)userdata, level, (char *)line, len);
}

x402_status x402go_body_reader(x402_request *request, int rewinds, uintptr_t handle, uint64_t length, x402_error **error)
{
    return x402_request_body_reader(request, go_read, rewinds ? go_rewind : NULL, (void *)handle, length, error);
}

x402_status x402go_progress(x402_request *request, uintptr_t handle, x402_error **error)
{
    return x402_request_progress(request, go_progress, (void *)handle, error);
}

x402_status x402go_approve(x402_policy *policy, uintptr_t handle, x402_error **error)
{
    return x402_policy_approve(policy, go_approve, (void *)handle, error);
}

x402_status x402go_signer(x402_wallet *wallet, const char *family, const char *address, uintptr_t handle,
                          x402_error **error)
{
    return x402_wallet_add_signer(wallet, family, address, go_sign, (void *)handle, error);
}

x402_status x402go_log(x402_config *config, uintptr_t handle, x402_error **error)
{
    return x402_config_log(config, go_log, (void *)handle, error);
}
*/
import "C"
