// Package x402 is an http.RoundTripper that pays when a server answers 402 Payment Required.
//
//	client, err := x402.New(x402.EVMKey(os.Getenv("EVM_PRIVATE_KEY")), x402.MaxPerPayment("0.10 USD"))
//	...
//	defer client.Close()
//	response, err := client.HTTP().Get("https://api.example.com/report")
//
// Rules, limits, signatures and budgets are the C library's; this package adds no retry, no redirect and no cache.
package x402

/*
#include <stdlib.h>
#include <x402.h>

x402_status x402go_approve(x402_policy *policy, uintptr_t handle, x402_error **error);
*/
import "C"

import (
	"errors"
	"net/http"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// ErrClosed is what calls on a closed Client fail with.
var ErrClosed = errors.New("x402: the client is closed")

// Client pays. Any goroutine, several at once; make one and share it. It is an http.RoundTripper.
type Client struct {
	client    *C.x402_client
	queue     *queue
	callbacks []cgo.Handle
	once      sync.Once
}

// setup is what options work on: each is freed once the client is made.
type setup struct {
	wallet    *C.x402_wallet
	policy    *C.x402_policy
	config    *C.x402_config
	callbacks []cgo.Handle
}

// Option changes how a Client is made. Options apply in the order they are given.
type Option func(*setup) error

// New makes a Client. Without options nothing can be paid, because there is no key; with one, 1.00 USD a payment and
// 10.00 USD in all. Settings that are wrong fail here, with an *Error.
func New(options ...Option) (*Client, error) {
	var s setup
	defer func() {
		C.x402_config_free(s.config)
		C.x402_policy_free(s.policy)
		C.x402_wallet_free(s.wallet)
	}()
	client, err := s.make(options)
	if err == nil {
		var q *queue
		if q, err = newQueue(client); err == nil {
			return &Client{client: client, queue: q, callbacks: s.callbacks}, nil
		}
		C.x402_client_free(client)
	}
	for _, handle := range s.callbacks {
		handle.Delete()
	}
	return nil, err
}

func (s *setup) make(options []Option) (*C.x402_client, error) {
	var e *C.x402_error
	if status := C.x402_wallet_new(&s.wallet, &e); status != C.X402_OK {
		return nil, takeError(status, e)
	}
	if status := C.x402_policy_new(&s.policy, &e); status != C.X402_OK {
		return nil, takeError(status, e)
	}
	if status := C.x402_config_new(&s.config, &e); status != C.X402_OK {
		return nil, takeError(status, e)
	}
	for _, option := range options {
		if err := option(s); err != nil {
			return nil, err
		}
	}
	if status := C.x402_config_wallet(s.config, s.wallet, &e); status != C.X402_OK {
		return nil, takeError(status, e)
	}
	if status := C.x402_config_policy(s.config, s.policy, &e); status != C.X402_OK {
		return nil, takeError(status, e)
	}
	var client *C.x402_client
	if status := C.x402_client_new(s.config, &client, &e); status != C.X402_OK {
		return nil, takeError(status, e)
	}
	return client, nil
}

// Close cancels what is under way, waits until it has ended, and frees the client. A second Close is nothing.
func (c *Client) Close() error {
	c.once.Do(func() {
		c.queue.close()
		C.x402_client_free(c.client)
		for _, handle := range c.callbacks {
			handle.Delete()
		}
	})
	return nil
}

// HTTP is an *http.Client that pays.
func (c *Client) HTTP() *http.Client { return &http.Client{Transport: c} }

// texts copies strings for one call, and frees them after it.
func withTexts(texts []string, call func(at []*C.char, e **C.x402_error) C.x402_status) error {
	at := make([]*C.char, len(texts))
	for i, text := range texts {
		at[i] = C.CString(text)
	}
	defer func() {
		for _, text := range at {
			C.free(unsafe.Pointer(text))
		}
	}()
	for _, text := range texts {
		for i := 0; i < len(text); i++ {
			if text[i] == 0 {
				return &Error{Status: C.X402_ERROR_ARGUMENT, Name: "X402_ERROR_ARGUMENT", Retry: "never",
					Message: "a text holds a NUL byte: take it out"}
			}
		}
	}
	var e *C.x402_error
	if status := call(at, &e); status != C.X402_OK {
		return takeError(status, e)
	}
	return nil
}

// EVMKey adds a secp256k1 private key: 64 hexadecimal digits.
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

// KeyFile adds the key of a keystore with its password, or of a solana-keygen file, where it is "".
func KeyFile(path, password string) Option {
	return func(s *setup) error {
		return withTexts([]string{path, password}, func(at []*C.char, e **C.x402_error) C.x402_status {
			if password == "" {
				return C.x402_wallet_add_keyfile(s.wallet, at[0], nil, e)
			}
			return C.x402_wallet_add_keyfile(s.wallet, at[0], at[1], e)
		})
	}
}

// MaxPerPayment is the most a single payment may cost: "0.10 USD", or atomic units with the asset.
func MaxPerPayment(amount string) Option {
	return func(s *setup) error {
		return withTexts([]string{amount}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_policy_max_per_payment(s.policy, at[0], e)
		})
	}
}

// Budget is how much may be spent within windowS seconds, 0 for ever; scope is "all", "purchase", "host" or "payee".
func Budget(scope string, windowS uint64, amount string) Option {
	return func(s *setup) error {
		return withTexts([]string{scope, amount}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_policy_budget(s.policy, at[0], C.uint64_t(windowS), at[1], e)
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

// Approve is asked before each payment, after every rule agreed, with the offer as JSON. It runs on a thread of the
// library, several at once. A panic in it refuses.
func Approve(approve func(offerJSON string) bool) Option {
	return func(s *setup) error {
		handle := cgo.NewHandle(approve)
		s.callbacks = append(s.callbacks, handle)
		var e *C.x402_error
		if status := C.x402go_approve(s.policy, C.uintptr_t(handle), &e); status != C.X402_OK {
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

// Ledger keeps the budgets in a file that any number of clients and processes share.
func Ledger(path string) Option {
	return func(s *setup) error {
		return withTexts([]string{path}, func(at []*C.char, e **C.x402_error) C.x402_status {
			var ledger *C.x402_ledger
			if status := C.x402_ledger_open(at[0], &ledger, e); status != C.X402_OK {
				return status
			}
			defer C.x402_ledger_free(ledger)
			return C.x402_config_ledger(s.config, ledger, e)
		})
	}
}

// LiveHandles is how many handles of the library the process has not freed: 0 when every response and client is closed.
func LiveHandles() uint64 { return uint64(C.x402_live_handles()) }

// Version is that of the library that is loaded.
func Version() string { return C.GoString(C.x402_version()) }

// Quote asks what a request would cost, as JSON, and never pays. It blocks its thread, and the context does not end it.
func (c *Client) Quote(req *http.Request) (string, error) {
	from := &source{body: req.Body, again: req.GetBody}
	defer from.close()
	request, err := newRequest(req)
	if err != nil {
		return "", err
	}
	defer C.x402_request_free(request)
	handle := cgo.NewHandle(from)
	defer handle.Delete()
	if err := setBody(request, req, from, handle); err != nil {
		return "", err
	}
	var e *C.x402_error
	var json *C.char
	if status := C.x402_client_quote_json(c.client, request, &json, &e); status != C.X402_OK {
		return "", takeError(status, e)
	}
	defer C.x402_string_free(json)
	return C.GoString(json), nil
}
