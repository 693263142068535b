// x402/response.hpp: an answer: its head, and its body by pulling, by chunks, as a std::istream, or whole.
#ifndef X402_RESPONSE_HPP
#define X402_RESPONSE_HPP

#include <x402/payment.hpp>
#include <x402/request.hpp>

#include <array>
#include <istream>
#include <ostream>

namespace x402 {
inline namespace X402_HPP_FORM {

namespace detail {

/// Pulls a body through a small buffer; gives bytes as they come, however few.
class PullBuffer : public std::streambuf {
public:
    PullBuffer(x402_response *response, std::basic_ios<char> &stream) noexcept : response_(response), stream_(stream) {}
    const std::optional<Error> &error() const noexcept { return error_; }

protected:
    int_type underflow() override
    {
        if (error_)
            return Traits::eof();
        std::size_t length = 0;
        auto done = invoke(x402_response_read, response_, reinterpret_cast<std::uint8_t *>(bytes_.data()), bytes_.size(),
                           &length);
        if (!done) {
            error_ = std::move(done).error();
#ifndef X402_NO_EXCEPTIONS
            if ((stream_.exceptions() & std::ios_base::badbit) != 0)
                error_->raise(); // the stream notes it as badbit and lets it out
#endif
            stream_.setstate(std::ios_base::badbit); // an end that is none must not look like one
        }
        if (length == 0)
            return Traits::eof();
        setg(bytes_.data(), bytes_.data(), bytes_.data() + length);
        return Traits::to_int_type(bytes_[0]);
    }

private:
    using Traits = std::streambuf::traits_type;
    x402_response *response_;
    std::basic_ios<char> &stream_;
    std::array<char, 16 * 1024> bytes_;
    std::optional<Error> error_;
};

} // namespace detail

/// The body of a response as a stream, from Response::stream(). Valid as long as the response.
///
/// A body that breaks off throws its Error out of the reading call (badbit is among the stream's exceptions()), which then
/// does not count the bytes that it had read before. Clear that mask, or compile without exceptions, and every byte is
/// given and counted, and then the stream is bad(), with the reason in error(). Only a stream that is eof() and not bad()
/// has given the whole body.
class BodyStream : public std::istream {
public:
    explicit BodyStream(x402_response *response) : std::istream(nullptr), buffer_(response, *this)
    {
        rdbuf(&buffer_);
#ifndef X402_NO_EXCEPTIONS
        exceptions(std::ios_base::badbit);
#endif
    }
    BodyStream(const BodyStream &) = delete;
    BodyStream &operator=(const BodyStream &) = delete;
    /// Why it broke off, if it did.
    const std::optional<Error> &error() const noexcept { return buffer_.error(); }

private:
    detail::PullBuffer buffer_;
};

/// An answer, of whatever HTTP status. Movable; one thread at a time. When it ends its connection is closed, or kept for
/// the next request if the body was read to its end.
class Response {
public:
    Response(Response &&) noexcept = default;
    /// The answer that was there ends before what it needs does.
    Response &operator=(Response &&other) noexcept
    {
        handle_ = std::move(other.handle_);
        keep_ = std::move(other.keep_);
        asked_ = std::move(other.asked_);
        return *this;
    }
    std::uint16_t status() const noexcept { return x402_response_status(handle()); }
    /// A status of 200 to 299.
    bool ok() const noexcept { return status() / 100 == 2; }
    /// Where the money is.
    Money money() const noexcept { return static_cast<Money>(x402_response_money(handle())); }
    /// What was asked, signed and answered, if the server asked. Valid as long as the response.
    std::optional<PaymentView> payment() const &
    {
        const x402_payment *payment = x402_response_payment(handle());
        return payment ? std::optional<PaymentView>(payment) : std::nullopt;
    }
    std::optional<PaymentView> payment() && = delete;
    /// The URL that answered, after redirects.
    std::string url() const { return detail::text(x402_response_url(handle())); }
    /// The value of the first header of a name, upper and lower case alike.
    std::optional<std::string> header(const Text &name) const
    {
        std::size_t length = 0;
        const char *value = name.holds_nul() ? nullptr : x402_response_header(handle(), name.c_str(), &length);
        return value ? std::optional<std::string>(std::in_place, value, length) : std::nullopt;
    }
    /// All headers, in the order they came.
    Headers headers() const
    {
        Headers all;
        const std::size_t count = x402_response_header_count(handle());
        all.reserve(count);
        for (std::size_t i = 0; i < count; i++) {
            const char *name = nullptr, *value = nullptr;
            std::size_t length = 0;
            if (x402_response_header_at(handle(), i, &name, &value, &length, nullptr) == X402_OK)
                all.emplace_back(name, std::string(value, length));
        }
        return all;
    }

    /// Whether the rest of the body can be read without waiting, in an event loop for instance.
    bool is_whole() const noexcept { return x402_response_is_whole(handle()) == 1; }
    /// Reads the next bytes, waiting for at least one; gives how many, 0 at the end.
    Result<std::size_t> try_read(Buffer buffer)
    {
        return detail::invoke_for<std::size_t>(x402_response_read, handle(), buffer.data(), buffer.size());
    }
    /// Hands each piece of the rest to `chunk(x402::Bytes)`, which returns nothing, or an int: other than 0 stops.
    template <class Chunk> Result<void> try_each(Chunk &&chunk)
    {
        using Function = std::remove_reference_t<Chunk>;
        const x402_chunk_fn hand = [](void *userdata, const std::uint8_t *data, std::size_t length) -> std::int32_t {
            return detail::guarded(
                nullptr, [&] { return detail::answer(*static_cast<Function *>(userdata), Bytes(data, length)); });
        };
        return detail::invoke(x402_response_each, handle(), hand,
                              const_cast<void *>(static_cast<const void *>(std::addressof(chunk))));
    }
    /// Reads the rest into memory, `max` bytes at most; valid as long as the response. A second call gives the same bytes.
    Result<Bytes> try_body(std::size_t max) &
    {
        const std::uint8_t *data = nullptr;
        std::size_t length = 0;
        auto done = detail::invoke(x402_response_read_all, handle(), max, &data, &length);
        if (!done)
            return std::move(done).error();
        return Bytes(data, length);
    }
    Result<Bytes> try_body(std::size_t max) && = delete;
    /// As try_body, a copy of its own.
    Result<std::string> try_text(std::size_t max)
    {
        auto bytes = try_body(max);
        if (!bytes)
            return std::move(bytes).error();
        return std::string(bytes->text());
    }
    /// Writes the rest to a stream. If that fails the reading stops: X402_ERROR_CALLBACK, or what the stream threw.
    Result<void> try_copy_to(std::ostream &out)
    {
        return try_each([&](Bytes chunk) {
            out.write(chunk.text().data(), static_cast<std::streamsize>(chunk.size()));
            return out.good() ? 0 : detail::stopped;
        });
    }
    /// The rest as a stream; read it in one way only. Bytes are there as soon as they came.
    BodyStream stream() & { return BodyStream(handle()); }
    BodyStream stream() && = delete;

#ifndef X402_NO_EXCEPTIONS
    std::size_t read(Buffer buffer) { return try_read(buffer).value(); }
    template <class Chunk> void each(Chunk &&chunk) { try_each(std::forward<Chunk>(chunk)).value(); }
    Bytes body(std::size_t max) & { return try_body(max).value(); }
    Bytes body(std::size_t max) && = delete;
    std::string text(std::size_t max) { return try_text(max).value(); }
    void copy_to(std::ostream &out) { try_copy_to(out).value(); }
#endif
    x402_response *handle() const noexcept { return handle_.get(); }

private:
    friend class Client;
    friend class Queue;
    Response(x402_response *raw, detail::Asked asked, std::shared_ptr<const detail::Keep> keep) noexcept
        : asked_(std::move(asked)), keep_(std::move(keep)), handle_(raw)
    {
    }

    // Before the handle, so that they outlive it: reading tells the request's progress and the client's log.
    detail::Asked asked_;
    std::shared_ptr<const detail::Keep> keep_;
    detail::Handle<x402_response, x402_response_free> handle_;
};

} // namespace X402_HPP_FORM
} // namespace x402

#endif
