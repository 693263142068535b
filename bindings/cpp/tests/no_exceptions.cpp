// no_exceptions.cpp: the header compiled with -fno-exceptions: everything is there in the form that gives a Result.
#include <x402.hpp>

#ifdef __cpp_exceptions
#error "this is to be compiled with -fno-exceptions"
#endif

#include "support.hpp"

namespace {

x402::Result<x402::Client> make_client()
{
    auto wallet = x402::Wallet::make();
    auto config = x402::Config::make();
    if (!wallet || !config)
        return wallet ? std::move(config).error() : std::move(wallet).error();
    if (auto done = wallet->try_add_evm_key(TEST_KEY); !done)
        return std::move(done).error();
    if (auto done = config->try_wallet(*wallet); !done)
        return std::move(done).error();
    return x402::Client::make(*config);
}

void all_of_it(const TestServer &server)
{
    auto client = make_client();
    CHECK(client.has_value(), "a client");
    auto response = client->try_get(server / "weather");
    CHECK(response && response->money() == x402::Money::paid, "paid");
    CHECK(*response->try_text(100) == "sunny", "its body");
    auto request = x402::Request::make("POST", server / "upload");
    const std::string bytes = pattern_of(30000);
    std::size_t at = 0;
    CHECK(request->try_body([&](x402::Buffer to) -> x402::Given {
              const std::size_t piece = std::min(to.size(), bytes.size() - at);
              std::copy_n(bytes.data() + at, piece, to.chars());
              at += piece;
              return piece;
          }).has_value(),
          "a body");
    response = client->try_send(*request);
    CHECK(response && holds(*response->try_text(4096), sha256_hex(bytes)), "sent whole");
    CHECK(request->try_body([](x402::Buffer) { return x402::Given(x402::Stop{9}); }).has_value(), "another");
    response = client->try_send(*request);
    CHECK(!response && response.error().callback_value() == 9 && !response.error().cause(), "stopped");
    auto wallet = x402::Wallet::make();
    CHECK(!wallet->try_add_evm_mnemonic("junk") && !wallet->try_add_solana_mnemonic("junk"), "no mnemonics");
    CHECK(!wallet->try_add_keyfile("/nowhere/at/all"), "no file");
    CHECK(wallet->try_add_signer("eip155", TEST_ADDRESS, [](std::string_view, x402::Bytes) {
                    return x402::Signature(x402::Decline{3});
                }).has_value(),
          "a signer");
    auto config = x402::Config::make();
    CHECK(config->try_wallet(*wallet).has_value(), "given");
    auto declining = x402::Client::make(*config);
    auto weather = x402::Request::make("GET", server / "weather");
    response = declining->try_send(*weather);
    CHECK(response && holds(response->payment()->refusal(), "the value 3"), "declined");
    auto payment = declining->try_pay_request(*weather, 402, response->headers(), *response->try_body(1 << 20));
    CHECK(!payment && payment.error().status() == X402_ERROR_REFUSED, "declined");
    CHECK(client->try_get("no url").error().status() == X402_ERROR_URL, "an error");

    response = client->try_get(server / "breaks-off");
    x402::BodyStream stream = response->stream();
    std::string block(100000, '\0');
    stream.read(block.data(), 100000);
    CHECK(stream.gcount() == 50000 && stream.bad(), "%ld bytes", static_cast<long>(stream.gcount()));
    CHECK(stream.error() && stream.error()->status() == X402_ERROR_CONNECTION_LOST, "and why");
}

} // namespace

int main(int, char **argv)
{
    {
        const TestServer shop(argv[1]);
        all_of_it(shop);
    }
    return finish("cpp no_exceptions");
}
