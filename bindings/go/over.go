package x402

// #include <x402.h>
import "C"

import (
	"errors"
	"net/http"
)

// over sends through a transport of the caller's, and pays with the client.
type over struct {
	client *Client
	base   http.RoundTripper
}

// Over is an http.RoundTripper that sends through your own transport, with its proxies, traces and tests, and pays what is
// asked with this client's keys and rules. A body needs GetBody, as http.NewRequest gives it for bytes and strings: one
// that cannot be sent again is not paid for. What else the client does on its own connections (early answers, deadlines,
// replay copies, the same payment sent again) is the transport's to do or not.
func (c *Client) Over(base http.RoundTripper) http.RoundTripper { return &over{client: c, base: base} }

func (o *over) RoundTrip(req *http.Request) (*http.Response, error) {
	asked, err := o.base.RoundTrip(req)
	if err != nil || asked.StatusCode != http.StatusPaymentRequired {
		return asked, err
	}
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return refused(req, asked, &Payment{Money: MoneyRefused,
			Refusal: "the request's body cannot be sent again: set GetBody"}), nil
	}
	signed, err := o.client.Pay(req, asked)
	if err != nil {
		var failure *Error
		if !errors.As(err, &failure) || failure.Money == MoneyUnknown {
			asked.Body.Close()
			return nil, err
		}
		payment := failure.Payment
		if payment == nil {
			payment = &Payment{Money: failure.Money, Refusal: failure.Message}
		}
		return refused(req, asked, payment), nil
	}
	defer signed.Close()
	asked.Body.Close()
	return o.sendPaid(req, signed)
}

func (o *over) sendPaid(req *http.Request, signed *SignedPayment) (*http.Response, error) {
	unknown := func(status C.x402_status, message string, cause error) error {
		return &Error{Status: int32(status), Name: C.GoString(C.x402_status_name(status)), Message: message,
			Money: MoneyUnknown, Retry: "same-bytes", Payment: signed.Payment(), Cause: cause}
	}
	paid, err := withBodyAnew(req)
	if err != nil {
		return nil, unknown(C.X402_ERROR_BODY_CALLBACK, "the request's body cannot be sent again", err)
	}
	signed.Apply(paid)
	answer, err := o.base.RoundTrip(paid)
	if err != nil {
		return nil, unknown(C.X402_ERROR_CONNECTION_LOST, "no answer came to the paid request: "+err.Error(), err)
	}
	payment, err := signed.Settle(answer)
	if err != nil {
		answer.Body.Close()
		return nil, err
	}
	answer.Request = withPayment(req, payment)
	return answer, nil
}

func refused(req *http.Request, asked *http.Response, payment *Payment) *http.Response {
	asked.Request = withPayment(req, payment)
	return asked
}
