package x402

/*
#include <stdlib.h>
#include <x402.h>
*/
import "C"

import (
	"bytes"
	"io"
	"net/http"
	"unsafe"
)

// The most of a 402's body that is looked at for terms: more than the library takes.
const challengeBodyBytesMax = 2 << 20

// SignedPayment is a payment that was signed for a request which an HTTP client of your own sends. Whoever has its header
// can take the money: send it to the origin that asked and to nobody else.
type SignedPayment struct {
	payment *C.x402_payment
	name    string
	value   string
}

// Pay pays a 402 that an HTTP client of your own got for a request: it chooses the offer, holds it against rules and
// budgets, and signs. It sends nothing. Send the request once more, after Apply, with redirects off; then Settle with what
// was answered. Over does all of that.
//
// The amount counts as spent from here on. The purchase is known again by method, URL and body (if GetBody gives it) or by
// its purchase_key: after a SignedPayment that was closed unsettled, the same header is given. The answer's body is read,
// and can be read once more.
//
// If it fails, nothing was signed unless the *Error's Money says so; its Payment has the reason of each offer.
func (c *Client) Pay(req *http.Request, answer *http.Response) (*SignedPayment, error) {
	text, err := readAgain(answer)
	if err != nil {
		return nil, err
	}
	described, err := withBodyAnew(req)
	if err != nil {
		return nil, err
	}
	made, err := c.prepare(described)
	if described.Body != nil {
		defer described.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	defer made.free()
	headers := newTexts(answer.Header)
	defer headers.free()
	var at *C.uint8_t
	if len(text) > 0 {
		at = (*C.uint8_t)(unsafe.Pointer(&text[0]))
	}
	paid := new(SignedPayment)
	err = c.alone(req.Context(), made, func(e **C.x402_error) C.x402_status {
		return C.x402_client_pay_request(c.client, made.request, C.uint16_t(answer.StatusCode), headers.names,
			headers.values, headers.count, at, C.size_t(len(text)), &paid.payment, e)
	}, takeOutcome)
	if err != nil {
		return nil, err
	}
	paid.name = C.GoString(C.x402_payment_header_name(paid.payment))
	paid.value = C.GoString(C.x402_payment_header_value(paid.payment))
	return paid, nil
}

// Apply puts the payment's header into a request, and keeps caches away from it.
func (p *SignedPayment) Apply(req *http.Request) {
	if req.Header == nil {
		req.Header = make(http.Header)
	}
	req.Header.Set(p.name, p.value)
	if req.Header.Get("Cache-Control") == "" {
		req.Header.Set("Cache-Control", "no-cache, no-store")
	}
}

// Header is what Apply sets.
func (p *SignedPayment) Header() (name, value string) { return p.name, p.value }

// Payment is what is known of it by now: MoneyUnknown until it is settled.
func (p *SignedPayment) Payment() *Payment { return copyPayment(p.payment) }

// Settle reads the receipt of the answer to the paid request, once. If no answer came, send the same header again, or
// Close it unsettled.
func (p *SignedPayment) Settle(answer *http.Response) (*Payment, error) {
	headers := newTexts(answer.Header)
	defer headers.free()
	var e *C.x402_error
	status := C.x402_payment_settle(p.payment, C.uint16_t(answer.StatusCode), headers.names, headers.values, headers.count, &e)
	if status != C.X402_OK {
		return nil, takeOutcome(status, e)
	}
	return p.Payment(), nil
}

// Close frees it. One that was not settled counts as spent. A second Close is nothing.
func (p *SignedPayment) Close() error {
	C.x402_payment_free(p.payment)
	p.value = ""
	return nil
}

// readAgain reads a body, and leaves one that gives the same.
func readAgain(answer *http.Response) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(answer.Body, challengeBodyBytesMax))
	if err != nil {
		return nil, err
	}
	rest := answer.Body
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), rest), rest}
	return text, nil
}

// withBodyAnew is a request with its body from the start, if it can be had, to know the purchase by.
func withBodyAnew(req *http.Request) (*http.Request, error) {
	again := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody || req.GetBody == nil {
		return again, nil
	}
	body, err := req.GetBody()
	again.Body = body
	return again, err
}

// texts are headers as the library takes them.
type texts struct {
	names, values **C.char
	count         C.size_t
}

func newTexts(header http.Header) *texts {
	var names, values []string
	for name, all := range header {
		for _, value := range all {
			names, values = append(names, name), append(values, value)
		}
	}
	return &texts{names: cTexts(names), values: cTexts(values), count: C.size_t(len(names))}
}

func cTexts(all []string) **C.char {
	if len(all) == 0 {
		return nil
	}
	at := (**C.char)(C.calloc(C.size_t(len(all)), C.size_t(unsafe.Sizeof((*C.char)(nil)))))
	places := unsafe.Slice(at, len(all))
	for i, text := range all {
		places[i] = C.CString(text)
	}
	return at
}

func (t *texts) free() {
	for _, at := range []**C.char{t.names, t.values} {
		if at == nil {
			continue
		}
		for _, text := range unsafe.Slice(at, int(t.count)) {
			C.free(unsafe.Pointer(text))
		}
		C.free(unsafe.Pointer(at))
	}
}
