// x402.hpp: libx402 for C++17 and later: an HTTP client that pays when a server answers 402 Payment Required.
//
//     x402::Client client(x402::Config().wallet(x402::Wallet().add_evm_key(key)));
//     x402::Response response = client.get("https://api.example.com/report");
//     std::cout << response.text(1 << 20) << "paid " << response.payment()->amount() << '\n';
//
// Header only, over the C interface of x402.h, whose contract holds here too: it documents every setting, status and rule.
//  1. What owns a handle can be moved, not copied; copies of an Error share one. A moved-from object is empty: the library
//     refuses calls on it (X402_ERROR_HANDLE).
//  2. Each fallible function comes in two forms: name() throws x402::Error, try_name() gives an x402::Result that must be
//     looked at. Constructors throw; T::make() gives a Result. Compiled without exceptions only the second forms exist.
//  3. Callables are moved in and live as long as they may be called. One that throws stops the call, and the exception
//     comes out of it again, after the library has returned. Error::cause() has it in the try_ forms.
//  4. Texts given out are copies. Only what says "valid as long as" is lent: PaymentView, Bytes of a body, BodyStream.
//  5. const functions may be called from several threads at once.
//  6. A Queue sends and reads without blocking: callables then run on its threads.
//  7. handle() lends the C handle, for the part of a program that is written in C.
#ifndef X402_HPP
#define X402_HPP

#include <x402/queue.hpp>

namespace x402 {
inline namespace X402_HPP_FORM {

/// The version of the library that is loaded; X402_VERSION is that of the header.
inline const char *version() noexcept { return x402_version(); }
/// Whether the library that is loaded fits this header.
inline bool abi_fits() noexcept { return x402_abi_version() == X402_ABI_VERSION; }
/// Handles given out and not yet freed, in the whole process; for leak checks in tests.
inline std::uint64_t live_handles() noexcept { return x402_live_handles(); }

} // namespace X402_HPP_FORM
} // namespace x402

#endif
