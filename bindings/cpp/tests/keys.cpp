// keys.cpp: who pays: every way to give a wallet a key, several of them at once, and signers whose keys stay elsewhere.
#include "support.hpp"

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <unistd.h>

namespace {

constexpr const char *phrase = "test test test test test test test test test test test junk";
constexpr const char *second_address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"; // of the phrase
// The seed 01 02 … 20.
constexpr const char *solana_key = "2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSdZd8hbDHTd21as7EAsg7ypityqfsw2pMQKJcVDVcAEsd";
constexpr const char *solana_address = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj";
constexpr const char *solana_keyfile =
    "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,121,181,86,46,143,230,84,249,64,"
    "120,177,18,232,169,139,167,144,31,133,58,230,149,190,215,224,227,145,11,173,4,150,100]";
// TEST_KEY under "open sesame", with one round so that opening it is quick.
constexpr const char *keystore =
    R"({"version": 3, "id": "00000000-0000-0000-0000-000000000000", "crypto": {"cipher": "aes-128-ctr",
    "ciphertext": "b0e3f92386ff66711d5536909f0f5f34b1e83bb9d0e88d308a297714bc7a6942",
    "cipherparams": {"iv": "000102030405060708090a0b0c0d0e0f"}, "kdf": "pbkdf2", "kdfparams": {"c": 1, "dklen": 32,
    "prf": "hmac-sha256", "salt": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
    "mac": "0fe585b41536763c2ef4aedaf8256ecc2ffaf31052d020d4a7fc9254498e8bab"}})";
constexpr const char *terms =
    R"({"x402Version":2,"resource":{"url":"https://shop.example/a"},"accepts":[{"scheme":"exact","network":"eip155:84532",
    "amount":"10000","asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e",
    "payTo":"0x209693Bc6afc0C5328bA36FaF03C514EF312287C","maxTimeoutSeconds":60,"extra":{"name":"USDC","version":"2"}}]})";

struct Accident {
    int number;
};

/// A file that only its owner may read, ended with the object.
class KeyFile {
public:
    explicit KeyFile(const char *content)
        : path_(std::filesystem::temp_directory_path() / ("x402-cpp-" + std::to_string(::getpid()) + ".key"))
    {
        std::ofstream(path_) << content;
        std::filesystem::permissions(path_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    }
    ~KeyFile() { std::filesystem::remove(path_); }
    KeyFile(const KeyFile &) = delete;
    KeyFile &operator=(const KeyFile &) = delete;
    const std::filesystem::path &path() const { return path_; }

private:
    std::filesystem::path path_;
};

x402::Client client_of(const x402::Wallet &wallet) { return x402::Client(x402::Config().wallet(wallet)); }

/// Signs for the 402 above.
x402::Payment pay(const x402::Client &client) { return client.pay("GET", "https://shop.example/a", 402, {}, terms); }

/// What a payment header says, its base64 undone.
std::string said(const x402::Payment &payment)
{
    static const std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    unsigned bits = 0, count = 0;
    for (const char digit : payment.header_value()) {
        if (digit == '=')
            break;
        bits = bits << 6 | static_cast<unsigned>(digits.find(digit));
        if ((count += 6) >= 8)
            out += static_cast<char>(bits >> (count -= 8) & 0xff);
    }
    return out;
}

// ---- keys ----

void keys_of_every_form()
{
    x402::Wallet wallet;
    wallet.add_evm_mnemonic(phrase).add_evm_mnemonic(phrase, "", "m/44'/60'/0'/0/1").add_solana_mnemonic(phrase);
    wallet.add_solana_mnemonic(phrase, nullptr, "m/44'/501'/1'/0'").add_solana_key(solana_key);
    wallet.add_keyfile(KeyFile(keystore).path(), "open sesame");
    wallet.add_keyfile(KeyFile(solana_keyfile).path().string());
    SAME_TEXT(wallet.address("eip155").c_str(), TEST_ADDRESS);
    SAME_TEXT(wallet.address("eip155", 1).c_str(), second_address);
    SAME_TEXT(wallet.address("eip155", 2).c_str(), TEST_ADDRESS);
    SAME_TEXT(wallet.address("solana").c_str(), "oeYf6KAJkLYhBuR8CiGc6L4D4Xtfepr85fuDgA9kq96");
    SAME_TEXT(wallet.address("solana", 1).c_str(), "AqynRZwvVqUPRwRJXvm6odUb3t93fDjnWe3p6BeuUFxD");
    SAME_TEXT(wallet.address("solana", 2).c_str(), solana_address);
    SAME_TEXT(wallet.address("solana", 3).c_str(), solana_address);
    // Another passphrase is another key.
    CHECK(x402::Wallet().add_evm_mnemonic(phrase, "more").address("eip155") != TEST_ADDRESS, "the passphrase counts");
    CHECK(x402::Wallet().add_solana_mnemonic(phrase, "more").address("solana") != wallet.address("solana"), "it counts");
}

/// An error that names what is wrong, and not the secret.
void refused(const x402::Result<void> &done, const char *names, const char *secret)
{
    CHECK(!done && done.error().status() == X402_ERROR_KEY, "expected an error that names %s", names);
    CHECK(holds(done.error().what(), names) && !holds(done.error().what(), secret), "%s", done.error().what());
}

void wrong_keys()
{
    x402::Wallet wallet;
    const KeyFile file(keystore);
    refused(wallet.try_add_evm_mnemonic("test test junk"), "3 words", "junk");
    refused(wallet.try_add_evm_mnemonic(phrase, nullptr, "m/44'/60'/x"), "component 3", "junk");
    refused(wallet.try_add_solana_mnemonic(phrase, nullptr, "m/44'/501'/0"), "hardened", "junk");
    refused(wallet.try_add_keyfile(file.path(), "open barley"), file.path().c_str(), "barley");
    refused(wallet.try_add_keyfile(file.path()), "no password", "7a6942");
    refused(wallet.try_add_keyfile("/nowhere/at/all"), "/nowhere/at/all", "sesame");
    EXPECT_STATUS(X402_ERROR_KEY, wallet.add_evm_mnemonic("junk"));
    EXPECT_STATUS(X402_ERROR_KEY, wallet.add_solana_mnemonic("junk"));
    EXPECT_STATUS(X402_ERROR_KEY, wallet.add_keyfile(file.path(), "barley"));
    EXPECT_STATUS(X402_ERROR_ARGUMENT, wallet.add_evm_mnemonic(std::string(phrase) + std::string("\0more", 5)));
    EXPECT_STATUS(X402_ERROR_ARGUMENT, (void)wallet.address("eip155"));
}

/// Which keys pay, and which offer is taken, is one line each.
void several_keys(const TestServer &server)
{
    const auto paid = [&](const x402::Client &client, const char *path) {
        x402::Response response = client.get(server / path);
        CHECK(response.money() == x402::Money::paid, "%s", response.payment() ? response.payment()->refusal().c_str() : "");
        return response.payment() ? response.payment()->json() : std::string();
    };
    x402::Wallet wallet;
    wallet.add_evm_key(TEST_KEY).add_evm_mnemonic(phrase, "", "m/44'/60'/0'/0/1").add_solana_key(solana_key);
    const x402::Client first(x402::Config().wallet(wallet));
    CHECK(holds(paid(first, "weather"), TEST_ADDRESS), "the first key pays");
    const x402::Client second(x402::Config().wallet(wallet).set("payer", second_address));
    CHECK(holds(paid(second, "weather"), second_address), "the key that is named pays");
    CHECK(holds(paid(first, "choice"), "\"100\""), "the cheapest offer");
    const x402::Client base(x402::Config().wallet(wallet).policy(x402::Policy().prefer("network", "eip155:8453")));
    CHECK(holds(paid(base, "choice"), "\"20000\""), "the network that is preferred");
    const x402::Client solana(x402::Config().wallet(wallet).policy(x402::Policy().prefer("network", "solana:*")));
    CHECK(holds(paid(solana, "choice"), solana_address), "the family that is preferred");
    EXPECT_STATUS(X402_ERROR_SETTING, x402::Client(x402::Config().set("payer", solana_address)));
}

// ---- signers ----

/// The bytes of a signature that only a smart wallet gives.
std::vector<std::uint8_t> long_signature(std::size_t length = 96)
{
    std::vector<std::uint8_t> bytes(length);
    for (std::size_t i = 0; i < length; i++)
        bytes[i] = static_cast<std::uint8_t>(i);
    return bytes;
}

std::string hex_of(const std::vector<std::uint8_t> &bytes)
{
    std::string hex;
    for (const std::uint8_t byte : bytes)
        for (const int shift : {4, 0})
            hex += "0123456789abcdef"[byte >> shift & 15];
    return hex;
}

template <class Sign> x402::Client signing(Sign sign, const char *family = "eip155")
{
    return client_of(x402::Wallet().add_signer(family, TEST_ADDRESS, std::move(sign)));
}

static_assert(std::is_convertible_v<std::array<std::byte, 65>, x402::Signature>);
static_assert(std::is_convertible_v<x402::Bytes, x402::Signature> && std::is_convertible_v<x402::Decline, x402::Signature>);
static_assert(!std::is_convertible_v<std::string, x402::Signature> && !std::is_convertible_v<const char *, x402::Signature>);
static_assert(!std::is_constructible_v<x402::Signature, std::string> && !std::is_convertible_v<int, x402::Signature>);

void what_a_signer_gives_is_sent()
{
    int asked = 0;
    // Moved in, and kept by the client when wallet and configuration are gone.
    const x402::Client client = signing([&asked, own = std::make_unique<int>(96)](std::string_view kind, x402::Bytes message) {
        asked++;
        CHECK(kind == "evm-typed-data" && message.text().front() == '{' && message.text().back() == '}', "the message");
        CHECK(holds(std::string(message.text()), "TransferWithAuthorization"), "to be shown");
        return long_signature(static_cast<std::size_t>(*own));
    });
    CHECK(holds(said(pay(client)), hex_of(long_signature())) && asked == 1, "asked %d times", asked);

    std::vector<std::string> kinds;
    const std::function<x402::Signature(std::string_view, x402::Bytes)> digest = [&](std::string_view kind, x402::Bytes message) {
        kinds.emplace_back(kind);
        if (kind != "evm-digest")
            return x402::Signature(x402::OtherKind{});
        CHECK(message.size() == 32, "%zu bytes", message.size());
        return x402::Signature(long_signature(4096));
    };
    CHECK(holds(said(pay(signing(digest))), hex_of(long_signature(4096))), "the longest that fits");
    CHECK(kinds == (std::vector<std::string>{"evm-typed-data", "evm-digest"}), "%zu kinds", kinds.size());
    CHECK(holds(said(pay(signing(digest, "eip155-contract"))), hex_of(long_signature(4096))), "of a smart wallet");
}

void a_signer_that_declines_pays_nothing(const TestServer &server)
{
    const auto says = [](x402::Signature signature, const char *expected) {
        const x402::Client client = signing([&](std::string_view, x402::Bytes) { return signature; });
        const auto paid = client.try_pay("GET", "https://shop.example/a", 402, {}, terms);
        CHECK(!paid && paid.error().money() == x402::Money::refused && !paid.error().cause(), "it declined");
        CHECK(holds(paid.error().what(), expected), "%s", paid.error().what());
    };
    says(x402::Decline{42}, "the value 42");
    says(x402::Decline{0}, "the value -1"); // it did not sign, whatever it says
    says(x402::Decline{X402_SIGN_OTHER_KIND}, "the value -1");
    says(x402::OtherKind{}, "neither");
    says(x402::Bytes(), "empty");
    says(long_signature(4097), "4097 bytes");
    says(long_signature(65), "no signature of this message by " TEST_ADDRESS);
    x402::Response response =
        signing([](std::string_view, x402::Bytes) -> x402::Signature { return x402::Decline{7}; }).get(server / "weather");
    CHECK(response.status() == 402 && response.money() == x402::Money::refused, "%u", unsigned(response.status()));
    CHECK(holds(response.payment()->refusal(), "the value 7"), "%s", response.payment()->refusal().c_str());
    EXPECT_STATUS(X402_ERROR_ARGUMENT, (void)signing([](std::string_view, x402::Bytes) { return long_signature(); }, "bitcoin"));
    EXPECT_STATUS(X402_ERROR_KEY, x402::Wallet().add_signer("solana", "0x1234", [](std::string_view, x402::Bytes) {
        return x402::Signature(x402::OtherKind{});
    }));
}

/// What a signer throws comes out of the call that asked it, and nothing is paid.
void a_signer_that_throws(const TestServer &server)
{
    const x402::Client client = signing([](std::string_view, x402::Bytes) -> x402::Signature { throw Accident{5}; });
    x402::Request request("GET", server / "weather");
    const long presented = server.count("payments_presented");
    const std::function<void()> calls[] = {
        [&] { (void)client.get(server / "weather"); },
        [&] { (void)client.post(server / "upload", "text/plain", "abc"); },
        [&] { (void)client.send(request); },
        [&] { (void)pay(client); },
        [&] { (void)client.pay_request(request, 402, {}, terms); },
    };
    for (const auto &call : calls) {
        const auto accident = thrown_by<Accident>(call);
        CHECK(accident && accident->number == 5, "call %td", &call - calls);
    }
    const auto response = client.try_get(server / "weather");
    CHECK(!response && response.error().cause() && response.error().status() == X402_ERROR_CALLBACK, "as a value");
    CHECK(response.error().money() == x402::Money::refused, "%s", name(response.error().money()));
    const auto payment = client.try_pay("GET", "https://shop.example/a", 402, {}, terms);
    CHECK(!payment && payment.error().cause() && payment.error().money() == x402::Money::refused, "as a value");
    const auto asked = client.try_pay_request(request, 402, {}, terms);
    CHECK(!asked && asked.error().cause() && asked.error().money() == x402::Money::refused, "as a value");
    CHECK(holds(client.quote_json(request), "10000"), "a quote asks no signer");
    CHECK(server.count("payments_presented") == presented, "nothing was sent");
    // On a thread of a queue nobody is there to catch it; it refuses all the same.
    x402::Queue queue(client);
    CHECK(queue.send(request, 1), "taken");
    const x402::Event event = queue.wait();
    const auto &sent = std::get<0>(event.outcome);
    CHECK(sent && sent->status() == 402 && sent->money() == x402::Money::refused, "the event has the 402");
}

void a_signer_may_call_in()
{
    const x402::Client inner = signing([](std::string_view, x402::Bytes) { return long_signature(); });
    std::string header;
    bool throws = false;
    const x402::Client outer = signing([&](std::string_view, x402::Bytes) {
        header = pay(inner).header_name();
        if (throws)
            throw Accident{6};
        return long_signature();
    });
    CHECK(holds(said(pay(outer)), hex_of(long_signature())) && header == "PAYMENT-SIGNATURE", "%s", header.c_str());
    throws = true;
    CHECK(thrown_by<Accident>([&] { (void)pay(outer); }).has_value(), "out of the outer call");
}

// ---- payments that another client sends ----

void a_described_request_is_known_again(const TestServer &server)
{
    const x402::Client client = paying_client(), other{x402::Config()};
    x402::Response unpaid = other.post(server / "upload-late", nullptr, "report");
    const x402::Headers headers = unpaid.headers();
    const x402::Bytes body = unpaid.body(1 << 20);
    const auto described = [&](const char *bytes) {
        x402::Request request("POST", server / "upload-late");
        request.body(bytes).progress([](const x402::Progress &) { CHECK(false, "nothing is sent"); });
        return request;
    };
    std::string first;
    {
        x402::Request request = described("report");
        first = client.pay_request(request, unpaid.status(), headers, body).header_value(); // and never settled
        const auto again = client.try_pay_request(request, unpaid.status(), headers, body);
        CHECK(again && again->header_value() == first, "the same header");
    }
    CHECK(client.pay_request(described("another"), 402, headers, body).header_value() != first, "another purchase");
    x402::Payment payment = client.pay_request(described("report"), 402, headers, body);
    CHECK(payment.header_value() == first && payment.money() == x402::Money::unknown, "known by its body");
    x402::Request paying("POST", server / "upload-late");
    paying.header(payment.header_name(), payment.header_value()).body("report");
    x402::Response paid = other.send(paying);
    payment.settle(paid.status(), paid.headers());
    CHECK(payment.money() == x402::Money::paid && holds(paid.text(4096), sha256_hex("report")), "%s", name(payment.money()));
    // A name knows it whatever its body.
    const auto named = [&](const char *key) {
        return client.pay_request(described("x").set("purchase_key", key), 402, headers, body).header_value();
    };
    CHECK(named("one") != named("two"), "names differ");
    EXPECT_STATUS(X402_ERROR_CHALLENGE, (void)client.pay_request(described("x"), 402, {}, {}));
    EXPECT_STATUS(X402_ERROR_ARGUMENT, (void)client.pay_request(described("x"), 200, headers, body));
    EXPECT_STATUS(X402_ERROR_HEADER, (void)client.pay_request(described("x"), 402, {{"A", std::string("b\0", 2)}}, {}));
}

/// A payment logs how it ended, also when its client is gone, and when another takes its place.
void a_payment_outlives_its_client()
{
    struct Watched {
        int lines = 0;
        bool ended = false;
        explicit Watched(int lines_) : lines(lines_) {}
    };
    const auto logging = [](std::shared_ptr<Watched> watched) {
        const auto ends = [](Watched *one) { one->ended = true; };
        x402::Config config;
        config.wallet(x402::Wallet().add_evm_key(TEST_KEY));
        config.log([watched, own = std::unique_ptr<Watched, decltype(ends)>(watched.get(), ends)](int, std::string_view) {
            CHECK(!own->ended, "told after its end");
            own->lines++;
        });
        return pay(x402::Client(config));
    };
    const auto first = std::make_shared<Watched>(0), second = std::make_shared<Watched>(0);
    x402::Payment payment = logging(first);
    const int before = first->lines;
    CHECK(!first->ended, "the payment keeps it");
    payment = logging(second);
    CHECK(first->ended && first->lines > before, "it was let go unsettled, and that was logged: %d lines", first->lines);
    const int signed_lines = second->lines;
    payment.settle(200, {});
    CHECK(!second->ended && second->lines > signed_lines, "the answer was logged");
}

} // namespace

int main(int, char **argv)
{
    keys_of_every_form();
    wrong_keys();
    what_a_signer_gives_is_sent();
    a_signer_may_call_in();
    a_payment_outlives_its_client();
    {
        const TestServer shop(argv[1]);
        several_keys(shop);
        a_signer_that_declines_pays_nothing(shop);
        a_signer_that_throws(shop);
        a_described_request_is_known_again(shop);
    }
    return finish("cpp keys");
}
