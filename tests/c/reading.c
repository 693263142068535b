/* reading.c: the body of an answer, however it is taken, against the paying test server. */
#include "setup.h"

typedef struct tally {
    uint64_t bytes, wrong, stop_at;
    x402_response *response;
} tally;

static int32_t count_chunk(void *userdata, const uint8_t *data, size_t len)
{
    tally *seen = userdata;
    for (size_t i = 0; i < len; i++)
        seen->wrong += data[i] != (seen->bytes + i) % 251;
    seen->bytes += len;
    if (x402_response_status(seen->response) != 200)
        return -1;
    return seen->stop_at && seen->bytes >= seen->stop_at ? 7 : 0;
}

static void reading(const server *server, x402_client *client)
{
    x402_error *error = NULL;
    x402_response *response;
    uint8_t buffer[1000];
    size_t len;
    tally seen = {0};
    const uint8_t *data;
    NEED(x402_client_get(client, server_path(server, "/free-download"), &response, &error));
    seen.response = response;
    NEED(x402_response_read(response, buffer, sizeof buffer, &len, &error));
    CHECK(len > 0 && len <= sizeof buffer, "%zu", len);
    count_chunk(&seen, buffer, len);
    seen.stop_at = 300000;
    CHECK(x402_response_each(response, count_chunk, &seen, &error) == X402_ERROR_CALLBACK, "stopped");
    CHECK(x402_error_callback_value(error) == 7, "%d", (int)x402_error_callback_value(error));
    x402_error_free(error);
    error = NULL;
    seen.stop_at = 0;
    NEED(x402_response_each(response, count_chunk, &seen, &error));
    CHECK(seen.bytes == 1048576 && seen.wrong == 0, "%llu bytes, %llu wrong", (unsigned long long)seen.bytes,
          (unsigned long long)seen.wrong);
    NEED(x402_response_read(response, buffer, sizeof buffer, &len, &error));
    CHECK(len == 0, "after the end comes nothing");
    x402_response_free(response);
    NEED(x402_client_get(client, server_path(server, "/free-download"), &response, &error));
    EXPECT(X402_ERROR_RESPONSE_LIMIT, x402_response_read_all(response, 1000, &data, &len, &error));
    CHECK(data == NULL && len == 0, "outputs are cleared");
    x402_response_free(response);
}

static int32_t free_in_chunk(void *userdata, const uint8_t *data, size_t len)
{
    tally *seen = userdata;
    (void)data;
    seen->bytes += len;
    x402_response_free(seen->response);
    return 0;
}

static void a_response_freed_in_its_own_callback(const server *server, x402_client *client)
{
    x402_error *error = NULL;
    tally seen = {0};
    NEED(x402_client_get(client, server_path(server, "/free-download"), &seen.response, &error));
    EXPECT(X402_ERROR_HANDLE, x402_response_each(seen.response, free_in_chunk, &seen, &error));
    CHECK(seen.bytes > 0, "one chunk came");
}

/* ---- what can be read without waiting ---- */

/* What came with its head; to its end, and after it. */
static void a_small_answer_is_whole(const server *server, x402_client *client, const char *path)
{
    x402_error *error = NULL;
    x402_response *response;
    uint8_t buffer[3];
    size_t len = 1;
    NEED(x402_client_get(client, server_path(server, path), &response, &error));
    while (len) {
        CHECK(x402_response_is_whole(response) == 1, "%s", path);
        NEED(x402_response_read(response, buffer, sizeof buffer, &len, &error));
    }
    CHECK(x402_response_is_whole(response) == 1, "after its end");
    x402_response_free(response);
}

/* Longer than what is received at once: not before its last part is here. */
static void a_large_answer_is_not_whole(const server *server, x402_client *client)
{
    x402_error *error = NULL;
    x402_response *response;
    uint8_t buffer[1000];
    size_t len = 1, read = 0;
    NEED(x402_client_get(client, server_path(server, "/free-download"), &response, &error));
    CHECK(x402_response_is_whole(response) == 0, "a megabyte");
    while (len) {
        NEED(x402_response_read(response, buffer, sizeof buffer, &len, &error));
        read += len;
        CHECK(read < 1048576 || x402_response_is_whole(response) == 1, "nothing is left");
    }
    CHECK(read == 1048576, "%zu", read);
    x402_response_free(response);
}

/* However little came, it may unfold into more than a loop has time for. */
static void a_packed_answer_is_not_whole(const server *server)
{
    x402_error *error = NULL;
    x402_client *client = client_with(NULL, "decompress", "true");
    x402_response *response;
    NEED(x402_client_get(client, server_path(server, "/free-packed"), &response, &error));
    CHECK(x402_response_is_whole(response) == 0, "it is unpacked as it is read");
    SAME_TEXT(body_text(response), "free");
    CHECK(x402_response_is_whole(response) == 1, "it was read");
    x402_response_free(response);
    x402_client_free(client);
}

/* The end of a paid body is told to the ledger's file, which may have to be waited for; that of a free one is not. */
static void a_ledger_file_is_waited_for(const server *server)
{
    char path[] = "/tmp/x402-reading-XXXXXX";
    x402_error *error = NULL;
    x402_ledger *ledger;
    x402_wallet *wallet;
    x402_config *config;
    x402_client *client;
    x402_response *response;
    CHECK(mkdtemp(path), "a directory");
    char file[sizeof path + 10];
    snprintf(file, sizeof file, "%s/ledger", path);
    NEED(x402_ledger_open(file, &ledger, &error));
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_evm_key(wallet, TEST_KEY, &error));
    NEED(x402_config_new(&config, &error));
    NEED(x402_config_wallet(config, wallet, &error));
    NEED(x402_config_ledger(config, ledger, &error));
    NEED(x402_client_new(config, &client, &error));
    NEED(x402_client_get(client, server_path(server, "/weather"), &response, &error));
    CHECK(x402_response_is_whole(response) == 0, "a paid answer");
    CHECK(strstr(body_text(response), "sunny"), "its body");
    CHECK(x402_response_is_whole(response) == 1, "it was read");
    x402_response_free(response);
    a_small_answer_is_whole(server, client, "/free");
    x402_client_free(client);
    x402_config_free(config);
    x402_wallet_free(wallet);
    x402_ledger_free(ledger);
    char command[sizeof path + 20];
    snprintf(command, sizeof command, "rm -r %s", path);
    CHECK(system(command) == 0, "%s", command);
}

int main(void)
{
    server server = server_start(NULL, 0);
    x402_client *client = client_with(NULL, NULL, NULL);
    reading(&server, client);
    a_response_freed_in_its_own_callback(&server, client);
    a_small_answer_is_whole(&server, client, "/free");
    a_small_answer_is_whole(&server, client, "/weather");
    a_large_answer_is_not_whole(&server, client);
    a_packed_answer_is_not_whole(&server);
    x402_client_free(client);
    a_ledger_file_is_waited_for(&server);
    server_stop(&server);
    return finish("reading");
}
