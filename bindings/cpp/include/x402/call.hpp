// x402/call.hpp: how a C function is called from C++: texts and bytes in, results out, and what a callback throws.
//
// An exception must not cross the library. The trampoline that catches it leaves it with the call that is running on this
// thread, which throws it again once the library has returned; where no call runs (a queue's own thread), with the request.
#ifndef X402_CALL_HPP
#define X402_CALL_HPP

#include <x402/error.hpp>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string_view>
#include <tuple>
#include <vector>

namespace x402 {
inline namespace X402_HPP_FORM {

/// Bytes of somebody else's; any contiguous ones convert to it: std::string, std::vector<uint8_t>, std::span<std::byte>…
class Bytes {
public:
    constexpr Bytes() noexcept = default;
    constexpr Bytes(const std::uint8_t *data, std::size_t size) noexcept : data_(data), size_(size) {}
    Bytes(const char *text) noexcept : Bytes(std::string_view(text)) {}
    template <class Container, class Element = std::remove_pointer_t<decltype(std::declval<const Container &>().data())>,
              class = std::enable_if_t<sizeof(Element) == 1 && std::is_trivially_copyable_v<Element>>>
    Bytes(const Container &bytes) noexcept
        : data_(reinterpret_cast<const std::uint8_t *>(bytes.data())), size_(bytes.size())
    {
    }

    constexpr const std::uint8_t *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr const std::uint8_t *begin() const noexcept { return data_; }
    constexpr const std::uint8_t *end() const noexcept { return data_ + size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    /// The same bytes as text.
    std::string_view text() const noexcept { return {reinterpret_cast<const char *>(data_), size_}; }

private:
    const std::uint8_t *data_ = nullptr;
    std::size_t size_ = 0;
};

/// Room to write bytes to; any contiguous, writable bytes convert to it.
class Buffer {
public:
    constexpr Buffer(std::uint8_t *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <class Container, class Element = std::remove_pointer_t<decltype(std::declval<Container &>().data())>,
              class = std::enable_if_t<sizeof(Element) == 1 && !std::is_const_v<Element>>>
    Buffer(Container &bytes) noexcept : data_(reinterpret_cast<std::uint8_t *>(bytes.data())), size_(bytes.size())
    {
    }

    constexpr std::uint8_t *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    char *chars() const noexcept { return reinterpret_cast<char *>(data_); }

private:
    std::uint8_t *data_;
    std::size_t size_;
};

/// Text for the library: UTF-8, copied by it before the call returns. A std::string or literal is lent as it is; a view is
/// copied to get its NUL, and the copy wiped, because it may be a key. A text with a NUL inside is refused, not cut.
class Text {
public:
    Text(const char *text) noexcept : text_(text) {}
    Text(const std::string &text) noexcept : text_(text.c_str()), nul_(std::strlen(text_) != text.size()) {}
    Text(std::string_view text) : copy_(text) { lend(); }
    /// What converts to a string, a std::filesystem::path for one.
    template <class Path, class = std::enable_if_t<std::is_convertible_v<const Path &, std::string> &&
                                                   !std::is_convertible_v<const Path &, std::string_view>>>
    Text(const Path &path) : copy_(static_cast<std::string>(path))
    {
        lend();
    }
    Text(const Text &) = delete;
    Text &operator=(const Text &) = delete;
    ~Text()
    {
        for (volatile char &byte : copy_)
            byte = 0;
    }

    const char *c_str() const noexcept { return text_; }
    bool holds_nul() const noexcept { return nul_; }

private:
    void lend() noexcept
    {
        text_ = copy_.c_str();
        nul_ = std::strlen(text_) != copy_.size();
    }
    const char *text_ = nullptr;
    std::string copy_;
    bool nul_ = false;
};

namespace detail {

/// A call into the library on this thread, and what its callbacks threw. Calls nest when a callback makes one.
class Scope {
public:
    Scope() noexcept : outer_(std::exchange(innermost(), this)) {}
    ~Scope() { innermost() = outer_; }
    Scope(const Scope &) = delete;
    Scope &operator=(const Scope &) = delete;

    static Scope *&innermost() noexcept
    {
        static thread_local Scope *scope = nullptr;
        return scope;
    }
    std::exception_ptr thrown;

private:
    Scope *outer_;
};

/// Where the callbacks of a queued request leave what they throw, until its event is fetched.
class Later {
public:
    void keep(std::exception_ptr thrown)
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!thrown_)
            thrown_ = std::move(thrown);
    }
    std::exception_ptr take()
    {
        std::lock_guard<std::mutex> lock(mutex_);
        return std::exchange(thrown_, nullptr);
    }

private:
    std::mutex mutex_;
    std::exception_ptr thrown_;
};

/// A callable that its trampoline keeps alive while it runs: a queue gives up waiting for one that does not return, and then
/// whoever owned it may end first.
template <class Function> struct Held : std::enable_shared_from_this<Held<Function>> {
    explicit Held(Function function_) : function(std::move(function_)) {}
    Function function;

    static std::shared_ptr<Held> of(void *userdata) { return static_cast<Held *>(userdata)->shared_from_this(); }
};

/// What a trampoline returns when the callback threw: any value but 0 stops.
constexpr std::int32_t stopped = -1;

/// Runs a callback so that nothing leaves it but a value.
template <class Function> std::int32_t guarded(Later *later, Function &&function) noexcept
{
#ifdef X402_NO_EXCEPTIONS
    (void)later;
    return function();
#else
    try {
        return function();
    } catch (...) {
        if (Scope *scope = Scope::innermost()) {
            if (!scope->thrown)
                scope->thrown = std::current_exception();
        } else if (later) {
            later->keep(std::current_exception());
        }
        return stopped;
    }
#endif
}

/// A callback returns nothing, or a number: 0 goes on, any other stops the call and comes back as callback_value().
template <class Function, class... Arguments> std::int32_t answer(Function &function, Arguments &&...arguments)
{
    using Returned = std::invoke_result_t<Function &, Arguments...>;
    if constexpr (std::is_void_v<Returned>) {
        function(std::forward<Arguments>(arguments)...);
        return 0;
    } else {
        static_assert(std::is_integral_v<Returned> && sizeof(Returned) <= 4 && !std::is_same_v<Returned, bool>,
                      "a callback returns nothing, or an int: 0 to go on");
        return static_cast<std::int32_t>(function(std::forward<Arguments>(arguments)...));
    }
}

template <class T> const T &raw(const T &argument) noexcept { return argument; }
inline const char *raw(const Text &text) noexcept { return text.c_str(); }
template <class T> bool holds_nul(const T &) noexcept { return false; }
inline bool holds_nul(const Text &text) noexcept { return text.holds_nul(); }

inline Error nul_error(std::size_t place)
{
    return Error(X402_ERROR_ARGUMENT, Money::none,
                 "text " + std::to_string(place) + " of the call holds a NUL character; leave it out");
}

/// Which of the texts among the arguments is the first to hold a NUL, counted from 1; 0: none.
template <class... Arguments> std::size_t first_nul(const Arguments &...arguments) noexcept
{
    [[maybe_unused]] std::size_t texts = 0;
    std::size_t found = 0;
    ((texts += std::is_same_v<Arguments, Text>, found = found == 0 && holds_nul(arguments) ? texts : found), ...);
    return found;
}

/// Calls a C function whose last parameter is the error.
template <class Function, class... Arguments> Result<void> invoke(Function function, const Arguments &...arguments)
{
    if (std::size_t place = first_nul(arguments...))
        return nul_error(place);
    Scope scope;
    x402_error *error = nullptr;
    if (function(raw(arguments)..., &error) != X402_OK)
        return Error(error, std::move(scope.thrown));
    return {};
}

/// As invoke, for a function whose last parameter but one is set to what it makes.
template <class Out, class Function, class... Arguments>
Result<Out> invoke_for(Function function, const Arguments &...arguments)
{
    if (std::size_t place = first_nul(arguments...))
        return nul_error(place);
    Scope scope;
    x402_error *error = nullptr;
    Out out{};
    if (function(raw(arguments)..., &out, &error) != X402_OK)
        return Error(error, std::move(scope.thrown));
    return out;
}

/// Takes over a text that the library allocated.
inline Result<std::string> owned_text(Result<char *> result)
{
    if (!result)
        return std::move(result).error();
    Handle<char, x402_string_free> owned(*result);
    return text(owned.get());
}

/// What callbacks need for as long as a client, or a response of it, may call them.
using Keep = std::vector<std::shared_ptr<void>>;

} // namespace detail
} // namespace X402_HPP_FORM
} // namespace x402

#endif
