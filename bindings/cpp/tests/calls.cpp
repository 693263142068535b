// calls.cpp: what each part of x402.hpp does when it is used as meant, and how its errors look.
#include "support.hpp"

#include <array>
#include <filesystem>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

template <class T> constexpr bool move_only()
{
    return std::is_nothrow_move_constructible_v<T> && std::is_move_assignable_v<T> && !std::is_copy_constructible_v<T> &&
           !std::is_copy_assignable_v<T>;
}
static_assert(move_only<x402::Wallet>() && move_only<x402::Policy>() && move_only<x402::Ledger>() &&
              move_only<x402::Config>() && move_only<x402::Client>() && move_only<x402::Request>() &&
              move_only<x402::Response>() && move_only<x402::Payment>());
static_assert(std::is_nothrow_copy_constructible_v<x402::Error> && std::is_base_of_v<std::exception, x402::Error>);
static_assert(sizeof(x402::Ledger) == sizeof(void *));
static_assert(std::is_convertible_v<std::vector<std::uint8_t>, x402::Bytes> && std::is_convertible_v<std::string, x402::Bytes>);
static_assert(std::is_convertible_v<std::array<std::byte, 3>, x402::Bytes> && !std::is_convertible_v<std::vector<int>, x402::Bytes>);

void versions()
{
    SAME_TEXT(x402::version(), X402_VERSION);
    CHECK(x402::abi_fits(), "header and library differ");
    SAME_TEXT(name(x402::Money::paid), "paid");
    SAME_TEXT(name(x402::Retry::same_bytes), "same-bytes");
}

void texts_in_every_form()
{
    const std::string key = TEST_KEY;
    x402::Wallet wallet;
    wallet.add_evm_key(TEST_KEY).add_evm_key(key).add_evm_key(std::string_view(key).substr(2));
    for (std::size_t i = 0; i < 3; i++)
        CHECK(wallet.address("eip155", i) == TEST_ADDRESS, "%s", wallet.address("eip155", i).c_str());
    EXPECT_STATUS(X402_ERROR_ARGUMENT, (void)wallet.address("eip155", 3));
    EXPECT_STATUS(X402_ERROR_ARGUMENT, wallet.add_evm_key(static_cast<const char *>(nullptr)));
    // The end of the text that C would see is a good key; what the caller means is another.
    const auto cut = thrown_by<x402::Error>([&] { wallet.add_evm_key(key + std::string("\0more", 5)); });
    CHECK(cut && cut->status() == X402_ERROR_ARGUMENT && holds(cut->what(), "NUL"), "%s", cut ? cut->what() : "no error");
    CHECK(!holds(cut->what(), "ac0974be"), "%s", cut->what());
    EXPECT_STATUS(X402_ERROR_ARGUMENT, x402::Request("GET", std::string("http://127.0.0.1/\0", 18)));
}

void errors()
{
    const auto error = thrown_by<x402::Error>([] { x402::Wallet().add_evm_key(TEST_KEY "77"); });
    CHECK(error && error->status() == X402_ERROR_KEY, "an error of its kind");
    SAME_TEXT(error->status_name(), "X402_ERROR_KEY");
    CHECK(error->what()[0] && !holds(error->what(), "ac0974be"), "%s", error->what());
    CHECK(error->money() == x402::Money::none && error->retry() == x402::Retry::never, "%s", name(error->retry()));
    CHECK(error->callback_value() == 0 && !error->cause() && !error->payment(), "nothing else is in it");
    const std::exception &base = *error;
    SAME_TEXT(base.what(), error->what());

    x402::Wallet moved, wallet = std::move(moved);
    EXPECT_STATUS(X402_ERROR_HANDLE, moved.add_evm_key(TEST_KEY));
    wallet.add_evm_key(TEST_KEY);
}

void results()
{
    x402::Result<x402::Wallet> wallet = x402::Wallet::make();
    CHECK(wallet && wallet.has_value(), "a value");
    x402::Result<void> done = wallet->try_add_evm_key("no key");
    CHECK(!done && done.error().status() == X402_ERROR_KEY, "an error");
    CHECK(thrown_by<x402::Error>([&] { done.value(); }).has_value(), "value() throws it");
    CHECK(wallet->try_add_evm_key(TEST_KEY).has_value(), "no error");
    CHECK(*wallet->try_address("eip155") == TEST_ADDRESS, "the address");
    CHECK(x402::Request::make("NO METHOD", "http://x/").error().status() == X402_ERROR_METHOD, "of a result that ends");
    const x402::Wallet taken = *std::move(wallet);
    CHECK(taken.try_address("eip155").has_value(), "moved out");
}

void a_free_answer(const TestServer &server, const x402::Client &client)
{
    x402::Response response = client.get(server / "free");
    CHECK(response.status() == 200 && response.ok(), "%u", unsigned(response.status()));
    CHECK(response.money() == x402::Money::none && !response.payment(), "nothing was asked");
    CHECK(response.url() == server / "free", "%s", response.url().c_str());
    CHECK(response.header("CONTENT-length") == "4" && !response.header("X-None"), "one header");
    int twos = 0;
    for (const auto &[name, value] : response.headers())
        twos += holds("X-Two x-two", name) && (value == "one" || value == "two");
    CHECK(twos == 2, "%d of the same name", twos);
    CHECK(response.body(100).text() == "free" && response.text(100) == "free", "the body, twice");
}

void a_paid_answer(const TestServer &server, const x402::Client &client)
{
    std::optional<x402::PaymentView> outlived;
    {
        x402::Response response = client.get(server / "weather");
        CHECK(response.money() == x402::Money::paid, "%s", name(response.money()));
        const auto payment = response.payment();
        CHECK(payment && payment->amount() == "10000" && payment->network() == "eip155:84532", "what was paid");
        CHECK(payment->asset().size() == 42 && payment->payee().size() == 42, "%s", payment->asset().c_str());
        CHECK(holds(payment->transaction(), "0x") && payment->refusal().empty(), "%s", payment->transaction().c_str());
        CHECK(payment->money() == x402::Money::paid && holds(payment->json(), "10000"), "%s", payment->json().c_str());
        outlived = payment;
    }
    CHECK(outlived->amount().empty() && outlived->money() == x402::Money::unknown, "a view that outlived its response");
}

void a_refused_payment(const TestServer &server, const x402::Client &client)
{
    x402::Response response = client.get(server / "expensive");
    CHECK(response.status() == 402 && !response.ok() && response.money() == x402::Money::refused, "the original 402");
    CHECK(!response.payment()->refusal().empty() && response.header("PAYMENT-REQUIRED"), "with its reason");
}

void posts_and_quotes(const TestServer &server, const x402::Client &client)
{
    const std::vector<std::uint8_t> bytes{1, 2, 3};
    CHECK(client.post(server / "free-echo", "text/plain", bytes).text(10) == "\1\2\3", "bytes there and back");
    CHECK(client.post(server / "free-echo", nullptr, {}).text(10).empty(), "no bytes");
    CHECK(holds(client.post(server / "upload", "text/plain", "abc").text(4096), sha256_hex("abc")), "a paid upload");
    x402::Request request("GET", server / "weather");
    const long settled = server.count("payments_settled");
    CHECK(holds(client.quote_json(request), "10000"), "a quote");
    CHECK(server.count("payments_settled") == settled, "a quote pays nothing");
    request.header("X-Mark", "one").set("total_timeout_ms", "30000");
    CHECK(client.send(request).text(100) == "sunny" && client.send(request).text(100) == "sunny", "sent twice");
    CHECK(client.send(x402::Request("PUT", server / "free-echo").body("put")).text(10) == "put", "made in place");
    EXPECT_STATUS(X402_ERROR_HEADER, request.header("X-Bad", "a\r\nb"));
    EXPECT_STATUS(X402_ERROR_SETTING, request.set("no_such_setting", "1"));
}

void rules(const TestServer &server)
{
    std::vector<std::string> offers;
    int lines = 0, refuse = 0;
    x402::Config config;
    {
        x402::Policy policy;
        policy.max_per_payment("6.00 USD").budget("all", 3600, "6.00 USD").allow("network", "eip155:84532");
        policy.prefer("scheme", "exact").approve([&](std::string_view offer) {
            offers.emplace_back(offer);
            return refuse;
        });
        config.policy(policy).wallet(x402::Wallet().add_evm_key(TEST_KEY));
        // A callable that can only be moved, and that throws: what was paid stays paid.
        config.log([&lines, own = std::make_unique<int>(1)](int level, std::string_view line) {
            CHECK(level >= 1 && level <= 4 && !line.empty() && *own == 1, "level %d", level);
            lines++;
            throw std::runtime_error("the disk is full");
        });
    } // the callables live on in the configuration
    x402::Client client(std::exchange(config, x402::Config()));
    CHECK(client.get(server / "expensive").money() == x402::Money::paid, "5.00 of 6.00 USD");
    CHECK(offers.size() == 1 && holds(offers[0], "5000000"), "the offer");
    CHECK(client.get(server / "expensive").money() == x402::Money::refused, "the budget is used up");
    refuse = 1;
    CHECK(client.get(server / "weather").status() == 402, "declined");
    CHECK(lines > 0, "nothing was logged");
    EXPECT_STATUS(X402_ERROR_AMOUNT, x402::Policy().max_per_payment("a lot"));
    EXPECT_STATUS(X402_ERROR_PATTERN, x402::Policy().allow("network", ""));
    EXPECT_STATUS(X402_ERROR_SETTING, x402::Config().set("total_timeout_ms", "soon"));
}

void a_payment_for_another_client(const TestServer &server, const x402::Client &client)
{
    const x402::Client other{x402::Config()}; // it has no wallet: somebody else's HTTP client
    x402::Response unpaid = other.get(server / "weather");
    CHECK(unpaid.status() == 402, "%u", unsigned(unpaid.status()));
    x402::Payment payment = client.pay("GET", server / "weather", 402, unpaid.headers(), unpaid.body(1 << 20));
    CHECK(payment.money() == x402::Money::unknown && payment.view().amount() == "10000", "signed");
    x402::Response paid =
        other.send(x402::Request("GET", server / "weather").header(payment.header_name(), payment.header_value()));
    CHECK(paid.status() == 200, "%u", unsigned(paid.status()));
    payment.settle(paid.status(), paid.headers());
    CHECK(payment.money() == x402::Money::paid && !payment.view().transaction().empty(), "%s", name(payment.money()));
    EXPECT_STATUS(X402_ERROR_ARGUMENT, payment.settle(200, {}));
    EXPECT_STATUS(X402_ERROR_CHALLENGE, (void)client.pay("GET", server / "weather", 402, {}, {}));
    EXPECT_STATUS(X402_ERROR_HEADER, (void)client.pay("GET", server / "weather", 402,
                                                {{"PAYMENT-REQUIRED", std::string("e30\0", 4)}}, {}));
}

void a_ledger(const TestServer &server)
{
    const auto path = std::filesystem::temp_directory_path() / ("x402-cpp-" + std::to_string(::getpid()) + ".ledger");
    {
        x402::Ledger ledger(path), memory;
        CHECK(memory.totals_json() == "[]", "%s", memory.totals_json().c_str());
        const x402::Client client(x402::Config().ledger(ledger).wallet(x402::Wallet().add_evm_key(TEST_KEY)));
        const auto lost = thrown_by<x402::Error>([&] { (void)client.get(server / "paid-then-close"); });
        CHECK(lost && lost->money() == x402::Money::unknown && lost->retry() == x402::Retry::same_bytes, "an answer is lost");
        CHECK(lost->payment() && lost->payment()->amount() == "10000", "the error has the payment");
        const long distinct = server.count("payments_distinct");
        CHECK(holds(ledger.unsettled_json(), "\"unknown\""), "%s", ledger.unsettled_json().c_str());
        CHECK(client.get(server / "paid-then-close").text(100) == "sunny", "the repeat gets it");
        CHECK(server.count("payments_distinct") == distinct, "with the same payment");
        CHECK(holds(ledger.totals_json(), "10000"), "%s", ledger.totals_json().c_str());
        CHECK(ledger.unsettled_json() == "[]", "%s", ledger.unsettled_json().c_str());
        CHECK(holds(ledger.entries_json(), "\"paid\""), "%s", ledger.entries_json().c_str());
        EXPECT_STATUS(X402_ERROR_ARGUMENT, ledger.abandon(1));
        EXPECT_STATUS(X402_ERROR_ARGUMENT, ledger.abandon(99));
    }
    for (const char *suffix : {"", "-wal", "-shm"})
        std::filesystem::remove(path.string() + suffix);
    EXPECT_STATUS(X402_ERROR_LEDGER, x402::Ledger("/nowhere/at/all"));
}

void several_threads(const TestServer &server, const x402::Client &client)
{
    std::vector<std::thread> threads;
    std::vector<int> good(4);
    for (int &count : good)
        threads.emplace_back([&] {
            for (int i = 0; i < 5; i++)
                count += client.get(server / "weather").money() == x402::Money::paid;
        });
    for (std::thread &thread : threads)
        thread.join();
    for (int count : good)
        CHECK(count == 5, "%d of 5", count);
}

void cancelling(const TestServer &server, const x402::Client &client)
{
    x402::Request request("GET", server / "hangs");
    const x402::Canceller cancel = request.canceller();
    std::thread other([cancel, &server] {
        while (!holds(server.state(), "/hangs"))
            std::this_thread::yield();
        cancel();
    });
    EXPECT_STATUS(X402_ERROR_CANCELLED, (void)client.send(request));
    other.join();
    request = x402::Request("GET", server / "free");
    cancel(); // of a request that is gone: nothing
    CHECK(client.send(request).ok(), "another request");
    request.cancel();
    EXPECT_STATUS(X402_ERROR_CANCELLED, (void)client.send(request));
}

} // namespace

int main(int, char **argv)
{
    versions();
    texts_in_every_form();
    errors();
    results();
    {
        const TestServer shop(argv[1]);
        const x402::Client client = paying_client();
        a_free_answer(shop, client);
        a_paid_answer(shop, client);
        a_refused_payment(shop, client);
        posts_and_quotes(shop, client);
        rules(shop);
        a_payment_for_another_client(shop, client);
        a_ledger(shop);
        several_threads(shop, client);
        cancelling(shop, client);
    }
    return finish("cpp calls");
}
