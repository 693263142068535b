/* upload_rss.c: streams 256 MiB from a callback through a paid request, in each way a server can answer 402 before it
 * has read the body, and checks that every byte arrived and that the process never grew.
 *
 *     upload_rss [MEBIBYTES [RSS_MEBIBYTES_MAX]] */
#include "setup.h"
#include "sha256.h"

#include <sys/resource.h>
#include <time.h>

static const char *const PATHS[] = {"/upload",       "/upload-continue", "/upload-keep",      "/upload-stop",
                                    "/upload-reset", "/upload-linger",   "/upload-reset-late"};

static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void expected_hash(uint64_t length, char hex[65])
{
    enum { BLOCK = 251 * 256 };
    static uint8_t block[BLOCK];
    sha256 hash;
    sha256_start(&hash);
    for (size_t i = 0; i < BLOCK; i++)
        block[i] = (uint8_t)(i % 251);
    for (uint64_t at = 0; at < length; at += BLOCK)
        sha256_add(&hash, block, length - at < BLOCK ? (size_t)(length - at) : BLOCK);
    sha256_finish(&hash, hex);
}

static void upload(const server *server, x402_client *client, const char *path, uint64_t length, int known, const char *hex)
{
    x402_error *error = NULL;
    x402_request *request;
    x402_response *response;
    pattern body = {.length = length};
    struct timespec started, ended;
    clock_gettime(CLOCK_MONOTONIC, &started);
    NEED(x402_request_new("POST", server_path(server, path), &request, &error));
    NEED(x402_request_body_reader(request, pattern_read, pattern_rewind, &body, known ? length : X402_LENGTH_UNKNOWN, &error));
    NEED(x402_client_send(client, request, &response, &error));
    CHECK(x402_response_status(response) == 200, "%s: %u", path, x402_response_status(response));
    CHECK(x402_response_money(response) == X402_MONEY_PAID, "%s: %d", path, (int)x402_response_money(response));
    CHECK(strstr(body_text(response), hex), "%s: the server's hash is not %s: %s", path, hex, body_text(response));
    x402_response_free(response);
    x402_request_free(request);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%-20s %s  %6.2f s  peak RSS %ld KiB\n", path, known ? "Content-Length" : "chunked       ",
           (double)(ended.tv_sec - started.tv_sec) + (double)(ended.tv_nsec - started.tv_nsec) / 1e9, peak_kib());
}

int main(int argc, char **argv)
{
    uint64_t length = (argc > 1 ? strtoull(argv[1], NULL, 10) : 256) << 20;
    long limit_kib = (argc > 2 ? strtol(argv[2], NULL, 10) : 24) << 10;
    server server = server_start(NULL, 0);
    x402_client *client = client_with(NULL, NULL, NULL);
    char hex[65];
    expected_hash(length, hex);
    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++)
        for (int known = 0; known < 2; known++)
            upload(&server, client, PATHS[i], length, known, hex);
    CHECK(peak_kib() < limit_kib, "peak RSS %ld KiB, the limit is %ld KiB", peak_kib(), limit_kib);
    x402_client_free(client);
    server_stop(&server);
    return finish("upload_rss");
}
