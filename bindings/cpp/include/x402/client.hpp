// x402/client.hpp: how a client is to be made, and what it does: send, quote, and pay for others.
#ifndef X402_CLIENT_HPP
#define X402_CLIENT_HPP

#include <x402/money.hpp>
#include <x402/request.hpp>
#include <x402/response.hpp>

namespace x402 {
inline namespace X402_HPP_FORM {

/// How a client is to be made. Movable. It takes wallet and policy as they are when they are given.
class Config {
public:
    /// No wallet (nothing can be paid), the policy of a new Policy, and the defaults of the table in x402.h.
    static Result<Config> make()
    {
        auto raw = detail::invoke_for<x402_config *>(x402_config_new);
        if (!raw)
            return std::move(raw).error();
        return Config(*raw);
    }

    Result<void> try_wallet(const Wallet &wallet)
    {
        keep_.insert(keep_.end(), wallet.keep_.begin(), wallet.keep_.end());
        return detail::invoke(x402_config_wallet, handle_.get(), wallet.handle());
    }
    Result<void> try_policy(const Policy &policy)
    {
        keep_.insert(keep_.end(), policy.keep_.begin(), policy.keep_.end());
        return detail::invoke(x402_config_policy, handle_.get(), policy.handle());
    }
    /// The budgets then hold over every client of the ledger together. Without one each client has its own, in memory.
    Result<void> try_ledger(const Ledger &ledger)
    {
        return detail::invoke(x402_config_ledger, handle_.get(), ledger.handle());
    }
    /// Changes a setting; keys, forms and defaults are in the table at the head of x402.h.
    Result<void> try_set(const Text &key, const Text &value)
    {
        return detail::invoke(x402_config_set, handle_.get(), key, value);
    }
    /// Tells `log(int level, std::string_view line)` what clients do: 1 error, 2 warning, 3 information, 4 detail; never a
    /// key. It runs on any thread that calls in, perhaps several at once. What it throws is dropped, because a line that
    /// could not be written must not cost an answer that was paid.
    template <class Log> Result<void> try_log(Log log)
    {
        auto kept = std::make_shared<detail::Held<Log>>(std::move(log));
        const x402_log_fn tell = [](void *userdata, std::int32_t level, const char *line, std::size_t length) {
            detail::Scope apart; // takes what is thrown, and forgets it
            detail::guarded(nullptr, [&] {
                const auto held = detail::Held<Log>::of(userdata);
                held->function(static_cast<int>(level), std::string_view(line, length));
                return std::int32_t{0};
            });
        };
        keep_.push_back(kept);
        return detail::invoke(x402_config_log, handle_.get(), tell, static_cast<void *>(kept.get()));
    }

#ifndef X402_NO_EXCEPTIONS
    Config() : Config(make().value()) {}
    Config &wallet(const Wallet &wallet) { return try_wallet(wallet).value(), *this; }
    Config &policy(const Policy &policy) { return try_policy(policy).value(), *this; }
    Config &ledger(const Ledger &ledger) { return try_ledger(ledger).value(), *this; }
    Config &set(const Text &key, const Text &value) { return try_set(key, value).value(), *this; }
    template <class Log> Config &log(Log log) { return try_log(std::move(log)).value(), *this; }
#endif
    const x402_config *handle() const noexcept { return handle_.get(); }

private:
    friend class Client;
    explicit Config(x402_config *raw) noexcept : handle_(raw) {}
    detail::Keep keep_;
    detail::Handle<x402_config, x402_config_free> handle_;
};

/// Sends requests and pays when asked; keeps connections for the next one. Movable; its const functions may be called from
/// any thread, several at once: make one and share it.
///
/// Where a callback of the call throws, the same exception comes out of the throwing form. The try_ form gives an Error
/// that has it as cause() and says where the money is.
class Client {
public:
    /// Reads the files that the configuration names, and fails if they are no good.
    static Result<Client> make(const Config &config)
    {
        auto raw = detail::invoke_for<x402_client *>(x402_client_new, config.handle());
        if (!raw)
            return std::move(raw).error();
        return Client(*raw, std::make_shared<const detail::Keep>(config.keep_));
    }

    /// Sends a GET, pays if the server asks and the policy agrees, and gives the answer, whatever its status. If the server
    /// was not paid that is its own 402, whole; payment()->refusal() says why.
    Result<Response> try_get(const Text &url) const
    {
        return answered({}, [&](auto... out) { return x402_client_get(handle(), url.c_str(), out...); }, url);
    }
    /// Sends a POST with a body from memory; a `content_type` of nullptr sends no such header. Otherwise as try_get.
    Result<Response> try_post(const Text &url, const Text &content_type, Bytes body) const
    {
        return answered(
            {},
            [&](auto... out) {
                return x402_client_post(handle(), url.c_str(), content_type.c_str(), body.data(), body.size(), out...);
            },
            url, content_type);
    }
    /// Sends a request; its callables run on this thread, during this call. Otherwise as try_get.
    Result<Response> try_send(Request &request) const
    {
        return answered(request.asked(), [&](auto... out) { return x402_client_send(handle(), request.handle(), out...); });
    }
    /// What a request would cost, as a JSON object. Never pays.
    Result<std::string> try_quote_json(Request &request) const
    {
        return detail::owned_text(detail::invoke_for<char *>(x402_client_quote_json, handle(), request.handle()));
    }
    /// Pays a 402 that another HTTP client got: chooses, checks and signs, and sends nothing. Its amount counts as spent
    /// from here on. Send the request again with the payment's header, and settle() the payment with the answer.
    Result<Payment> try_pay(const Text &method, const Text &url, std::uint16_t status, const Headers &headers,
                            Bytes body) const
    {
        return paid(x402_client_pay, headers, body, method, url, status);
    }
    /// As try_pay, for a request that is described: its settings count, and after a payment of it that was not settled the
    /// same header is given again. It is not sent, and none of its callables is called; give it the body that you send, in
    /// memory or as a file, or a purchase_key.
    Result<Payment> try_pay_request(Request &request, std::uint16_t status, const Headers &headers, Bytes body) const
    {
        return paid(x402_client_pay_request, headers, body, request.handle(), status);
    }

#ifndef X402_NO_EXCEPTIONS
    explicit Client(const Config &config) : Client(make(config).value()) {}
    Response get(const Text &url) const { return try_get(url).value(); }
    Response post(const Text &url, const Text &content_type, Bytes body) const
    {
        return try_post(url, content_type, body).value();
    }
    Response send(Request &request) const { return try_send(request).value(); }
    Response send(Request &&request) const { return try_send(request).value(); }
    std::string quote_json(Request &request) const { return try_quote_json(request).value(); }
    Payment pay(const Text &method, const Text &url, std::uint16_t status, const Headers &headers, Bytes body) const
    {
        return try_pay(method, url, status, headers, body).value();
    }
    Payment pay_request(Request &request, std::uint16_t status, const Headers &headers, Bytes body) const
    {
        return try_pay_request(request, status, headers, body).value();
    }
    Payment pay_request(Request &&request, std::uint16_t status, const Headers &headers, Bytes body) const
    {
        return try_pay_request(request, status, headers, body).value();
    }
#endif
    x402_client *handle() const noexcept { return handle_.get(); }

private:
    friend class Queue;
    Client(x402_client *raw, std::shared_ptr<const detail::Keep> keep) noexcept : keep_(std::move(keep)), handle_(raw) {}

    /// A call that gives a response. An approval or a signer that threw made a 402 of it, and is what the caller has to hear
    /// of; any other answer is never given up for an exception.
    template <class Call, class... Texts>
    Result<Response> answered(detail::Asked asked, Call call, const Texts &...texts) const
    {
        if (std::size_t place = detail::first_nul(texts...))
            return detail::nul_error(place);
        detail::Scope scope;
        x402_error *error = nullptr;
        x402_response *raw = nullptr;
        if (call(&raw, &error) != X402_OK)
            return Error(error, std::move(scope.thrown));
        Response response(raw, std::move(asked), keep_);
        if (scope.thrown && response.status() == 402)
            return Error(X402_ERROR_CALLBACK, response.money(), "the approval or a signer threw; the payment was refused",
                         std::move(scope.thrown));
        return response;
    }
    /// A call that gives a payment; `asked` is what was asked for.
    template <class Function, class... Asked>
    Result<Payment> paid(Function function, const Headers &headers, Bytes body, const Asked &...asked) const
    {
        const detail::HeaderArrays arrays(headers);
        if (Result<void> good = arrays.check(); !good)
            return std::move(good).error();
        auto raw = detail::invoke_for<x402_payment *>(function, handle(), asked..., arrays.names.data(), arrays.values.data(),
                                                      headers.size(), body.data(), body.size());
        if (!raw)
            return std::move(raw).error();
        return Payment(*raw, keep_);
    }

    // Before the handle, so that it outlives it.
    std::shared_ptr<const detail::Keep> keep_;
    detail::Handle<x402_client, x402_client_free> handle_;
};

} // namespace X402_HPP_FORM
} // namespace x402

#endif
