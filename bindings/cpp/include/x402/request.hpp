// x402/request.hpp: a request and where its body comes from: bytes, a file, a std::istream, or a callable.
//
// Callables live on the heap in boxes that the request owns, so that a Request can be moved; a response keeps the box of
// the progress callable, which reading the answer calls too.
#ifndef X402_REQUEST_HPP
#define X402_REQUEST_HPP

#include <x402/call.hpp>

#include <algorithm>
#include <istream>

namespace x402 {
inline namespace X402_HPP_FORM {

/// The length of a body that is not known before it was read.
inline constexpr std::uint64_t length_unknown = X402_LENGTH_UNKNOWN;

/// What a body callable returns to stop the call with a number of its own; it comes back as Error::callback_value().
struct Stop {
    std::int32_t value; ///< not 0
};

/// What a body callable gives: how many bytes it wrote, 0 at the end; or Stop. It may throw as well.
class Given {
public:
    Given(std::size_t bytes) noexcept : bytes_(bytes) {}
    Given(Stop stop) noexcept : stop_(stop.value == 0 ? detail::stopped : stop.value) {}
    std::size_t bytes() const noexcept { return bytes_; }
    std::int32_t stop() const noexcept { return stop_; }

private:
    std::size_t bytes_ = 0;
    std::int32_t stop_ = 0;
};

/// How far a call has come, in body bytes; a total not known is length_unknown.
struct Progress {
    std::uint64_t sent;          ///< starts again at 0 when the body is sent again
    std::uint64_t send_total;
    std::uint64_t received;
    std::uint64_t receive_total;
};

/// Cancels one request, from any thread, at any time; harmless once the request is gone. Copyable.
class Canceller {
public:
    explicit Canceller(x402_request *raw) noexcept : raw_(raw) {}
    /// The call ends within moments with X402_ERROR_CANCELLED.
    void operator()() const noexcept { x402_request_cancel(raw_); }

private:
    x402_request *raw_; // a number to the library, which refuses one that is not alive
};

namespace detail {

// A callable that a queue gave up waiting for still runs when the queue is gone: the trampoline holds its own box.
template <class Read, class Rewind> struct BodyBox : std::enable_shared_from_this<BodyBox<Read, Rewind>> {
    BodyBox(Read read_, Rewind rewind_, std::shared_ptr<Later> later_)
        : read(std::move(read_)), rewind(std::move(rewind_)), later(std::move(later_))
    {
    }
    Read read;
    Rewind rewind;
    std::shared_ptr<Later> later;

    static std::int32_t give(void *userdata, std::uint8_t *buffer, std::size_t cap, std::size_t *length)
    {
        const auto box = static_cast<BodyBox *>(userdata)->shared_from_this();
        return guarded(box->later.get(), [&] {
            const Given given = box->read(Buffer(buffer, cap));
            *length = given.bytes();
            return given.stop();
        });
    }
    static std::int32_t start_over(void *userdata)
    {
        const auto box = static_cast<BodyBox *>(userdata)->shared_from_this();
        return guarded(box->later.get(), [&] { return answer(box->rewind); });
    }
};

template <class Watch> struct ProgressBox : std::enable_shared_from_this<ProgressBox<Watch>> {
    ProgressBox(Watch watch_, std::shared_ptr<Later> later_) : watch(std::move(watch_)), later(std::move(later_)) {}
    Watch watch;
    std::shared_ptr<Later> later;

    static std::int32_t tell(void *userdata, std::uint64_t sent, std::uint64_t send_total, std::uint64_t received,
                             std::uint64_t receive_total)
    {
        const auto box = static_cast<ProgressBox *>(userdata)->shared_from_this();
        return guarded(box->later.get(),
                       [&] { return answer(box->watch, Progress{sent, send_total, received, receive_total}); });
    }
};

/// What a response needs of the request that it answers.
struct Asked {
    std::shared_ptr<void> progress;
    std::shared_ptr<Later> later;
};

/// Takes from a stream's buffer what is there, and waits for no more than the first byte: a pipe is not held back.
inline std::size_t take_from(std::streambuf &from, Buffer to)
{
    using Traits = std::streambuf::traits_type;
    std::size_t taken = 0;
    while (taken < to.size()) {
        std::streamsize ready = from.in_avail();
        if (ready <= 0 && (taken > 0 || Traits::eq_int_type(from.sgetc(), Traits::eof())))
            break;
        ready = std::max<std::streamsize>(ready, 1);
        const auto room = static_cast<std::streamsize>(to.size() - taken);
        const std::streamsize got = from.sgetn(to.chars() + taken, std::min(ready, room));
        if (got <= 0)
            break;
        taken += static_cast<std::size_t>(got);
    }
    return taken;
}

/// Where a stream stands and how much of it is left; no place: it cannot seek.
struct StreamPlace {
    explicit StreamPlace(std::streambuf &buffer)
    {
        start = buffer.pubseekoff(0, std::ios_base::cur, std::ios_base::in);
        if (start == std::streambuf::pos_type(std::streambuf::off_type(-1)))
            return;
        const auto end = buffer.pubseekoff(0, std::ios_base::end, std::ios_base::in);
        seeks = buffer.pubseekpos(start, std::ios_base::in) == start;
        if (seeks && end >= start)
            length = static_cast<std::uint64_t>(end - start);
    }
    std::streambuf::pos_type start;
    std::uint64_t length = X402_LENGTH_UNKNOWN;
    bool seeks = false;
};

} // namespace detail

/// One request. Movable; one thread at a time, except for its canceller(). It may be sent again if its body can be read
/// again. Each body function replaces the body given before.
class Request {
public:
    /// `method` is any HTTP method; `url` is https:, http:, or unix:/path/to/socket:/http/path.
    static Result<Request> make(const Text &method, const Text &url)
    {
        auto raw = detail::invoke_for<x402_request *>(x402_request_new, method, url);
        if (!raw)
            return std::move(raw).error();
        return Request(*raw);
    }

    /// Adds a header; the same name may be added several times.
    Result<void> try_header(const Text &name, const Text &value)
    {
        return detail::invoke(x402_request_header, handle_.get(), name, value);
    }
    /// Changes a setting for this request, one that the table in x402.h marks for requests ("purchase_key" for one).
    Result<void> try_set(const Text &key, const Text &value)
    {
        return detail::invoke(x402_request_set, handle_.get(), key, value);
    }
    /// The body from memory, copied before this returns.
    Result<void> try_body(Bytes bytes)
    {
        return body_done(detail::invoke(x402_request_body_bytes, handle_.get(), bytes.data(), bytes.size()), nullptr);
    }
    /// The body from a file, opened when the request is sent and again for a paid replay; never copied.
    Result<void> try_body_file(const Text &path)
    {
        return body_done(detail::invoke(x402_request_body_file, handle_.get(), path), nullptr);
    }
    /// The body from a stream, from where it stands; it must outlive the request, or another body. If it can seek, its
    /// length is found and the paid replay reads it again; else the library keeps a copy (replay_memory, replay_disk).
    /// Its buffer is read, whatever the stream's state.
    Result<void> try_body(std::istream &stream) { return streamed_body(*stream.rdbuf(), nullptr); }
    /// The same with a stream that the request owns from here on.
    Result<void> try_body(std::unique_ptr<std::istream> stream)
    {
        std::streambuf &buffer = *stream->rdbuf();
        return streamed_body(buffer, std::shared_ptr<std::istream>(std::move(stream)));
    }
    /// The body from a callable: `size_t read(x402::Buffer)` writes the next bytes and returns how many, 0 at the end; see
    /// Given. The library keeps a copy for the paid replay. A `length` that is given is enforced.
    template <class Read, class = std::enable_if_t<std::is_invocable_r_v<Given, Read &, Buffer>>>
    Result<void> try_body(Read read, std::uint64_t length = length_unknown)
    {
        return boxed_body(std::move(read), [] {}, false, length);
    }
    /// The same, and `rewind()` goes back to the first byte for the paid replay, so that no copy is kept.
    template <class Read, class Rewind, class = std::enable_if_t<std::is_invocable_v<Rewind &>>>
    Result<void> try_body(Read read, Rewind rewind, std::uint64_t length = length_unknown)
    {
        return boxed_body(std::move(read), std::move(rewind), true, length);
    }
    /// Tells `watch(const x402::Progress &)` how far a call has come, the reading of the answer included.
    template <class Watch> Result<void> try_progress(Watch watch)
    {
        using Box = detail::ProgressBox<Watch>;
        auto box = std::make_shared<Box>(std::move(watch), later_);
        auto done = detail::invoke(x402_request_progress, handle_.get(), &Box::tell, static_cast<void *>(box.get()));
        if (done)
            progress_ = std::move(box);
        return done;
    }
    /// What cancels it. Keep a copy in the thread that may want to.
    Canceller canceller() const noexcept { return Canceller(handle_.get()); }
    /// Cancels it: the call that sends it, or reads its answer, ends within moments with X402_ERROR_CANCELLED.
    void cancel() const noexcept { canceller()(); }

#ifndef X402_NO_EXCEPTIONS
    Request(const Text &method, const Text &url) : Request(make(method, url).value()) {}
    Request &header(const Text &name, const Text &value) { return try_header(name, value).value(), *this; }
    Request &set(const Text &key, const Text &value) { return try_set(key, value).value(), *this; }
    Request &body_file(const Text &path) { return try_body_file(path).value(), *this; }
    /// As each try_body.
    Request &body(Bytes bytes) { return try_body(bytes).value(), *this; }
    Request &body(std::istream &stream) { return try_body(stream).value(), *this; }
    Request &body(std::unique_ptr<std::istream> stream) { return try_body(std::move(stream)).value(), *this; }
    template <class Read, class = std::enable_if_t<std::is_invocable_r_v<Given, Read &, Buffer>>>
    Request &body(Read read, std::uint64_t length = length_unknown)
    {
        return try_body(std::move(read), length).value(), *this;
    }
    template <class Read, class Rewind, class = std::enable_if_t<std::is_invocable_v<Rewind &>>>
    Request &body(Read read, Rewind rewind, std::uint64_t length = length_unknown)
    {
        return try_body(std::move(read), std::move(rewind), length).value(), *this;
    }
    template <class Watch> Request &progress(Watch watch) { return try_progress(std::move(watch)).value(), *this; }
#endif
    x402_request *handle() const noexcept { return handle_.get(); }

private:
    friend class Client;
    friend class Queue;
    explicit Request(x402_request *raw) : later_(std::make_shared<detail::Later>()), handle_(raw) {}

    template <class Read, class Rewind>
    Result<void> boxed_body(Read read, Rewind rewind, bool rewinds, std::uint64_t length)
    {
        using Box = detail::BodyBox<Read, Rewind>;
        auto box = std::make_shared<Box>(std::move(read), std::move(rewind), later_);
        auto done = detail::invoke(x402_request_body_reader, handle_.get(), &Box::give,
                                   rewinds ? &Box::start_over : static_cast<x402_rewind_fn>(nullptr),
                                   static_cast<void *>(box.get()), length);
        return body_done(std::move(done), std::move(box));
    }
    Result<void> streamed_body(std::streambuf &buffer, std::shared_ptr<std::istream> owner)
    {
        const detail::StreamPlace place(buffer);
        auto read = [&buffer, owner](Buffer to) { return detail::take_from(buffer, to); };
        auto rewind = [&buffer, start = place.start] {
            return buffer.pubseekpos(start, std::ios_base::in) == start ? 0 : detail::stopped;
        };
        return boxed_body(std::move(read), std::move(rewind), place.seeks, place.length);
    }
    detail::Asked asked() const { return {progress_, later_}; }
    /// The body before goes only once the library has let go of it.
    Result<void> body_done(Result<void> done, std::shared_ptr<void> box)
    {
        if (done)
            body_ = std::move(box);
        return done;
    }

    // Before the handle, so that they outlive it.
    std::shared_ptr<detail::Later> later_;
    std::shared_ptr<void> body_, progress_;
    detail::Handle<x402_request, x402_request_free> handle_;
};

} // namespace X402_HPP_FORM
} // namespace x402

#endif
