// x402/signer.hpp: what a signer gives whose key stays elsewhere: a KMS, an HSM, another process, a person's own wallet.
//
// A signature is a type of its own and not made from text: hex, whose length is not that of its bytes, would be sent as the
// signature of a smart wallet.
#ifndef X402_SIGNER_HPP
#define X402_SIGNER_HPP

#include <x402/call.hpp>

namespace x402 {
inline namespace X402_HPP_FORM {

/// What a signer returns to be asked for another kind of the same message: "evm-digest" after "evm-typed-data".
struct OtherKind {};

/// What a signer returns to decline with a number of its own, which the refusal names: nothing is then paid.
struct Decline {
    std::int32_t value; ///< neither 0 nor X402_SIGN_OTHER_KIND
};

/// What a signer gives: the bytes of its signature, copied; or OtherKind, or Decline. It may throw as well.
///
/// EVM: 65 bytes r, s, v, or 64 without v, or another length for a smart wallet; Solana: 64 bytes. See x402_sign_fn.
class Signature {
public:
    Signature(Bytes bytes) : bytes_(bytes.begin(), bytes.end()) {}
    template <class Container, class = std::enable_if_t<std::is_convertible_v<const Container &, Bytes> &&
                                                        !std::is_convertible_v<const Container &, std::string_view>>>
    Signature(const Container &bytes) : Signature(Bytes(bytes))
    {
    }
    Signature(std::string_view) = delete; // bytes that a string holds: Signature(x402::Bytes(string))
    Signature(OtherKind) noexcept : value_(X402_SIGN_OTHER_KIND) {}
    Signature(Decline decline) noexcept : value_(declined(decline.value)) {}

    /// As the library takes it. One that does not fit is told by its length, and refused there.
    std::int32_t give(Buffer to, std::size_t &length) const noexcept
    {
        length = bytes_.size();
        if (length <= to.size())
            std::copy(bytes_.begin(), bytes_.end(), to.data());
        return value_;
    }

private:
    static std::int32_t declined(std::int32_t value) noexcept
    {
        return value == 0 || value == X402_SIGN_OTHER_KIND ? detail::stopped : value;
    }
    std::vector<std::uint8_t> bytes_;
    std::int32_t value_ = 0;
};

namespace detail {

template <class Sign>
std::int32_t sign(void *userdata, const char *kind, const std::uint8_t *data, std::size_t length, std::uint8_t *signature,
                  std::size_t cap, std::size_t *signature_length)
{
    static_assert(std::is_invocable_r_v<Signature, Sign &, std::string_view, Bytes>,
                  "a signer takes (std::string_view kind, x402::Bytes message) and returns an x402::Signature");
    return guarded(nullptr, [&] {
        const auto held = Held<Sign>::of(userdata);
        const Signature given = held->function(std::string_view(kind), Bytes(data, length));
        return given.give(Buffer(signature, cap), *signature_length);
    });
}

} // namespace detail
} // namespace X402_HPP_FORM
} // namespace x402

#endif
