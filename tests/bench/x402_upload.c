/* x402_upload URL BYTES: a body of this length from a callback that cannot rewind, paid for on the way. */
#include "paying.h"
#include "stream.h"

static int32_t read_body(void *userdata, uint8_t *buffer, size_t cap, size_t *len)
{
    *len = stream_read(userdata, buffer, cap);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) die("usage: x402_upload URL BYTES");
    struct stream stream = { .total = number(argv[2]) };
    x402_error *error = NULL;
    x402_request *request;
    x402_response *response;
    stream_prepare();
    x402_client *client = client_new();
    struct measure begun = measure_begin();
    check(x402_request_new("POST", argv[1], &request, &error), error);
    check(x402_request_body_reader(request, read_body, NULL, &stream, stream.total, &error), error);
    check(x402_client_send(client, request, &response, &error), error);
    finish(response, X402_MONEY_PAID);
    x402_request_free(request);
    measure_end(begun, 1, stream.given);
    x402_client_free(client);
    return 0;
}
