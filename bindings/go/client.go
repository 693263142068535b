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
*/
import "C"

import (
	"errors"
	"net/http"
	"runtime/cgo"
	"strings"
	"sync"
	"unsafe"
)

// ErrClosed is what calls on a closed Client fail with.
var ErrClosed = errors.New("x402: the client is closed")

// Client pays. Any goroutine, several at once; make one and share it. It is an http.RoundTripper.
type Client struct {
	client    *C.x402_client
	queue     *queue
	ledger    *Ledger
	ownLedger bool
	addresses map[string][]string
	callbacks []cgo.Handle
	once      sync.Once

	mu        sync.Mutex
	closed    bool
	directMax int
	direct    map[*operation]struct{} // on their callers' own threads
	left      sync.WaitGroup          // counts those
}

// setup is what options work on: each is freed once the client is made.
type setup struct {
	wallet    *C.x402_wallet
	policy    *C.x402_policy
	config    *C.x402_config
	ledger    *Ledger
	ownLedger bool
	directMax int
	notes     *notes
	callbacks []cgo.Handle
}

// Option changes how a Client is made. Options apply in the order they are given.
type Option func(*setup) error

// New makes a Client. Without options nothing can be paid, because there is no key; with one, 1.00 USD a payment and
// 10.00 USD in all. Settings that are wrong fail here, with an *Error.
func New(options ...Option) (*Client, error) {
	s := setup{notes: &notes{}, directMax: directMax}
	defer func() {
		C.x402_config_free(s.config)
		C.x402_policy_free(s.policy)
		C.x402_wallet_free(s.wallet)
	}()
	client, err := s.make(options)
	if err == nil {
		var q *queue
		if q, err = newQueue(client); err == nil {
			return &Client{client: client, queue: q, ledger: s.ledger, ownLedger: s.ownLedger, addresses: s.addresses(),
				callbacks: s.callbacks, directMax: s.directMax, direct: make(map[*operation]struct{})}, nil
		}
		C.x402_client_free(client)
	}
	s.closeLedger()
	for _, handle := range s.callbacks {
		handle.Delete()
	}
	return nil, err
}

func (s *setup) make(options []Option) (*C.x402_client, error) {
	if loaded := C.x402_abi_version(); loaded != C.X402_ABI_VERSION {
		return nil, mistake(C.X402_ERROR_ARGUMENT, "the library that is loaded, "+Version()+
			", is not of the header's binary interface: build this program against its own x402.h")
	}
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
	// http.Client follows redirects, and a RoundTripper none.
	if err := Set("max_redirects", "0")(s); err != nil {
		return nil, err
	}
	if s.ledger == nil {
		if err := LedgerFile("")(s); err != nil {
			return nil, err
		}
	}
	if status := C.x402_config_wallet(s.config, s.wallet, &e); status != C.X402_OK {
		return nil, takeError(status, e)
	}
	if status := C.x402_config_policy(s.config, s.policy, &e); status != C.X402_OK {
		return nil, takeError(status, e)
	}
	if status := C.x402_config_ledger(s.config, s.ledger.ledger, &e); status != C.X402_OK {
		return nil, takeError(status, e)
	}
	var client *C.x402_client
	if status := C.x402_client_new(s.config, &client, &e); status != C.X402_OK {
		return nil, takeError(status, e)
	}
	return client, nil
}

func (s *setup) closeLedger() {
	if s.ownLedger {
		s.ledger.Close()
	}
	s.ledger, s.ownLedger = nil, false
}

func (s *setup) addresses() map[string][]string {
	all := make(map[string][]string)
	for _, family := range []string{"eip155", "solana"} {
		name := C.CString(family)
		var address *C.char
		for i := C.size_t(0); C.x402_wallet_address(s.wallet, name, i, &address, nil) == C.X402_OK; i++ {
			all[family] = append(all[family], C.GoString(address))
		}
		C.free(unsafe.Pointer(name))
	}
	return all
}

// Close cancels what is under way, waits until it has ended, and frees the client. A body whose Read goes on after its
// Close holds it up. A second Close is nothing.
func (c *Client) Close() error {
	c.once.Do(func() {
		c.mu.Lock()
		c.closed = true
		var all []*operation
		for op := range c.direct {
			all = append(all, op)
		}
		c.mu.Unlock()
		for _, op := range all {
			op.stop()
		}
		c.queue.close()
		c.left.Wait()
		C.x402_client_free(c.client)
		if c.ownLedger {
			c.ledger.Close()
		}
		for _, handle := range c.callbacks {
			handle.Delete()
		}
	})
	return nil
}

// HTTP is an *http.Client that pays.
func (c *Client) HTTP() *http.Client { return &http.Client{Transport: c} }

// Ledger is that of the client: what was spent, and what became of it.
func (c *Client) Ledger() *Ledger { return c.ledger }

// Addresses are those of the client's keys and signers, to be funded or shown: family is "eip155" for EVM networks, or
// "solana".
func (c *Client) Addresses(family string) []string {
	return append([]string(nil), c.addresses[family]...)
}

// LiveHandles is how many handles of the library the process has not freed: 0 when every response, ledger and client is
// closed.
func LiveHandles() uint64 { return uint64(C.x402_live_handles()) }

// Version is that of the library that is loaded.
func Version() string { return C.GoString(C.x402_version()) }

// withTexts copies strings for one call, and frees them after it.
func withTexts(texts []string, call func(at []*C.char, e **C.x402_error) C.x402_status) error {
	for _, text := range texts {
		if strings.IndexByte(text, 0) >= 0 {
			return mistake(C.X402_ERROR_ARGUMENT, "a text holds a NUL byte: take it out")
		}
	}
	at := make([]*C.char, len(texts))
	for i, text := range texts {
		at[i] = C.CString(text)
	}
	defer func() {
		for _, text := range at {
			C.free(unsafe.Pointer(text))
		}
	}()
	var e *C.x402_error
	if status := call(at, &e); status != C.X402_OK {
		return takeError(status, e)
	}
	return nil
}
