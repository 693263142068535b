// x402/queue.hpp: sends and reads that do not block: given in with a token, taken out as events; a descriptor to poll.
//
// What callables need is kept here until the event was taken, so that a Request may end at once. The tokens that the library
// sees are the queue's own and never used twice, so that no event meets the belongings of another.
#ifndef X402_QUEUE_HPP
#define X402_QUEUE_HPP

#include <x402/client.hpp>

#include <algorithm>
#include <chrono>
#include <unordered_map>

namespace x402 {
inline namespace X402_HPP_FORM {

/// One completed operation of a Queue.
struct Event {
    std::uint64_t token; ///< as it was given
    /// Of a send: the response, or the error with what a body or progress callable threw as its cause. Of a read: how many
    /// bytes are in its buffer, 0 at the end.
    std::variant<Result<Response>, Result<std::size_t>> outcome;

    Result<Response> *sent() noexcept { return std::get_if<0>(&outcome); }    ///< null: it was a read
    Result<std::size_t> *read() noexcept { return std::get_if<1>(&outcome); } ///< null: it was a send
};

/// Sends and reads of one client that do not block. Movable; any thread, several at once. There is exactly one event for
/// each operation that was taken. CALLABLES RUN ON THREADS OF THE QUEUE, with a stack of 512 KiB. What one throws is the
/// cause of the event's error; an approval or a signer that throws refuses, and the event has the 402.
///
/// Ending it cancels what is under way and waits for it, and drops the events that were not taken.
class Queue {
public:
    Queue(Queue &&) noexcept = default;
    /// The queue that was there ends before what its operations need does.
    Queue &operator=(Queue &&other) noexcept
    {
        handle_ = std::move(other.handle_);
        state_ = std::move(other.state_);
        keep_ = std::move(other.keep_);
        return *this;
    }
    static Result<Queue> make(const Client &client)
    {
        auto raw = detail::invoke_for<x402_queue *>(x402_queue_new, client.handle());
        if (!raw)
            return std::move(raw).error();
        return Queue(*raw, client.keep_);
    }

    /// Sends a request. It is busy until its event, and may end at once. false: the queue is full; take events first.
    Result<bool> try_send(Request &request, std::uint64_t token)
    {
        return submit({token, request.body_, request.asked(), nullptr}, [&](std::uint64_t own, x402_error **error) {
            return x402_queue_send(handle(), request.handle(), own, error);
        });
    }
    /// Reads the next bytes of a body. `buffer` is written to by the call that takes the event, and must stay until then.
    /// The response is busy until its event. false: the queue is full; take events first.
    Result<bool> try_read(Response &response, Buffer buffer, std::uint64_t token)
    {
        return submit({token, nullptr, response.asked_, response.keep_}, [&](std::uint64_t own, x402_error **error) {
            return x402_queue_read(handle(), response.handle(), buffer.data(), buffer.size(), own, error);
        });
    }
    /// Takes an event, if one waits.
    Result<std::optional<Event>> try_next()
    {
        return take([&](x402_event *event) { return x402_queue_next(handle(), event); });
    }
    /// Takes an event, waiting for one; nothing if none came in time.
    Result<std::optional<Event>> try_wait(std::chrono::milliseconds time)
    {
        using Count = std::chrono::milliseconds::rep;
        const Count within = std::clamp(time.count(), Count{0}, static_cast<Count>(X402_WAIT_FOREVER));
        const auto timeout_ms = static_cast<std::uint32_t>(within);
        return take([&](x402_event *event) { return x402_queue_wait(handle(), timeout_ms, event); });
    }
    /// Cancels the operations that have this token; each still has its event. false: there is none.
    bool cancel(std::uint64_t token) const
    {
        bool found = false;
        if (!state_) // moved from
            return found;
        for (std::uint64_t own : state_->with(token))
            found = x402_queue_cancel(handle(), own) == X402_OK || found;
        return found;
    }
    /// Readable while an event waits. Never read it, write it or close it.
    int fd() const noexcept { return x402_queue_fd(handle()); }

#ifndef X402_NO_EXCEPTIONS
    explicit Queue(const Client &client) : Queue(make(client).value()) {}
    [[nodiscard]] bool send(Request &request, std::uint64_t token) { return try_send(request, token).value(); }
    [[nodiscard]] bool read(Response &response, Buffer buffer, std::uint64_t token)
    {
        return try_read(response, buffer, token).value();
    }
    std::optional<Event> next() { return try_next().value(); }
    std::optional<Event> wait(std::chrono::milliseconds time) { return try_wait(time).value(); }
    /// Waits as long as it takes.
    Event wait()
    {
        for (;;)
            if (std::optional<Event> event = wait(std::chrono::milliseconds::max()))
                return *std::move(event);
    }
#endif
    x402_queue *handle() const noexcept { return handle_.get(); }

private:
    /// What an operation under way needs.
    struct Flight {
        std::uint64_t token;
        std::shared_ptr<void> body;
        detail::Asked asked;
        std::shared_ptr<const detail::Keep> keep;
    };
    class Flights {
    public:
        std::uint64_t add(Flight flight)
        {
            std::lock_guard<std::mutex> lock(mutex_);
            flights_.emplace(++last_, std::move(flight));
            return last_;
        }
        Flight remove(std::uint64_t own)
        {
            std::lock_guard<std::mutex> lock(mutex_);
            auto node = flights_.extract(own);
            return node ? std::move(node.mapped()) : Flight{};
        }
        std::vector<std::uint64_t> with(std::uint64_t token)
        {
            std::vector<std::uint64_t> found;
            std::lock_guard<std::mutex> lock(mutex_);
            for (const auto &[own, flight] : flights_)
                if (flight.token == token)
                    found.push_back(own);
            return found;
        }

    private:
        std::mutex mutex_;
        std::uint64_t last_ = 0;
        std::unordered_map<std::uint64_t, Flight> flights_;
    };

    Queue(x402_queue *raw, std::shared_ptr<const detail::Keep> keep)
        : keep_(std::move(keep)), state_(std::make_unique<Flights>()), handle_(raw)
    {
    }

    template <class Submit> Result<bool> submit(Flight flight, Submit submit)
    {
        if (!state_)
            return Error(X402_ERROR_HANDLE, Money::none, "the queue was moved from; use the one that it was moved to");
        const std::uint64_t own = state_->add(std::move(flight));
        x402_error *error = nullptr;
        const Status status = submit(own, &error);
        if (status == X402_OK)
            return true;
        state_->remove(own); // it is not under way
        Error why(error); // frees it in any case: a full queue gives one too
        if (status == X402_AGAIN)
            return false;
        return why;
    }

    template <class Take> Result<std::optional<Event>> take(Take take)
    {
        x402_event event = X402_EVENT_INIT;
        const Status status = take(&event);
        if (status == X402_AGAIN)
            return std::optional<Event>();
        if (status != X402_OK)
            return Error(status, Money::none, std::string("the queue gives no event: ") + x402_status_name(status));
        Flight flight = state_->remove(event.token);
        if (event.kind == X402_EVENT_READ)
            return std::optional<Event>(Event{flight.token, read_of(event, flight)});
        return std::optional<Event>(Event{flight.token, response_of(event, flight)});
    }
    Result<Response> response_of(const x402_event &event, const Flight &flight) const
    {
        std::exception_ptr thrown = flight.asked.later ? flight.asked.later->take() : nullptr;
        if (event.status != X402_OK)
            return Error(event.error, std::move(thrown));
        return Response(event.response, flight.asked, keep_);
    }
    static Result<std::size_t> read_of(const x402_event &event, const Flight &flight)
    {
        std::exception_ptr thrown = flight.asked.later ? flight.asked.later->take() : nullptr;
        if (event.status != X402_OK)
            return Error(event.error, std::move(thrown));
        return event.len;
    }

    // Before the handle, so that they outlive it.
    std::shared_ptr<const detail::Keep> keep_;
    std::unique_ptr<Flights> state_;
    detail::Handle<x402_queue, x402_queue_free> handle_;
};

} // namespace X402_HPP_FORM
} // namespace x402

#endif
