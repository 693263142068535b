// soak.cpp: 10,000 calls, paid or stopped by a callable, leave nothing behind: no socket, no handle, no memory.
//
//     soak SCENARIO [CALLS]
#include "support.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace {

constexpr long rss_growth_kib_max = 1024; // as in tests/c/soak.c
constexpr long sockets_kept = 1;          // by a client that makes one call at a time

long open_sockets()
{
    long sockets = 0;
    for (const auto &entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone; // the directory's own
        sockets += std::filesystem::read_symlink(entry, gone).string().rfind("socket:", 0) == 0;
    }
    return sockets;
}

long rss_kib()
{
    long pages = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> pages >> resident;
    return resident * (::sysconf(_SC_PAGESIZE) / 1024);
}

/// A GET, a POST from memory, a streamed POST, and a call that a callable stops take turns.
void one_call(const TestServer &server, const x402::Client &client, int number)
{
    struct Accident {};
    x402::Request request("POST", server / "upload-late");
    switch (number % 4) {
    case 0:
        CHECK(client.get(server / "weather").text(100) == "sunny", "call %d", number);
        break;
    case 1:
        CHECK(client.post(server / "upload", "text/plain", "abc").money() == x402::Money::paid, "call %d", number);
        break;
    case 2: {
        std::istringstream body(pattern_of(5000));
        request.body(body);
        x402::Response response = client.send(request);
        x402::BodyStream stream = response.stream();
        std::string line;
        CHECK(std::getline(stream, line) && response.money() == x402::Money::paid, "call %d", number);
        break;
    }
    default:
        request.body([](x402::Buffer) -> std::size_t { throw Accident{}; });
        CHECK(thrown_by<Accident>([&] { (void)client.send(request); }), "call %d", number);
    }
}

} // namespace

int main(int argc, char **argv)
{
    const int calls = argc > 2 ? std::atoi(argv[2]) : 10000, warm = calls / 10;
    {
        const TestServer shop(argv[1]);
        std::optional<x402::Client> client(x402::Config()
                                               .policy(x402::Policy().budget("all", 0, "1000000.00 USD"))
                                               .wallet(x402::Wallet().add_evm_key(TEST_KEY)));
        long sockets_max = 0, rss_before = 0;
        std::uint64_t handles_before = 0;
        for (int i = 0; i < calls; i++) {
            if (i == warm) {
                rss_before = rss_kib();
                handles_before = x402::live_handles();
            }
            one_call(shop, *client, i);
            if (i >= warm && i % 100 == 0) {
                sockets_max = std::max(sockets_max, open_sockets());
                CHECK(x402::live_handles() == handles_before, "call %d: %llu handles", i,
                      static_cast<unsigned long long>(x402::live_handles()));
            }
        }
        const long grown = rss_kib() - rss_before;
        std::printf("%d calls: at most %ld sockets, RSS %ld and %ld KiB more\n", calls, sockets_max, rss_before, grown);
        CHECK(sockets_max <= sockets_kept, "%ld sockets", sockets_max);
        CHECK(grown < rss_growth_kib_max, "RSS grew by %ld KiB", grown);
        client.reset();
        CHECK(open_sockets() == 0, "%ld sockets are open after the client is gone", open_sockets());
    }
    return finish("cpp soak");
}
