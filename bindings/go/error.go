package x402

// #include <x402.h>
import "C"

import "fmt"

// Money says where the money is after a call.
type Money int32

const (
	MoneyNone    Money = C.X402_MONEY_NONE    // nothing was signed
	MoneyRefused Money = C.X402_MONEY_REFUSED // the server asked, and it was declined here
	MoneyUnpaid  Money = C.X402_MONEY_UNPAID  // signed, and proven not taken
	MoneyPaid    Money = C.X402_MONEY_PAID    // settled: the server's receipt was read
	MoneyUnknown Money = C.X402_MONEY_UNKNOWN // signed and perhaps sent: count it as spent
)

func (m Money) String() string {
	names := [...]string{"none", "refused", "unpaid", "paid", "unknown"}
	if m < 0 || int(m) >= len(names) {
		return "?"
	}
	return names[m]
}

// Error is why a call failed. Find it with errors.As; a cancelled or late context and an error of a request body's
// Read are found behind it with errors.Is.
type Error struct {
	Status        int32    // number of the x402_status
	Name          string   // its name, such as "X402_ERROR_TIMEOUT"
	Message       string   // one sentence, never a secret
	Money         Money    // where the money is
	Retry         string   // "never", "same-bytes", "new-quote" or "safe"; see x402_error_retry
	CallbackValue int32    // what a callback stopped the call with, else 0
	Payment       *Payment // what the call had begun to pay, or nil
	Cause         error    // the context's error, or the request body's; or nil
}

func (e *Error) Error() string {
	return fmt.Sprintf("x402: %s (%s, money %s)", e.Message, e.Name, e.Money)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Timeout tells net.Error users that a deadline passed.
func (e *Error) Timeout() bool { return e.Status == C.X402_ERROR_TIMEOUT }

// Temporary is there for net.Error; what may be tried again is in Retry.
func (e *Error) Temporary() bool { return false }

// takeError copies an error of the library and frees it.
func takeError(status C.x402_status, from *C.x402_error) *Error {
	e := &Error{Status: int32(status), Name: C.GoString(C.x402_status_name(status)), Money: MoneyNone, Retry: "never"}
	if from == nil {
		e.Message = e.Name
		return e
	}
	e.Message = C.GoString(C.x402_error_message(from))
	e.Money = Money(C.x402_error_money(from))
	e.Retry = C.GoString(C.x402_error_retry(from))
	e.CallbackValue = int32(C.x402_error_callback_value(from))
	e.Payment = copyPayment(C.x402_error_payment(from))
	C.x402_error_free(from)
	return e
}

// Payment is one purchase: what was asked, signed and answered. A copy, valid as long as you like.
type Payment struct {
	Amount      string // atomic units, decimal; "" if no offer was chosen
	Asset       string // as the offer names it: for a token, its contract's address
	Network     string // CAIP-2, "eip155:8453"
	Payee       string // an address of the network
	Transaction string // that settled it, from the server's receipt; "" until there is one
	Refusal     string // why nothing was paid; "" if it was
	JSON        string // all of it, receipt included; never a signature
	Money       Money
}

func copyPayment(p *C.x402_payment) *Payment {
	if p == nil {
		return nil
	}
	return &Payment{
		Amount:      C.GoString(C.x402_payment_amount(p)),
		Asset:       C.GoString(C.x402_payment_asset(p)),
		Network:     C.GoString(C.x402_payment_network(p)),
		Payee:       C.GoString(C.x402_payment_payee(p)),
		Transaction: C.GoString(C.x402_payment_transaction(p)),
		Refusal:     C.GoString(C.x402_payment_refusal(p)),
		JSON:        C.GoString(C.x402_payment_json(p)),
		Money:       Money(C.x402_payment_money(p)),
	}
}
