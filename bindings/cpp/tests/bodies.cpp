// bodies.cpp: bodies from streams and callables, answers as streams, and exceptions that come out of the call again.
#include "support.hpp"

#include <array>
#include <fstream>
#include <iostream>
#include <sstream>
#include <unistd.h>
#include <vector>
#if __has_include(<span>) && __cplusplus >= 202002L
#include <span>
#endif

namespace {

constexpr std::size_t length = 200000;

/// Nothing in the library may know it, and nothing in the header may turn it into another.
struct Accident {
    int number;
};

void check_upload(const x402::Client &client, x402::Request &request, const std::string &sent, const char *what)
{
    x402::Response response = client.send(request);
    CHECK(response.money() == x402::Money::paid && holds(response.text(4096), sha256_hex(sent)), "%s", what);
}

// ---- bodies ----

/// A stream over a string that cannot seek and gives a few bytes at a time, as a pipe does.
class Pipe : public std::streambuf {
public:
    explicit Pipe(std::string text) : text_(std::move(text)) {}

protected:
    int_type underflow() override
    {
        const std::size_t piece = std::min<std::size_t>(700, text_.size() - at_);
        if (piece == 0)
            return traits_type::eof();
        char *from = text_.data() + at_;
        setg(from, from, from + piece);
        at_ += piece;
        return traits_type::to_int_type(*from);
    }

private:
    std::string text_;
    std::size_t at_ = 0;
};

void from_streams(const TestServer &server, const x402::Client &client, const char *path)
{
    const std::string bytes = pattern_of(length);
    std::istringstream in_memory("before" + bytes);
    in_memory.seekg(6);
    x402::Request request("POST", server / path);
    request.body(in_memory);
    check_upload(client, request, bytes, "from where the stream stands, and again for the payment");
    request.body(std::make_unique<std::istringstream>(bytes));
    check_upload(client, request, bytes, "a stream that the request owns");
    x402::Request moved = std::move(request);
    Pipe pipe(bytes);
    std::istream one_way(&pipe);
    one_way.exceptions(std::ios_base::eofbit | std::ios_base::failbit); // reaching the end is no failure here
    moved.body(one_way);
    check_upload(client, moved, bytes, "a stream that cannot seek, from the library's copy");
    std::istringstream empty;
    moved.body(empty);
    check_upload(client, moved, "", "an empty stream");
}

void from_a_file(const TestServer &server, const x402::Client &client)
{
    char path[] = "/tmp/x402-cpp-XXXXXX";
    const std::string bytes = pattern_of(length);
    ::close(::mkstemp(path));
    std::ofstream(path, std::ios::binary) << bytes;
    x402::Request request("POST", server / "upload-late");
    request.body(std::make_unique<std::ifstream>(path, std::ios::binary));
    check_upload(client, request, bytes, "std::ifstream");
    request.body_file(path);
    check_upload(client, request, bytes, "body_file");
    ::unlink(path);
    EXPECT_STATUS(X402_ERROR_BODY_FILE, (void)client.send(request));
}

void from_memory(const TestServer &server, const x402::Client &client)
{
    const std::string bytes = pattern_of(300);
    std::vector<std::byte> vector(bytes.size());
    std::memcpy(vector.data(), bytes.data(), bytes.size());
    x402::Request request("POST", server / "upload");
    request.body(vector);
    check_upload(client, request, bytes, "std::vector<std::byte>");
    request.body(std::string_view(bytes));
    check_upload(client, request, bytes, "std::string_view");
    request.body(std::array<char, 3>{'a', 'b', 'c'});
    check_upload(client, request, "abc", "std::array");
#ifdef __cpp_lib_span
    request.body(std::span<const std::byte>(vector));
    check_upload(client, request, bytes, "std::span<const std::byte>");
    request.body(std::as_bytes(std::span(bytes)));
    check_upload(client, request, bytes, "std::as_bytes");
#endif
}

void from_callables(const TestServer &server, const x402::Client &client, const char *path)
{
    const std::string bytes = pattern_of(length);
    std::size_t at = 0;
    int rewinds = 0;
    auto read = [&](x402::Buffer to) {
        const std::size_t piece = std::min({to.size(), bytes.size() - at, std::size_t{7000}});
        std::copy_n(bytes.data() + at, piece, to.chars());
        at += piece;
        return piece;
    };
    x402::Request request("POST", server / path);
    request.body(read);
    check_upload(client, request, bytes, "a callable of unknown length");
    at = 0;
    request.body(read, bytes.size());
    check_upload(client, request, bytes, "of known length");
    at = 0;
    request.body(
        read,
        [&, own = std::make_unique<int>()] {
            at = 0;
            *own = ++rewinds;
        },
        bytes.size());
    check_upload(client, request, bytes, "that can be rewound");
    CHECK(rewinds > 0, "it was not rewound");
    at = 0;
    request.body(read, bytes.size() + 1);
    EXPECT_STATUS(X402_ERROR_BODY_LENGTH, (void)client.send(request));
}

// ---- exceptions ----

void thrown_by_a_body(const TestServer &server, const x402::Client &client)
{
    x402::Request request("POST", server / "free-upload");
    const auto throws = [](x402::Buffer) -> std::size_t { throw Accident{1}; };
    request.body(throws);
    auto accident = thrown_by<Accident>([&] { (void)client.send(request); });
    CHECK(accident && accident->number == 1, "the very same exception");
    request.body(throws);
    x402::Result<x402::Response> result = client.try_send(request);
    CHECK(!result && result.error().status() == X402_ERROR_BODY_CALLBACK, "and as a result");
    CHECK(result.error().money() == x402::Money::none && result.error().cause(), "with its cause");
    accident = thrown_by<Accident>([&] { std::rethrow_exception(result.error().cause()); });
    CHECK(accident.has_value(), "which is the exception");

    request.body([](x402::Buffer) { return x402::Given(x402::Stop{42}); });
    const auto stopped = thrown_by<x402::Error>([&] { (void)client.send(request); });
    CHECK(stopped && stopped->callback_value() == 42 && !stopped->cause(), "Stop gives an Error with its number");

    // In the middle of the paid replay: the payment is signed by then, and the error says so.
    bool replayed = false;
    x402::Request paid("POST", server / "upload-late");
    paid.body(
        [&](x402::Buffer to) -> std::size_t {
            if (replayed)
                throw Accident{2};
            return to.size() == 0 ? 0 : (replayed = false, std::size_t{0});
        },
        [&] { replayed = true; });
    result = client.try_send(paid);
    CHECK(!result && result.error().money() != x402::Money::none && result.error().cause(), "money: %s",
          result ? "an answer" : name(result.error().money()));

    paid.body([](x402::Buffer) { return std::size_t{0}; }, [] { throw Accident{3}; });
    accident = thrown_by<Accident>([&] { (void)client.send(paid); });
    CHECK(accident && accident->number == 3, "from rewind");

    class Broken : public std::streambuf {
        int_type underflow() override { throw Accident{4}; }
    } broken;
    std::istream stream(&broken);
    request.body(stream);
    accident = thrown_by<Accident>([&] { (void)client.send(request); });
    CHECK(accident && accident->number == 4, "from a stream");
}

void thrown_by_progress(const TestServer &server, const x402::Client &client)
{
    x402::Request request("POST", server / "free-echo");
    std::uint64_t sent = 0;
    bool in_answer = false;
    request.body(pattern_of(length)).progress([&](const x402::Progress &now) {
        sent = std::max(sent, now.sent);
        if (in_answer && now.received > 0)
            throw Accident{5};
    });
    std::optional<x402::Response> response(client.send(request));
    CHECK(sent == length, "%llu", static_cast<unsigned long long>(sent));
    request = x402::Request("GET", server / "free"); // the response keeps what it needs
    in_answer = true;
    const auto accident = thrown_by<Accident>([&] { (void)response->text(1 << 20); });
    CHECK(accident && accident->number == 5, "while the answer is read");
    response.reset();
}

void thrown_by_an_approval(const TestServer &server)
{
    x402::Policy policy;
    policy.approve([](std::string_view) -> int { throw Accident{6}; });
    const x402::Client client(x402::Config().policy(policy).wallet(x402::Wallet().add_evm_key(TEST_KEY)));
    const long settled = server.count("payments_settled");
    const auto accident = thrown_by<Accident>([&] { (void)client.get(server / "weather"); });
    CHECK(accident && accident->number == 6, "an approval that throws");
    const auto result = client.try_get(server / "weather");
    CHECK(!result && result.error().money() == x402::Money::refused && result.error().cause(), "refused");
    const x402::Client other{x402::Config()};
    x402::Response unpaid = other.get(server / "weather");
    const auto from_pay = thrown_by<Accident>(
        [&] { (void)client.pay("GET", server / "weather", 402, unpaid.headers(), unpaid.body(1 << 20)); });
    CHECK(from_pay.has_value(), "from pay() too");
    CHECK(server.count("payments_settled") == settled, "nothing was paid");
}

void thrown_across_calls(const TestServer &server, const x402::Client &client)
{
    // A call inside of a callback: what it throws stops the inner one, and the outer one by way of the callback.
    x402::Request outer("POST", server / "free-upload");
    outer.body([&](x402::Buffer) -> std::size_t {
        x402::Request inner("POST", server / "free-upload");
        inner.body([](x402::Buffer) -> std::size_t { throw Accident{7}; });
        (void)client.send(inner);
        return 0;
    });
    auto accident = thrown_by<Accident>([&] { (void)client.send(outer); });
    CHECK(accident && accident->number == 7, "through two calls");
    outer.body([&](x402::Buffer) -> std::size_t {
        (void)client.try_get("no url");
        return 0;
    });
    CHECK(client.send(outer).ok(), "an inner error that is handled leaves nothing behind");
}

// ---- answers ----

void answers_by_pulling(const TestServer &server, const x402::Client &client)
{
    const std::string expected = pattern_of(1048576);
    std::string got;
    x402::Response response = client.get(server / "free-download");
    std::array<char, 1000> piece;
    got.append(piece.data(), response.read(piece));
    std::size_t stop_at = 300000;
    const auto collect = [&](x402::Bytes chunk) {
        got += chunk.text();
        return got.size() >= stop_at ? 7 : 0;
    };
    const auto stopped = thrown_by<x402::Error>([&] { response.each(collect); });
    CHECK(stopped && stopped->status() == X402_ERROR_CALLBACK && stopped->callback_value() == 7, "stopped");
    const auto accident = thrown_by<Accident>([&] {
        response.each([&](x402::Bytes chunk) {
            got += chunk.text();
            throw Accident{8};
        });
    });
    CHECK(accident.has_value(), "thrown by the chunk's callable");
    stop_at = expected.size() + 1;
    response.each(collect);
    CHECK(got == expected, "%zu bytes, whole and in order", got.size());
    CHECK(response.read(piece) == 0, "after the end comes nothing");
    CHECK(response.is_whole(), "and nothing is waited for");
    EXPECT_STATUS(X402_ERROR_RESPONSE_LIMIT, (void)client.get(server / "free-download").text(1000));
}

void answers_as_streams(const TestServer &server, const x402::Client &client)
{
    const std::string expected = pattern_of(1048576);
    x402::Response response = client.get(server / "free-download");
    x402::BodyStream stream = response.stream();
    std::ostringstream whole;
    std::string first;
    std::getline(stream, first); // '\n' is byte 10 of the pattern
    CHECK(first == expected.substr(0, 10), "%zu", first.size());
    std::copy(std::istreambuf_iterator<char>(stream), {}, std::ostreambuf_iterator<char>(whole));
    CHECK(first + '\n' + whole.str() == expected && !stream.bad(), "%zu bytes", whole.str().size());

    x402::Response again = client.get(server / "free-download");
    std::ostringstream copy;
    again.copy_to(copy);
    CHECK(copy.str() == expected, "%zu bytes", copy.str().size());

    std::ostringstream full;
    full.setstate(std::ios_base::badbit);
    x402::Response unread = client.get(server / "free-download");
    EXPECT_STATUS(X402_ERROR_CALLBACK, unread.copy_to(full));
}

void a_stream_that_breaks_off(const TestServer &server, const x402::Client &client)
{
    x402::Response throwing = client.get(server / "breaks-off");
    x402::BodyStream stream = throwing.stream();
    std::string line, got;
    const auto error = thrown_by<x402::Error>([&] {
        while (std::getline(stream, line))
            got += line + '\n';
    });
    CHECK(error && error->status() == X402_ERROR_CONNECTION_LOST && stream.bad(), "a short answer looks like no whole one");
    CHECK(stream.error() && stream.error()->status() == error->status(), "the stream knows why");

    x402::Response counting = client.get(server / "breaks-off");
    x402::BodyStream quiet = counting.stream();
    quiet.exceptions(std::ios_base::goodbit);
    std::string block(30000, '\0');
    got.clear();
    while (quiet.read(block.data(), static_cast<std::streamsize>(block.size())), quiet.gcount() > 0)
        got.append(block, 0, static_cast<std::size_t>(quiet.gcount()));
    CHECK(got == pattern_of(50000), "%zu bytes before the end", got.size());
    CHECK(quiet.bad() && quiet.error(), "and it is bad");
}

/// Bytes are there as soon as they came: the server holds the rest back until it is told that these were read.
void a_stream_is_not_held_back(const TestServer &server, const x402::Client &client)
{
    x402::Response response = client.get(server / "stalls");
    x402::BodyStream stream = response.stream();
    std::string got(50000, '\0');
    stream.read(got.data(), 50000);
    CHECK(stream.gcount() == 50000, "%ld", static_cast<long>(stream.gcount()));
    CHECK(client.post(server / "_server/release", nullptr, {}).ok(), "released");
    std::copy(std::istreambuf_iterator<char>(stream), {}, std::back_inserter(got));
    CHECK(got == pattern_of(100000), "%zu bytes", got.size());
}

} // namespace

int main(int, char **argv)
{
    {
        const TestServer shop(argv[1]);
        const x402::Client client = paying_client();
        for (const char *path : {"upload", "upload-late"}) {
            from_streams(shop, client, path);
            from_callables(shop, client, path);
        }
        from_a_file(shop, client);
        from_memory(shop, client);
        thrown_by_a_body(shop, client);
        thrown_by_progress(shop, client);
        thrown_by_an_approval(shop);
        thrown_across_calls(shop, client);
        answers_by_pulling(shop, client);
        answers_as_streams(shop, client);
        a_stream_that_breaks_off(shop, client);
        a_stream_is_not_held_back(shop, client);
    }
    return finish("cpp bodies");
}
