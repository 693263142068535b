package x402

// #include <x402.h>
import "C"

import (
	"errors"
	"fmt"
)

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
	CallbackValue int32    // what a callback stopped the call with (a Stop, if it was one), else 0
	Payment       *Payment // what the call had begun to pay, or nil
	Cause         error    // the context's error, or that of the body or progress function; or nil
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

// Stop is an error to return from a body's Read, from GetBody or from a progress function: its number, if not 0, is then
// the CallbackValue of the Error. Any other error stops the call just as well.
type Stop int32

func (s Stop) Error() string { return fmt.Sprintf("stopped with the value %d", int32(s)) }

// stopped is what a Go callback that failed returns to the library; the Go error travels beside it.
const stopped = -402

func stopValue(err error) C.int32_t {
	var stop Stop
	if errors.As(err, &stop) && stop != 0 {
		return C.int32_t(stop)
	}
	return stopped
}

// mistake is an error of the caller's that is found before the library is asked.
func mistake(status C.x402_status, message string) *Error {
	return &Error{Status: int32(status), Name: C.GoString(C.x402_status_name(status)), Message: message, Retry: "never"}
}

// takeError copies the error of a call that sends nothing, and frees it.
func takeError(status C.x402_status, from *C.x402_error) *Error {
	return copyError(status, from, MoneyNone, "never")
}

// takeOutcome is takeError for what may have signed and sent a payment. Where the library could not even make an error,
// nobody knows whether it has.
func takeOutcome(status C.x402_status, from *C.x402_error) *Error {
	return copyError(status, from, MoneyUnknown, "same-bytes")
}

func copyError(status C.x402_status, from *C.x402_error, money Money, retry string) *Error {
	e := &Error{Status: int32(status), Name: C.GoString(C.x402_status_name(status)), Money: money, Retry: retry}
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
