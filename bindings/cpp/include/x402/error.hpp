// x402/error.hpp: what a failed call comes to: Error, an exception that can also be a value, and Result, the form of a
// call that does not throw.
//
// An Error shares its handle between its copies, because an exception must be copied without failing.
#ifndef X402_ERROR_HPP
#define X402_ERROR_HPP

#include <x402.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

// Without exceptions only the try_ functions and make() are there, and a callback must not throw.
#if !defined(X402_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define X402_NO_EXCEPTIONS
#endif

// Two files of one program may differ in this; the name of the namespace keeps their functions apart.
#ifdef X402_NO_EXCEPTIONS
#define X402_HPP_FORM without_exceptions
#else
#define X402_HPP_FORM with_exceptions
#endif

namespace x402 {
inline namespace X402_HPP_FORM {

/// What a call ended with: X402_ERROR_TIMEOUT and so on, as in the C header. Keep a default branch: new ones may come.
using Status = ::x402_status;

/// Where the money is (x402_money).
enum class Money : std::int32_t {
    none = X402_MONEY_NONE,         ///< nothing was signed
    refused = X402_MONEY_REFUSED,   ///< asked for, and declined here
    unpaid = X402_MONEY_UNPAID,     ///< signed, and proven not taken
    paid = X402_MONEY_PAID,         ///< settled: the receipt was read
    unknown = X402_MONEY_UNKNOWN,   ///< signed and perhaps sent: count it as spent
};

/// What may be tried again without paying twice (x402_error_retry).
enum class Retry {
    never,      ///< the same call fails in the same way
    same_bytes, ///< only with the very same payment: repeat the call with its purchase key, or its method, URL and body
    new_quote,  ///< by asking for terms again; the earlier payment cannot settle
    safe,       ///< freely: nothing was signed
};

/// "none", "refused", "unpaid", "paid" or "unknown".
inline const char *name(Money money) noexcept
{
    switch (money) {
    case Money::none: return "none";
    case Money::refused: return "refused";
    case Money::unpaid: return "unpaid";
    case Money::paid: return "paid";
    case Money::unknown: break;
    }
    return "unknown";
}

/// "never", "same-bytes", "new-quote" or "safe".
inline const char *name(Retry retry) noexcept
{
    switch (retry) {
    case Retry::same_bytes: return "same-bytes";
    case Retry::new_quote: return "new-quote";
    case Retry::safe: return "safe";
    case Retry::never: break;
    }
    return "never";
}

class PaymentView;

namespace detail {

/// Owns a handle; the size of a pointer.
template <auto free_function> struct Free {
    template <class T> void operator()(T *handle) const noexcept { free_function(handle); }
};
template <class T, auto free_function> using Handle = std::unique_ptr<T, Free<free_function>>;

inline std::string text(const char *text) { return text ? std::string(text) : std::string(); }

/// What an error is made of, kept once for all copies of it.
struct ErrorBody {
    Handle<x402_error, x402_error_free> handle; // null: the error was found on this side
    Status status = X402_ERROR_ARGUMENT;
    Money money = Money::none;
    std::string message;
    std::exception_ptr cause;
};

} // namespace detail

/// Why a call failed. Copies share one body; any thread may read it. It never holds a key, signature or password.
class Error : public std::exception {
public:
    /// Takes over an error that a C function made; `cause` is what a callback threw, if that stopped the call.
    explicit Error(x402_error *raw, std::exception_ptr cause = nullptr) : body_(std::make_shared<detail::ErrorBody>())
    {
        body_->handle.reset(raw);
        body_->status = x402_error_status(raw);
        body_->money = static_cast<Money>(x402_error_money(raw));
        body_->cause = std::move(cause);
    }
    /// An error found before or after the library was asked.
    Error(Status status, Money money, std::string message, std::exception_ptr cause = nullptr)
        : body_(std::make_shared<detail::ErrorBody>())
    {
        body_->status = status;
        body_->money = money;
        body_->message = std::move(message);
        body_->cause = std::move(cause);
    }

    // A copy shares the body and cannot fail; moving copies too, so that no Error is ever without one.
    Error(const Error &) noexcept = default;
    Error &operator=(const Error &) noexcept = default;

    /// One sentence: what failed, which value, what to do. Valid as long as a copy of the error.
    const char *what() const noexcept override
    {
        return body_->handle ? x402_error_message(body_->handle.get()) : body_->message.c_str();
    }
    Status status() const noexcept { return body_->status; }
    /// "X402_ERROR_TIMEOUT".
    const char *status_name() const noexcept { return x402_status_name(body_->status); }
    /// Where the money is after the failed call.
    Money money() const noexcept { return body_->money; }
    /// What may be tried again without paying twice.
    Retry retry() const noexcept;
    /// What the caller's own callback returned to stop the call; 0 if none did.
    std::int32_t callback_value() const noexcept
    {
        return body_->handle ? x402_error_callback_value(body_->handle.get()) : 0;
    }
    /// What the caller's own callback threw to stop the call; null if none did.
    std::exception_ptr cause() const noexcept { return body_->cause; }
    /// The payment the failed call had begun, if it came to one. Valid as long as a copy of the error.
    std::optional<PaymentView> payment() const &;
    std::optional<PaymentView> payment() && = delete;

#ifndef X402_NO_EXCEPTIONS
    /// Throws what a callback threw, if that stopped the call; otherwise this error.
    [[noreturn]] void raise() const
    {
        if (body_->cause)
            std::rethrow_exception(body_->cause);
        throw *this;
    }
#endif

private:
    std::shared_ptr<detail::ErrorBody> body_;
};

inline Retry Error::retry() const noexcept
{
    if (!body_->handle)
        return body_->money == Money::none || body_->money == Money::refused ? Retry::safe : Retry::same_bytes;
    const std::string_view said = x402_error_retry(body_->handle.get());
    for (Retry retry : {Retry::same_bytes, Retry::new_quote, Retry::safe})
        if (said == name(retry))
            return retry;
    return Retry::never;
}

/// What a call gave, or the error it failed with. `if (result) use(*result); else show(result.error().what());`
///
/// Access to what is not there ends the process, except through value(), which throws.
template <class T> class [[nodiscard]] Result {
public:
    Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const noexcept { return held_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }

    T &operator*() & noexcept { return *present(); }
    const T &operator*() const & noexcept { return *const_cast<Result *>(this)->present(); }
    T &&operator*() && noexcept { return std::move(*present()); }
    T *operator->() noexcept { return present(); }
    const T *operator->() const noexcept { return const_cast<Result *>(this)->present(); }
    const Error &error() const & noexcept
    {
        const Error *error = std::get_if<1>(&held_);
        return error ? *error : (std::abort(), *error);
    }
    /// By value, because a Result that ends with the statement takes its error along.
    Error error() && noexcept { return static_cast<const Result &>(*this).error(); }

#ifndef X402_NO_EXCEPTIONS
    /// The value; or throws the error, or what a callback threw.
    T &value() &
    {
        if (!has_value())
            error().raise();
        return *present();
    }
    T value() && { return std::move(value()); }
#endif

private:
    T *present() noexcept
    {
        T *value = std::get_if<0>(&held_);
        return value ? value : (std::abort(), value);
    }
    std::variant<T, Error> held_;
};

/// A call that gives nothing, or the error it failed with.
template <> class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    bool has_value() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return has_value(); }
    const Error &error() const & noexcept { return error_ ? *error_ : (std::abort(), *error_); }
    Error error() && noexcept { return static_cast<const Result &>(*this).error(); }

#ifndef X402_NO_EXCEPTIONS
    /// Throws the error, or what a callback threw.
    void value() const
    {
        if (error_)
            error_->raise();
    }
#endif

private:
    std::optional<Error> error_;
};

} // namespace X402_HPP_FORM
} // namespace x402

#endif
