/* ledger.c: one ledger file, the clients that share it, and what an operator can see and do. */
#include "setup.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/x402-ledger-XXXXXX";
static char path[64];

static x402_client *client_of(x402_ledger *ledger, const char *budget)
{
    x402_error *error = NULL;
    x402_wallet *wallet;
    x402_policy *policy;
    x402_config *config;
    x402_client *client;
    NEED(x402_wallet_new(&wallet, &error));
    NEED(x402_wallet_add_evm_key(wallet, TEST_KEY, &error));
    NEED(x402_policy_new(&policy, &error));
    NEED(x402_policy_budget(policy, "all", 0, budget, &error));
    NEED(x402_config_new(&config, &error));
    NEED(x402_config_wallet(config, wallet, &error));
    NEED(x402_config_policy(config, policy, &error));
    NEED(x402_config_ledger(config, ledger, &error));
    NEED(x402_client_new(config, &client, &error));
    x402_config_free(config);
    x402_policy_free(policy);
    x402_wallet_free(wallet);
    return client;
}

/* The text of the totals or the entries holds `part`, or does not. */
static void listed(x402_ledger *ledger, int entries, const char *part, int is_there)
{
    x402_error *error = NULL;
    char *json;
    if (entries)
        NEED(x402_ledger_entries_json(ledger, 0, 100, &json, &error));
    else
        NEED(x402_ledger_totals_json(ledger, &json, &error));
    CHECK((strstr(json, part) != NULL) == is_there, "%s in %s", part, json);
    CHECK(strstr(json, "nonce") == NULL && strstr(json, "x402Version") == NULL, "nothing to pay with: %s", json);
    x402_string_free(json);
}

static x402_money get(x402_client *client, const server *server, const char *what)
{
    x402_error *error = NULL;
    x402_response *response;
    NEED(x402_client_get(client, server_path(server, what), &response, &error));
    x402_money money = x402_response_money(response);
    x402_response_free(response);
    return money;
}

static void clients_and_handles_share_a_file(const server *server)
{
    x402_error *error = NULL;
    x402_ledger *one, *other;
    NEED(x402_ledger_open(path, &one, &error));
    NEED(x402_ledger_open(path, &other, &error));
    struct stat info;
    CHECK(stat(path, &info) == 0 && (info.st_mode & 0777) == 0600, "only its owner may open it");
    x402_client *first = client_of(one, "0.02 USD"), *second = client_of(other, "0.02 USD");
    x402_ledger_free(one);
    CHECK(get(first, server, "/weather") == X402_MONEY_PAID, "the first of two");
    CHECK(get(second, server, "/weather") == X402_MONEY_PAID, "the second of two");
    CHECK(get(first, server, "/weather") == X402_MONEY_REFUSED, "the budget is spent for both");
    CHECK(get(second, server, "/weather") == X402_MONEY_REFUSED, "the budget is spent for both");
    x402_client_free(first);
    x402_client_free(second);
    listed(other, 0, "\"amount\":\"20000\"", 1);
    listed(other, 1, "\"state\":\"paid\"", 1);
    EXPECT(X402_ERROR_ARGUMENT, x402_ledger_abandon(other, 1, &error));
    x402_ledger_free(other);
    NEED(x402_ledger_open(path, &one, &error));
    listed(one, 0, "\"amount\":\"20000\"", 1);
    x402_ledger_free(one);
}

static void an_open_outcome_can_be_given_up(const server *server)
{
    x402_error *error = NULL;
    x402_ledger *ledger;
    NEED(x402_ledger_open(NULL, &ledger, &error));
    x402_client *client = client_of(ledger, "0.02 USD");
    /* The answer is lost once; the same bytes, sent again by the call itself, are refused as used. */
    CHECK(get(client, server, "/paid-then-close") == X402_MONEY_UNKNOWN, "an open outcome");
    listed(ledger, 1, "\"state\":\"unknown\"", 1);
    listed(ledger, 0, "\"amount\":\"10000\"", 1);
    CHECK(get(client, server, "/weather") == X402_MONEY_PAID, "a settled one");
    char *open;
    NEED(x402_ledger_unsettled_json(ledger, 0, 100, &open, &error));
    CHECK(strstr(open, "\"id\":1,") && !strstr(open, "\"id\":2,") && strstr(open, "\"in_flight\":false"), "%s", open);
    x402_string_free(open);
    NEED(x402_ledger_abandon(ledger, 1, &error));
    NEED(x402_ledger_unsettled_json(ledger, 0, 100, &open, &error));
    SAME_TEXT(open, "[]");
    x402_string_free(open);
    listed(ledger, 1, "unknown", 0);
    listed(ledger, 0, "\"amount\":\"10000\"", 1);
    listed(ledger, 0, "20000", 0);
    x402_client_free(client);
    x402_ledger_free(ledger);
}

int main(int argc, char **argv)
{
    CHECK(mkdtemp(folder) != NULL, "a folder");
    snprintf(path, sizeof path, "%s/ledger", folder);
    server server = server_start(argc > 1 ? argv[1] : NULL, 0);
    clients_and_handles_share_a_file(&server);
    an_open_outcome_can_be_given_up(&server);
    server_stop(&server);
    unlink(path);
    rmdir(folder);
    return finish("ledger");
}
