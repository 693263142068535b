package x402

/*
#include <x402.h>

x402_status x402go_approve(x402_policy *policy, uintptr_t handle, x402_error **error);
x402_status x402go_log(x402_config *config, uintptr_t handle, x402_error **error);
*/
import "C"

import (
	"context"
	"log/slog"
	"runtime/cgo"
	"strings"
	"time"
)

// handle keeps what a callback needs until the client is closed.
func (s *setup) handle(value any) C.uintptr_t {
	handle := cgo.NewHandle(value)
	s.callbacks = append(s.callbacks, handle)
	return C.uintptr_t(handle)
}

// EVMKey adds a secp256k1 private key: 64 hexadecimal digits. Any number of keys and signers may be added.
func EVMKey(key string) Option {
	return func(s *setup) error {
		return withTexts([]string{key}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_wallet_add_evm_key(s.wallet, at[0], e)
		})
	}
}

// SolanaKey adds an ed25519 key pair: base58, or the JSON array of solana-keygen.
func SolanaKey(key string) Option {
	return func(s *setup) error {
		return withTexts([]string{key}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_wallet_add_solana_key(s.wallet, at[0], e)
		})
	}
}

// EVMMnemonic adds the EVM key of a mnemonic (BIP-39). The passphrase is "" where it has none; the path is "" for the
// first account of most wallets, m/44'/60'/0'/0/0.
func EVMMnemonic(phrase, passphrase, path string) Option {
	return func(s *setup) error {
		return withTexts([]string{phrase, passphrase, path}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_wallet_add_evm_mnemonic(s.wallet, at[0], at[1], orNull(path, at[2]), e)
		})
	}
}

// SolanaMnemonic adds the Solana key of a mnemonic, as EVMMnemonic; the path is "" for m/44'/501'/0'/0'.
func SolanaMnemonic(phrase, passphrase, path string) Option {
	return func(s *setup) error {
		return withTexts([]string{phrase, passphrase, path}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_wallet_add_solana_mnemonic(s.wallet, at[0], at[1], orNull(path, at[2]), e)
		})
	}
}

func orNull(text string, at *C.char) *C.char {
	if text == "" {
		return nil
	}
	return at
}

// Keystore adds the key of a version 3 keystore, as geth and most EVM wallets write it. The file must be readable by its
// owner alone. Slow, as it is meant to be.
func Keystore(path, password string) Option {
	return func(s *setup) error {
		return withTexts([]string{path, password}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_wallet_add_keyfile(s.wallet, at[0], at[1], e)
		})
	}
}

// SolanaKeyFile adds the key pair of a file that solana-keygen wrote, readable by its owner alone.
func SolanaKeyFile(path string) Option {
	return func(s *setup) error {
		return withTexts([]string{path}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_wallet_add_keyfile(s.wallet, at[0], nil, e)
		})
	}
}

// Payer names the addresses that pay, at most one of each family, where the wallet holds several: otherwise the first do.
func Payer(addresses ...string) Option { return Set("payer", strings.Join(addresses, " ")) }

// MaxPerPayment is the most a single payment may cost: "0.10 USD", or atomic units with the asset.
func MaxPerPayment(amount string) Option {
	return func(s *setup) error {
		return withTexts([]string{amount}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_policy_max_per_payment(s.policy, at[0], e)
		})
	}
}

// Budget is how much may be spent within a window of whole seconds, 0 for ever; scope is "all", "purchase", "host" or
// "payee".
func Budget(scope string, window time.Duration, amount string) Option {
	return func(s *setup) error {
		if window < 0 || window%time.Second != 0 {
			return mistake(C.X402_ERROR_ARGUMENT, "the window of a budget is "+window.String()+
				": give whole seconds, such as 24*time.Hour, or 0 for ever")
		}
		return withTexts([]string{scope, amount}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_policy_budget(s.policy, at[0], C.uint64_t(window/time.Second), at[1], e)
		})
	}
}

// Allow allows something by name: what is "network", "asset", "payee", "host", "scheme" and others; see
// x402_policy_allow.
func Allow(what, pattern string) Option {
	return func(s *setup) error {
		return withTexts([]string{what, pattern}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_policy_allow(s.policy, at[0], at[1], e)
		})
	}
}

// Prefer prefers something where there is a choice: what is "network", "scheme" or "asset".
func Prefer(what, pattern string) Option {
	return func(s *setup) error {
		return withTexts([]string{what, pattern}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_policy_prefer(s.policy, at[0], at[1], e)
		})
	}
}

// Approve is asked before each payment, after every rule agreed, with the offer as JSON. It runs on the goroutine of the
// call or on a thread of the library, several at once. A panic in it refuses.
func Approve(approve func(offerJSON string) bool) Option {
	return func(s *setup) error {
		var e *C.x402_error
		handle := s.handle(&approver{approve: approve, notes: s.notes})
		if status := C.x402go_approve(s.policy, handle, &e); status != C.X402_OK {
			return takeError(status, e)
		}
		return nil
	}
}

// Set changes a setting; keys and values are in the table at the head of x402.h.
func Set(key, value string) Option {
	return func(s *setup) error {
		return withTexts([]string{key, value}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_config_set(s.config, at[0], at[1], e)
		})
	}
}

// Log is told what the client does, a line at a time, on any goroutine or thread, several at once. Never a key, a
// signature or a payment header.
func Log(log func(level slog.Level, line string)) Option {
	return func(s *setup) error {
		s.notes.log = log
		var e *C.x402_error
		if status := C.x402go_log(s.config, s.handle(log), &e); status != C.X402_OK {
			return takeError(status, e)
		}
		return nil
	}
}

// Logger is Log to a *slog.Logger.
func Logger(to *slog.Logger) Option {
	return Log(func(level slog.Level, line string) { to.Log(context.Background(), level, line) })
}

// LedgerFile keeps the budgets in a file that any number of clients and processes share; "" is memory, for this client
// alone, as without any.
func LedgerFile(path string) Option {
	return func(s *setup) error {
		ledger, err := OpenLedger(path)
		if err == nil {
			s.closeLedger()
			s.ledger, s.ownLedger = ledger, true
		}
		return err
	}
}

// SharedLedger keeps the budgets in a ledger of your own, over all the clients that are given it. Closing it is yours.
func SharedLedger(ledger *Ledger) Option {
	return func(s *setup) error {
		s.closeLedger()
		s.ledger = ledger
		return nil
	}
}
