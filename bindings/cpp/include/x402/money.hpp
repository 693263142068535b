// x402/money.hpp: who pays and by which rules: Wallet, Policy, Ledger. Each may be used from any thread.
#ifndef X402_MONEY_HPP
#define X402_MONEY_HPP

#include <x402/signer.hpp>

namespace x402 {
inline namespace X402_HPP_FORM {

/// Keys that may sign payments. Movable. A configuration takes the keys as they are then.
class Wallet {
public:
    /// An empty wallet.
    static Result<Wallet> make()
    {
        auto raw = detail::invoke_for<x402_wallet *>(x402_wallet_new);
        if (!raw)
            return std::move(raw).error();
        return Wallet(*raw);
    }

    /// Adds a secp256k1 private key: 64 hex digits, "0x" before them or not. Copied; wipe your own.
    Result<void> try_add_evm_key(const Text &hex)
    {
        return detail::invoke(x402_wallet_add_evm_key, handle_.get(), hex);
    }
    /// Adds an ed25519 key pair for Solana: 64 bytes in base58, or as a JSON array of numbers. Copied; wipe your own.
    Result<void> try_add_solana_key(const Text &base58_or_json)
    {
        return detail::invoke(x402_wallet_add_solana_key, handle_.get(), base58_or_json);
    }
    /// Adds the EVM key of a mnemonic: 12 to 24 words of the English list. Copied; wipe your own.
    ///
    /// `passphrase` is the phrase's own, if it has one; nullptr as the path: the first account of most wallets.
    Result<void> try_add_evm_mnemonic(const Text &phrase, const Text &passphrase = nullptr,
                                      const Text &derivation_path = nullptr)
    {
        return detail::invoke(x402_wallet_add_evm_mnemonic, handle_.get(), phrase, passphrase, derivation_path);
    }
    /// Adds the Solana key of a mnemonic; otherwise as try_add_evm_mnemonic.
    Result<void> try_add_solana_mnemonic(const Text &phrase, const Text &passphrase = nullptr,
                                         const Text &derivation_path = nullptr)
    {
        return detail::invoke(x402_wallet_add_solana_mnemonic, handle_.get(), phrase, passphrase, derivation_path);
    }
    /// Adds the key of a file that only its owner may read: a keystore with its password, or a Solana key pair without.
    Result<void> try_add_keyfile(const Text &path, const Text &password = nullptr)
    {
        return detail::invoke(x402_wallet_add_keyfile, handle_.get(), path, password);
    }
    /// Adds a signer whose key stays elsewhere: `Signature sign(std::string_view kind, Bytes message)`. What it is given is
    /// lent during the call; the kinds are those of x402_sign_fn.
    ///
    /// `family` is "eip155", "eip155-contract" for a smart wallet, or "solana"; `address` is who pays. The signer may block
    /// and call the library; it runs on the thread that called in, several at once if several calls do. One that throws
    /// signs nothing, so that nothing is paid, and what it threw comes out of the call.
    template <class Sign> Result<void> try_add_signer(const Text &family, const Text &address, Sign sign)
    {
        auto kept = std::make_shared<detail::Held<Sign>>(std::move(sign));
        keep_.push_back(kept);
        return detail::invoke(x402_wallet_add_signer, handle_.get(), family, address, &detail::sign<Sign>,
                              static_cast<void *>(kept.get()));
    }
    /// The address of a key: `family` is "eip155" for EVM networks or "solana"; `index` counts the keys of the family from 0.
    Result<std::string> try_address(const Text &family, std::size_t index = 0) const
    {
        const char *address = nullptr;
        auto done = detail::invoke(x402_wallet_address, handle_.get(), family, index, &address);
        if (!done)
            return std::move(done).error();
        return detail::text(address);
    }

#ifndef X402_NO_EXCEPTIONS
    Wallet() : Wallet(make().value()) {}
    Wallet &add_evm_key(const Text &hex) { return try_add_evm_key(hex).value(), *this; }
    Wallet &add_solana_key(const Text &base58_or_json) { return try_add_solana_key(base58_or_json).value(), *this; }
    Wallet &add_evm_mnemonic(const Text &phrase, const Text &passphrase = nullptr, const Text &derivation_path = nullptr)
    {
        return try_add_evm_mnemonic(phrase, passphrase, derivation_path).value(), *this;
    }
    Wallet &add_solana_mnemonic(const Text &phrase, const Text &passphrase = nullptr, const Text &derivation_path = nullptr)
    {
        return try_add_solana_mnemonic(phrase, passphrase, derivation_path).value(), *this;
    }
    Wallet &add_keyfile(const Text &path, const Text &password = nullptr)
    {
        return try_add_keyfile(path, password).value(), *this;
    }
    template <class Sign> Wallet &add_signer(const Text &family, const Text &address, Sign sign)
    {
        return try_add_signer(family, address, std::move(sign)).value(), *this;
    }
    std::string address(const Text &family, std::size_t index = 0) const { return try_address(family, index).value(); }
#endif
    const x402_wallet *handle() const noexcept { return handle_.get(); }

private:
    friend class Config;
    explicit Wallet(x402_wallet *raw) noexcept : handle_(raw) {}
    // Before the handle, so that it outlives it.
    detail::Keep keep_;
    detail::Handle<x402_wallet, x402_wallet_free> handle_;
};

/// What may be paid. Movable. New, it allows 1.00 USD a payment and 10.00 USD in all, known assets, https or loopback.
///
/// Amounts are text: "0.10 USD", or atomic units with the asset, "10000 eip155:8453/erc20:0x833589fC…".
/// A configuration takes the rules as they are then.
class Policy {
public:
    static Result<Policy> make()
    {
        auto raw = detail::invoke_for<x402_policy *>(x402_policy_new);
        if (!raw)
            return std::move(raw).error();
        return Policy(*raw);
    }

    /// The most a single payment may cost, in place of 1.00 USD.
    Result<void> try_max_per_payment(const Text &amount)
    {
        return detail::invoke(x402_policy_max_per_payment, handle_.get(), amount);
    }
    /// How much may be spent within `window_s` seconds, 0: for ever; `scope` is "all", or "purchase", "host" or "payee" for
    /// each apart.
    Result<void> try_budget(const Text &scope, std::uint64_t window_s, const Text &amount)
    {
        return detail::invoke(x402_policy_budget, handle_.get(), scope, window_s, amount);
    }
    /// Allows a "network", "asset", "payee", "host", "scheme" or "plain_http_host" by pattern; the first rule makes a list. Or
    /// consents to an "approval", a "receipt" or a "deposit": see x402_policy_allow.
    Result<void> try_allow(const Text &what, const Text &pattern)
    {
        return detail::invoke(x402_policy_allow, handle_.get(), what, pattern);
    }
    /// Prefers a "network", "scheme" or "asset" where the server offers a choice; earlier rules win.
    Result<void> try_prefer(const Text &what, const Text &pattern)
    {
        return detail::invoke(x402_policy_prefer, handle_.get(), what, pattern);
    }
    /// Asks before each payment, after every rule agreed: `int approve(std::string_view offer_json)`, 0 pays.
    ///
    /// It runs on the thread that called in, several at once if several calls do. One that throws refuses the payment, and
    /// what it threw comes out of the call.
    template <class Approve> Result<void> try_approve(Approve approve)
    {
        auto kept = std::make_shared<detail::Held<Approve>>(std::move(approve));
        const x402_approve_fn ask = [](void *userdata, const char *offer, std::size_t length) -> std::int32_t {
            return detail::guarded(nullptr, [&] {
                using Returned = std::invoke_result_t<Approve &, std::string_view>;
                static_assert(!std::is_void_v<Returned>, "an approval says yes with 0 or no with another int");
                const auto held = detail::Held<Approve>::of(userdata);
                return detail::answer(held->function, std::string_view(offer, length));
            });
        };
        keep_.push_back(kept); // the one before stays: a configuration may have it
        return detail::invoke(x402_policy_approve, handle_.get(), ask, static_cast<void *>(kept.get()));
    }

#ifndef X402_NO_EXCEPTIONS
    Policy() : Policy(make().value()) {}
    Policy &max_per_payment(const Text &amount) { return try_max_per_payment(amount).value(), *this; }
    Policy &budget(const Text &scope, std::uint64_t window_s, const Text &amount)
    {
        return try_budget(scope, window_s, amount).value(), *this;
    }
    Policy &allow(const Text &what, const Text &pattern) { return try_allow(what, pattern).value(), *this; }
    Policy &prefer(const Text &what, const Text &pattern) { return try_prefer(what, pattern).value(), *this; }
    template <class Approve> Policy &approve(Approve approve)
    {
        return try_approve(std::move(approve)).value(), *this;
    }
#endif
    const x402_policy *handle() const noexcept { return handle_.get(); }

private:
    friend class Config;
    explicit Policy(x402_policy *raw) noexcept : handle_(raw) {}
    // Before the handle, so that it outlives it.
    detail::Keep keep_;
    detail::Handle<x402_policy, x402_policy_free> handle_;
};

/// What was promised and what became of it. Movable; give one ledger to as many configurations as share a budget.
class Ledger {
public:
    /// In memory, for the clients of this process that share it.
    static Result<Ledger> make()
    {
        return taken(detail::invoke_for<x402_ledger *>(x402_ledger_open, static_cast<const char *>(nullptr)));
    }
    /// In a file, which any number of threads and processes may share; made if it is not there.
    static Result<Ledger> make(const Text &path)
    {
        return taken(detail::invoke_for<x402_ledger *>(x402_ledger_open, path));
    }

    /// What counts by now, a JSON list.
    Result<std::string> try_totals_json() const
    {
        return detail::owned_text(detail::invoke_for<char *>(x402_ledger_totals_json, handle_.get()));
    }
    /// Up to `limit` entries after the id `after_id`, a JSON list, oldest first.
    Result<std::string> try_entries_json(std::uint64_t after_id = 0, std::size_t limit = 1000) const
    {
        return detail::owned_text(detail::invoke_for<char *>(x402_ledger_entries_json, handle_.get(), after_id, limit));
    }
    /// As try_entries_json, of those entries alone whose outcome is open.
    Result<std::string> try_unsettled_json(std::uint64_t after_id = 0, std::size_t limit = 1000) const
    {
        return detail::owned_text(detail::invoke_for<char *>(x402_ledger_unsettled_json, handle_.get(), after_id, limit));
    }
    /// Gives up an entry that is "unknown", or "open" in a process that died. The risk is yours: see x402_ledger_abandon.
    Result<void> try_abandon(std::uint64_t entry)
    {
        return detail::invoke(x402_ledger_abandon, handle_.get(), entry);
    }

#ifndef X402_NO_EXCEPTIONS
    Ledger() : Ledger(make().value()) {}
    explicit Ledger(const Text &path) : Ledger(make(path).value()) {}
    std::string totals_json() const { return try_totals_json().value(); }
    std::string entries_json(std::uint64_t after_id = 0, std::size_t limit = 1000) const
    {
        return try_entries_json(after_id, limit).value();
    }
    std::string unsettled_json(std::uint64_t after_id = 0, std::size_t limit = 1000) const
    {
        return try_unsettled_json(after_id, limit).value();
    }
    void abandon(std::uint64_t entry) { try_abandon(entry).value(); }
#endif
    const x402_ledger *handle() const noexcept { return handle_.get(); }

private:
    static Result<Ledger> taken(Result<x402_ledger *> raw)
    {
        if (!raw)
            return std::move(raw).error();
        return Ledger(*raw);
    }
    explicit Ledger(x402_ledger *raw) noexcept : handle_(raw) {}
    detail::Handle<x402_ledger, x402_ledger_free> handle_;
};

} // namespace X402_HPP_FORM
} // namespace x402

#endif
