// x402/payment.hpp: what was asked, signed and answered; and a payment for a request that another HTTP client sends.
#ifndef X402_PAYMENT_HPP
#define X402_PAYMENT_HPP

#include <x402/call.hpp>

namespace x402 {
inline namespace X402_HPP_FORM {

/// Header names and values, in order; the same name may be there several times.
using Headers = std::vector<std::pair<std::string, std::string>>;

/// One purchase, lent by a response, an error or a Payment, and valid as long as that. Any thread may read it.
///
/// A view that outlived its owner gives empty texts and Money::unknown.
class PaymentView {
public:
    explicit PaymentView(const x402_payment *raw) noexcept : raw_(raw) {}

    /// In the asset's atomic units, decimal: "10000" is 0.01 of an asset with 6 decimals. "" if no offer was chosen.
    std::string amount() const { return detail::text(x402_payment_amount(raw_)); }
    /// For a token, its contract's address.
    std::string asset() const { return detail::text(x402_payment_asset(raw_)); }
    /// CAIP-2: "eip155:8453".
    std::string network() const { return detail::text(x402_payment_network(raw_)); }
    /// Who was to be paid: an address of the network.
    std::string payee() const { return detail::text(x402_payment_payee(raw_)); }
    /// The transaction that settled it, from the server's receipt; "" until there is one.
    std::string transaction() const { return detail::text(x402_payment_transaction(raw_)); }
    /// Why nothing was paid: for each offer, the rule that refused it; or what the server said. "" if it was paid.
    std::string refusal() const { return detail::text(x402_payment_refusal(raw_)); }
    /// All of it as one JSON object, the receipt included. Never a signature.
    std::string json() const { return detail::text(x402_payment_json(raw_)); }
    Money money() const noexcept { return static_cast<Money>(x402_payment_money(raw_)); }
    const x402_payment *handle() const noexcept { return raw_; }

private:
    const x402_payment *raw_;
};

inline std::optional<PaymentView> Error::payment() const &
{
    const x402_payment *payment = body_->handle ? x402_error_payment(body_->handle.get()) : nullptr;
    return payment ? std::optional<PaymentView>(payment) : std::nullopt;
}

namespace detail {

/// Headers as the C functions take them: two arrays of texts, lent by `headers`.
struct HeaderArrays {
    explicit HeaderArrays(const Headers &headers)
    {
        names.reserve(headers.size());
        values.reserve(headers.size());
        for (const auto &[name, value] : headers) {
            names.push_back(name.c_str());
            values.push_back(value.c_str());
            hold_nul = hold_nul || name.find('\0') != name.npos || value.find('\0') != value.npos;
        }
    }
    /// A header that would be cut short must not be read for terms or a receipt.
    Result<void> check() const
    {
        if (hold_nul)
            return Error(X402_ERROR_HEADER, Money::none, "a header name or value holds a NUL character");
        return {};
    }
    std::vector<const char *> names, values;
    bool hold_nul = false;
};

} // namespace detail

/// A payment from Client::pay or pay_request, for a request that another HTTP client sends again with one header more. Movable.
///
/// It counts as spent from the start. One that was not settled when it ends still counts: its header may have been sent.
class Payment {
public:
    /// `keep` is what the client's callables need: it logs how the payment ended.
    explicit Payment(x402_payment *raw, std::shared_ptr<const detail::Keep> keep = nullptr) noexcept
        : keep_(std::move(keep)), handle_(raw)
    {
    }
    Payment(Payment &&) noexcept = default;
    /// The payment that was there ends before what it needs does.
    Payment &operator=(Payment &&other) noexcept
    {
        handle_ = std::move(other.handle_);
        keep_ = std::move(other.keep_);
        return *this;
    }

    /// What is paid; valid as long as this. Ask again after settle().
    PaymentView view() const & noexcept { return PaymentView(handle_.get()); }
    PaymentView view() && = delete;
    /// "PAYMENT-SIGNATURE", or "X-PAYMENT" for a server of x402 version 1.
    std::string header_name() const { return detail::text(x402_payment_header_name(handle_.get())); }
    /// Whoever has it can take the money: send it to the origin that asked and to nobody else, and keep it out of logs.
    std::string header_value() const { return detail::text(x402_payment_header_value(handle_.get())); }
    /// Money::unknown until it is settled.
    Money money() const noexcept { return view().money(); }
    x402_payment *handle() const noexcept { return handle_.get(); }

    /// Tells what was answered to the paid request: reads the receipt. Once, with the answer you keep. money() says what
    /// it came to, whatever the status.
    Result<void> try_settle(std::uint16_t status, const Headers &headers)
    {
        detail::HeaderArrays arrays(headers);
        if (Result<void> good = arrays.check(); !good)
            return good;
        return detail::invoke(x402_payment_settle, handle_.get(), status, arrays.names.data(), arrays.values.data(),
                              headers.size());
    }
#ifndef X402_NO_EXCEPTIONS
    /// As try_settle; throws Error.
    void settle(std::uint16_t status, const Headers &headers) { try_settle(status, headers).value(); }
#endif

private:
    // Before the handle, so that it outlives it.
    std::shared_ptr<const detail::Keep> keep_;
    detail::Handle<x402_payment, x402_payment_free> handle_;
};

} // namespace X402_HPP_FORM
} // namespace x402

#endif
