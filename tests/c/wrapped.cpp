// wrapped.cpp: the header as C++ uses it: owning pointers over the handles, lambdas as callbacks, enums that are types.
#include "x402.h"
#include "setup.h"

#include <memory>
#include <string>
#include <type_traits>

namespace {

template <auto free_function> struct deleter {
    template <class handle> void operator()(handle *h) const noexcept { free_function(h); }
};
using wallet_ptr = std::unique_ptr<x402_wallet, deleter<x402_wallet_free>>;
using config_ptr = std::unique_ptr<x402_config, deleter<x402_config_free>>;
using client_ptr = std::unique_ptr<x402_client, deleter<x402_client_free>>;
using response_ptr = std::unique_ptr<x402_response, deleter<x402_response_free>>;
using error_ptr = std::unique_ptr<x402_error, deleter<x402_error_free>>;

static_assert(std::is_enum<x402_status>::value && sizeof(x402_status) == 4, "the status is an enum of 32 bits");
static_assert(std::is_enum<x402_money>::value && sizeof(x402_money) == 4, "so is the money state");
static_assert(X402_LENGTH_UNKNOWN == UINT64_MAX, "the constant is usable");

client_ptr paying_client()
{
    x402_wallet *wallet = nullptr;
    x402_config *config = nullptr;
    x402_client *client = nullptr;
    CHECK(x402_wallet_new(&wallet, nullptr) == X402_OK, "wallet");
    wallet_ptr own_wallet(wallet);
    CHECK(x402_wallet_add_evm_key(wallet, TEST_KEY, nullptr) == X402_OK, "key");
    CHECK(x402_config_new(&config, nullptr) == X402_OK, "config");
    config_ptr own_config(config);
    CHECK(x402_config_wallet(config, wallet, nullptr) == X402_OK, "config wallet");
    CHECK(x402_client_new(config, &client, nullptr) == X402_OK, "client");
    return client_ptr(client);
}

} // namespace

int main()
{
    server server = server_start(nullptr, 0);
    {
        client_ptr client = paying_client();
        x402_response *raw = nullptr;
        x402_error *error = nullptr;
        CHECK(x402_client_get(client.get(), server_path(&server, "/weather"), &raw, &error) == X402_OK, "%s",
              x402_error_message(error));
        response_ptr response(raw);
        CHECK(x402_response_money(response.get()) == X402_MONEY_PAID, "paid");
        std::string body;
        x402_chunk_fn append = [](void *userdata, const uint8_t *data, size_t len) -> int32_t {
            static_cast<std::string *>(userdata)->append(reinterpret_cast<const char *>(data), len);
            return 0;
        };
        CHECK(x402_response_each(response.get(), append, &body, nullptr) == X402_OK, "each");
        CHECK(body.find("sunny") != std::string::npos, "%s", body.c_str());
        CHECK(x402_client_get(client.get(), "no url", &raw, &error) == X402_ERROR_URL, "an error");
        error_ptr own_error(error);
        CHECK(raw == nullptr && x402_error_status(own_error.get()) == X402_ERROR_URL, "cleared");
    }
    server_stop(&server);
    return finish("wrapped");
}
