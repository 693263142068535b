// queue.cpp: the completion queue through x402.hpp: one event for each operation, whatever becomes of what gave it in.
#include "support.hpp"

#include <map>
#include <poll.h>
#include <set>
#include <sstream>
#include <thread>

namespace {

struct Accident {
    int number;
};

bool readable(const x402::Queue &queue)
{
    pollfd polled{queue.fd(), POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
}

x402::Response response_of(x402::Event event)
{
    CHECK(event.sent() && event.sent()->has_value(), "token %llu", static_cast<unsigned long long>(event.token));
    return *std::move(*event.sent());
}

/// The server holds all answers until the last request has come: they are under way at the same time. Each then takes
/// 200 ms more, which is 51 s one after the other; the bound holds for no program that is slowed down.
void many_at_once(const TestServer &server, const x402::Client &client)
{
    using Clock = std::chrono::steady_clock;
    constexpr int many = 256;
    constexpr std::chrono::seconds patience(60), together_max(2);
    x402::Queue queue(client);
    std::set<std::uint64_t> seen;
    const long before = server.count_now("requests");
    for (std::uint64_t token = 0; token < many; token++) {
        x402::Request request("GET", server / "held");
        CHECK(queue.send(request, token), "taken");
    }
    const auto sent = Clock::now();
    while (server.count_now("requests") < before + many && Clock::now() - sent < patience)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    CHECK(server.count_now("requests") == before + many, "%ld are there", server.count_now("requests") - before);
    CHECK(server.count_now("connections_open") >= many, "each has a connection of its own");
    CHECK(!queue.next(), "none is answered");
    const auto released = Clock::now();
    server.release();
    for (int i = 0; i < many; i++) {
        x402::Event event = queue.wait();
        seen.insert(event.token);
        CHECK(response_of(std::move(event)).text(10) == "held", "its answer");
    }
    const std::chrono::duration<double> took = Clock::now() - released;
    CHECK(took < together_max || std::getenv("UNTIMED"), "it took %.1f s", took.count());
    CHECK(seen.size() == many && !queue.next(), "each token once");
}

void requests_may_end_first(const TestServer &server, const x402::Client &client)
{
    x402::Queue queue(client);
    const std::string bytes = pattern_of(50000);
    std::map<std::uint64_t, int> seen;
    for (std::uint64_t token = 0; token < 30; token++) {
        x402::Request request("POST", server / "upload-late"); // it ends before it is sent
        request.body(std::make_unique<std::istringstream>(bytes)).progress([own = std::make_unique<int>()](x402::Progress) {});
        CHECK(queue.send(request, token), "taken");
    }
    CHECK(queue.try_send(*std::make_unique<x402::Request>("GET", server / "free"), 100).has_value(), "the other form");
    for (int i = 0; i < 31; i++) {
        x402::Event event = queue.wait();
        seen[event.token]++;
        x402::Response response = response_of(std::move(event));
        if (response.money() != x402::Money::none)
            CHECK(holds(response.text(4096), sha256_hex(bytes)), "sent whole");
    }
    CHECK(seen.size() == 31 && !queue.next(), "each token once");
}

void reading(const TestServer &server, const x402::Client &client)
{
    x402::Queue queue(client);
    x402::Request request("GET", server / "free-download");
    CHECK(!readable(queue) && queue.send(request, 1), "sent");
    pollfd polled{queue.fd(), POLLIN, 0};
    CHECK(::poll(&polled, 1, 60000) == 1, "the descriptor");
    x402::Response response = response_of(*queue.next());
    CHECK(!readable(queue), "nothing waits any more");
    std::string got, piece(10000, '\0');
    for (;;) {
        CHECK(queue.read(response, piece, 2), "taken");
        x402::Event event = queue.wait();
        CHECK(event.token == 2 && event.read() && event.read()->has_value(), "a read");
        if (**event.read() == 0)
            break;
        got.append(piece, 0, **event.read());
    }
    CHECK(got == pattern_of(1048576), "%zu bytes", got.size());
}

void exceptions(const TestServer &server, const x402::Client &client)
{
    x402::Queue queue(client);
    x402::Request request("POST", server / "free-upload");
    request.body([](x402::Buffer) -> std::size_t { throw Accident{1}; });
    CHECK(queue.send(request, 1), "taken");
    x402::Event event = queue.wait();
    CHECK(event.sent() && !event.sent()->has_value() && event.sent()->error().cause(), "with its cause");
    const auto accident = thrown_by<Accident>([&] { event.sent()->value(); });
    CHECK(accident && accident->number == 1, "value() throws it");
    CHECK(queue.send(request.body("abc"), 1), "the next one");
    CHECK(response_of(queue.wait()).ok(), "has nothing of it");
}

void cancelling_and_ending(const TestServer &server, const x402::Client &client)
{
    x402::Queue queue(client);
    x402::Request request("GET", server / "hangs");
    CHECK(!queue.wait(std::chrono::milliseconds(1)), "nothing came");
    CHECK(queue.send(request, 5) && !queue.cancel(6) && queue.cancel(5), "cancelled");
    x402::Event event = queue.wait();
    CHECK(event.token == 5 && event.sent()->error().status() == X402_ERROR_CANCELLED, "and told");
    CHECK(!queue.cancel(5), "it is gone");
    CHECK(queue.send(request, 7), "under way");
    EXPECT_STATUS(X402_ERROR_BUSY, (void)client.send(request));
    queue = x402::Queue(client); // ends the first one, and waits
    x402::Queue moved = std::move(queue);
    EXPECT_STATUS(X402_ERROR_HANDLE, (void)queue.next());
    EXPECT_STATUS(X402_ERROR_HANDLE, (void)queue.send(request, 8));
    CHECK(!queue.cancel(7) && queue.fd() == -1, "there is nothing in it");
    CHECK(!moved.next(), "a new one has no events");
}

/// A queue that another takes the place of ends before the callables that it may still call.
void callables_outlive_the_queue(const TestServer &server, const x402::Client &client)
{
    x402::Queue queue(client);
    int fd = 0;
    const auto look = [&fd](x402_queue *ended) { fd = x402_queue_fd(ended); };
    {
        x402::Request request("GET", server / "hangs");
        request.progress([own = std::unique_ptr<x402_queue, decltype(look)>(queue.handle(), look)](x402::Progress) {});
        CHECK(queue.send(request, 1), "under way");
    }
    CHECK(queue.fd() >= 0, "alive");
    fd = 0;
    queue = x402::Queue(client);
    CHECK(fd == -1, "the descriptor was %d when the callable ended", fd);
}

void a_full_queue(const TestServer &server)
{
    const x402::Client small(x402::Config().set("queue_threads", "1").set("queue_backlog", "1"));
    x402::Queue queue(small);
    x402::Request first("GET", server / "hangs"), second("GET", server / "free"), third("GET", server / "free");
    CHECK(queue.send(first, 1) && queue.send(second, 2), "there is room for two");
    CHECK(!queue.send(third, 3), "and for no more");
    CHECK(!queue.cancel(3) && queue.cancel(1), "only what was taken is there");
    CHECK(queue.wait().token == 1 && queue.wait().token == 2, "in order");
    CHECK(queue.send(third, 3) && response_of(queue.wait()).ok(), "it can be given again");
}

} // namespace

int main(int, char **argv)
{
    {
        const TestServer shop(argv[1]);
        const x402::Client client = paying_client();
        many_at_once(shop, client);
        requests_may_end_first(shop, client);
        reading(shop, client);
        exceptions(shop, client);
        cancelling_and_ending(shop, client);
        callables_outlive_the_queue(shop, client);
        a_full_queue(shop);
    }
    return finish("cpp queue");
}
