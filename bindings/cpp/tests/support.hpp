// support.hpp: what the C++ tests share: a client that pays the test server, and a look at what was thrown.
#ifndef X402_CPP_TESTS_SUPPORT_HPP
#define X402_CPP_TESTS_SUPPORT_HPP

#include <x402.hpp>

#include "check.h"
#include "server.h"
#include "sha256.h"

#include <string>

/// The server of a scenario, ended with the object.
class TestServer {
public:
    explicit TestServer(const char *scenario) : server_(server_start(scenario, 0)) {}
    ~TestServer() { server_stop(&server_); }
    TestServer(const TestServer &) = delete;
    TestServer &operator=(const TestServer &) = delete;

    std::string operator/(const char *path) const { return std::string(server_.url) + "/" + path; }
    /// What the server counted, as JSON.
    std::string state() const { return ask("GET", "/_server/state"); }
    /// One of its counts, once it has nothing in hand.
    long count(const char *name) const { return count_in(state(), name); }
    /// One of its counts as it is now.
    long count_now(const char *name) const { return count_in(ask("GET", "/_server/state?now"), name); }
    /// Lets the answers go that it holds.
    void release() const { ask("POST", "/_server/release"); }

private:
    std::string ask(const char *method, const char *path) const
    {
        const std::unique_ptr<char, decltype(&std::free)> text(server_ask(&server_, method, path), &std::free);
        return text.get();
    }
    static long count_in(const std::string &state, const std::string &name)
    {
        const std::size_t at = state.find("\"" + name + "\":");
        CHECK(at != state.npos, "no %s in %s", name.c_str(), state.c_str());
        return at == state.npos ? -1 : std::strtol(state.c_str() + at + name.size() + 3, nullptr, 10);
    }
    server server_;
};

/// The i-th byte is i mod 251.
inline std::string pattern_of(std::size_t length)
{
    std::string bytes(length, '\0');
    for (std::size_t i = 0; i < length; i++)
        bytes[i] = static_cast<char>(i % 251);
    return bytes;
}

inline std::string sha256_hex(const std::string &bytes)
{
    sha256 hash;
    char hex[65];
    sha256_start(&hash);
    sha256_add(&hash, reinterpret_cast<const std::uint8_t *>(bytes.data()), bytes.size());
    sha256_finish(&hash, hex);
    return hex;
}

inline bool holds(const std::string &text, const std::string &part) { return text.find(part) != text.npos; }

#ifndef X402_NO_EXCEPTIONS
inline x402::Client paying_client() { return x402::Client(x402::Config().wallet(x402::Wallet().add_evm_key(TEST_KEY))); }

/// What `function` throws, if that is a Thrown; anything else ends the test.
template <class Thrown, class Function> std::optional<Thrown> thrown_by(Function function)
{
    try {
        function();
    } catch (const Thrown &thrown) {
        return thrown;
    }
    return std::nullopt;
}

/// The status of the Error that `function` throws; X402_OK if it throws none.
template <class Function> x402::Status status_of(Function function)
{
    const auto error = thrown_by<x402::Error>(function);
    return error ? error->status() : X402_OK;
}

#define EXPECT_STATUS(expected, ...)                                                                                   \
    do {                                                                                                               \
        const x402::Status got_ = status_of([&] { __VA_ARGS__; });                                                     \
        CHECK(got_ == (expected), "got %s", x402_status_name(got_));                                                   \
    } while (0)
#endif

#endif
