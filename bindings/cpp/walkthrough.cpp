/* walkthrough.cpp: what one does with libx402 from C++, one part after the other, against the paying test server.
 *
 *     EVM_PRIVATE_KEY=0x... walkthrough http://127.0.0.1:4021 FOLDER
 */
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <stdexcept>
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
        ledger(accounts);
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
    return 0;
}
