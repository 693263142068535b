/* walkthrough.cpp: what one does with libx402 from C++, one part after the other, against the paying test server.
 *
 *     EVM_PRIVATE_KEY=0x... walkthrough http://127.0.0.1:4021 FOLDER
 */
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string_view>
#include <vector>
#include <x402.hpp>

namespace {

/* cut: client */
// A key, a limit, a ledger that outlives the program. Make one client and share it among threads.
x402::Client make_client(const char *key, const std::string &ledger_file)
{
    return x402::Client(x402::Config()
                            .wallet(x402::Wallet().add_evm_key(key))
                            .policy(x402::Policy().max_per_payment("0.10 USD").budget("all", 86400, "2.00 USD"))
                            .ledger(x402::Ledger(ledger_file)));
}
/* end of cut */

/* cut: keys */
// Several keys in one wallet. Which of them pays, and which offer where there is a choice, is one line each.
x402::Client make_client_of_keys(const char *key, const char *phrase)
{
    x402::Wallet wallet;
    wallet.add_evm_key(key).add_evm_mnemonic(phrase, "", "m/44'/60'/0'/0/1").add_solana_mnemonic(phrase);
    return x402::Client(x402::Config()
                            .wallet(wallet)
                            .policy(x402::Policy().prefer("network", "eip155:*").prefer("network", "solana:*"))
                            .set("payer", wallet.address("eip155", 1)));
}
/* end of cut */

/// Somebody else's, who keeps the key.
struct Kms {
    std::vector<std::uint8_t> sign(x402::Bytes) const { throw std::runtime_error("the KMS is locked"); }
};

/* cut: signer */
// A key that never comes here: in a KMS, an HSM, a person's own wallet.
x402::Client make_signing_client(const char *address, const Kms &kms)
{
    x402::Wallet wallet;
    wallet.add_signer("eip155", address, [&kms](std::string_view kind, x402::Bytes message) -> x402::Signature {
        if (kind != "evm-digest")
            return x402::OtherKind{}; // a KMS signs hashes; a person is shown the message as JSON
        return kms.sign(message);     // 64 or 65 bytes
    });
    return x402::Client(x402::Config().wallet(wallet));
}
/* end of cut */

/* cut: get */
void get(const x402::Client &client, const std::string &url)
{
    x402::Response response = client.get(url);
    std::cout << response.status() << ' ' << response.text(1 << 20) << '\n';
    if (const auto payment = response.payment())
        std::cout << "paid " << payment->amount() << " in " << payment->transaction() << payment->refusal() << '\n';
}
/* end of cut */

/* cut: upload */
void upload(const x402::Client &client, const std::string &url, const std::string &file)
{
    x402::Request request("POST", url);
    request.header("Content-Type", "application/octet-stream").set("purchase_key", "report 2026-11");
    request.body(std::make_unique<std::ifstream>(file, std::ios::binary));
    request.progress([](const x402::Progress &now) {
        std::cout << "\rsent " << now.sent << " of " << now.send_total << std::flush;
    });
    x402::Response response = client.send(request);
    std::cout << "\nupload: " << response.status() << ' ' << name(response.money()) << '\n';
}
/* end of cut */

/* cut: stream */
void stream(const x402::Client &client, const std::string &url)
{
    x402::Response response = client.get(url);
    x402::BodyStream lines = response.stream(); // lines are there as soon as they came
    for (std::string line; std::getline(lines, line);)
        std::cout << "line: " << line << '\n';
}
/* end of cut */

/* cut: errors */
void errors(const x402::Client &client, const std::string &url)
{
    try {
        client.get(url);
    } catch (const x402::Error &error) {
        std::cout << "error: " << error.status_name() << ", money: " << name(error.money()) << '\n';
    }
    // The same without exceptions:
    x402::Result<x402::Response> result = client.try_get(url);
    if (!result)
        std::cout << result.error().what() << '\n';
}
/* end of cut */

/* cut: exceptions */
// An exception that a callable throws stops the call and comes out of it.
void exceptions(const x402::Client &client, const std::string &url)
{
    x402::Request request("POST", url);
    request.body([](x402::Buffer) -> std::size_t { throw std::runtime_error("the camera is off"); });
    try {
        client.send(request);
    } catch (const std::runtime_error &error) {
        std::cout << "caught: " << error.what() << '\n';
    }
}
/* end of cut */

/* cut: other */
// The HTTP client that you have goes on sending; `other` stands for it here.
void with_another_client(const x402::Client &client, const x402::Client &other, const std::string &url)
{
    x402::Response unpaid = other.get(url);
    x402::Request request("GET", url);
    request.set("purchase_key", "weather 2026-11-27");
    x402::Payment payment = client.pay_request(request, unpaid.status(), unpaid.headers(), unpaid.body(1 << 20));
    x402::Response paid = other.send(x402::Request("GET", url).header(payment.header_name(), payment.header_value()));
    payment.settle(paid.status(), paid.headers());
    std::cout << "another client: " << paid.status() << ' ' << name(payment.money()) << '\n';
}
/* end of cut */

/* cut: ledger */
void ledger(const std::string &file)
{
    const x402::Ledger ledger(file);
    std::cout << "totals: " << ledger.totals_json() << '\n';
    std::cout << "entries: " << ledger.entries_json() << '\n';
}
/* end of cut */

/* cut: queue */
// Several at once from one thread; an event loop polls queue.fd() and calls queue.next() instead of queue.wait().
void together(const x402::Client &client, const std::string &url)
{
    x402::Queue queue(client);
    for (std::uint64_t token = 1; token <= 3; token++) {
        x402::Request request("GET", url);
        if (!queue.send(request, token))
            std::cout << "the queue is full: take events first\n";
    }
    for (int i = 0; i < 3; i++) {
        x402::Event event = queue.wait();
        if (x402::Result<x402::Response> *sent = event.sent())
            std::cout << "event " << event.token << ": " << sent->value().status() << '\n';
    }
}
/* end of cut */

// Who paid, and what a signer threw.
void who_pays(const char *key, const std::string &url)
{
    const x402::Client second = make_client_of_keys(key, "test test test test test test test test test test test junk");
    x402::Response response = second.get(url);
    std::cout << "second key: " << response.payment()->json() << '\n';
    const Kms kms;
    const x402::Client signing = make_signing_client("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", kms);
    try {
        signing.get(url);
    } catch (const std::runtime_error &error) {
        std::cout << "not signed: " << error.what() << '\n';
    }
}

} // namespace

int main(int argc, char **argv)
{
    const char *key = std::getenv("EVM_PRIVATE_KEY");
    if (argc != 3 || !key)
        return std::cerr << "usage: EVM_PRIVATE_KEY=0x... walkthrough URL FOLDER\n", 2;
    const std::string base = argv[1], scratch = argv[2], file = scratch + "/report.bin", accounts = scratch + "/ledger";
    std::ofstream(file, std::ios::binary) << std::string(300000, 'x');
    try {
        const x402::Client client = make_client(key, accounts);
        get(client, base + "/weather");
        upload(client, base + "/upload", file);
        stream(client, base + "/weather");
        errors(client, "no url");
        exceptions(client, base + "/free-upload");
        together(client, base + "/free");
        who_pays(key, base + "/weather");
        with_another_client(client, x402::Client(x402::Config()), base + "/weather");
        ledger(accounts);
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
    return 0;
}
