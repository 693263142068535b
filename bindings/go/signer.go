package x402

/*
#include <x402.h>

x402_status x402go_signer(x402_wallet *wallet, const char *family, const char *address, uintptr_t handle,
                          x402_error **error);
*/
import "C"

import (
	"errors"
	"fmt"
)

// ErrOtherKind is what the function of a Signer returns for a kind that it cannot sign: after "evm-typed-data" it is then
// asked for "evm-digest".
var ErrOtherKind = errors.New("x402: another kind of the message is needed")

// Signer adds an account whose key stays elsewhere: in a KMS, an HSM, another process. What `sign` gets and returns is
// said at x402_sign_fn; it runs on the goroutine of the call or on a thread of the library, several at once. An error
// refuses the payment (errors of the function go to the Log).
//
// The family is "eip155", "solana", or "eip155-contract" for a smart wallet that judges signatures by its own code.
func Signer(family, address string, sign func(kind string, data []byte) ([]byte, error)) Option {
	return func(s *setup) error {
		handle := s.handle(&signer{sign: sign, notes: s.notes})
		return withTexts([]string{family, address}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402go_signer(s.wallet, at[0], at[1], handle, e)
		})
	}
}

// EVMSigner is a Signer that is shown what it signs: `typedData` is the JSON of eth_signTypedData_v4. It returns r, s and
// v, or r and s: 65 or 64 bytes.
func EVMSigner(address string, sign func(typedData []byte) ([]byte, error)) Option {
	return Signer("eip155", address, ofKind("evm-typed-data", sign))
}

// EVMDigestSigner is a Signer for what can sign a hash alone: `digest` has 32 bytes. It returns as for EVMSigner.
func EVMDigestSigner(address string, sign func(digest []byte) ([]byte, error)) Option {
	return Signer("eip155", address, ofKind("evm-digest", sign))
}

// SolanaSigner is a Signer of Solana messages: it returns the 64 bytes of an ed25519 signature over `message`, the same
// for the same message each time.
func SolanaSigner(address string, sign func(message []byte) ([]byte, error)) Option {
	return Signer("solana", address, ofKind("solana-message", sign))
}

func ofKind(wanted string, sign func([]byte) ([]byte, error)) func(string, []byte) ([]byte, error) {
	return func(kind string, data []byte) ([]byte, error) {
		switch {
		case kind == wanted:
			return sign(data)
		case kind == "evm-typed-data":
			return nil, ErrOtherKind
		}
		return nil, fmt.Errorf("a signer of %s is asked for %s", wanted, kind)
	}
}

// signer is a caller's sign function.
type signer struct {
	sign  func(kind string, data []byte) ([]byte, error)
	notes *notes
}

func (s *signer) ask(kind string, data []byte) (made []byte, err error) {
	defer caught("the sign function", &err)
	return s.sign(kind, data)
}

func (s *signer) fail(err error) C.int32_t {
	if errors.Is(err, ErrOtherKind) {
		return C.X402_SIGN_OTHER_KIND
	}
	s.notes.failed("the signer failed", err)
	if value := stopValue(err); value != C.X402_SIGN_OTHER_KIND {
		return value
	}
	return stopped
}
