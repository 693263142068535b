package x402

/*
#include <string.h>
#include <x402.h>

// All texts of a payment in one call from Go.
typedef struct payment_texts {
    const char *text[7];
    size_t len[7];
} payment_texts;

static void texts_of(const x402_payment *payment, payment_texts *out)
{
    out->text[0] = x402_payment_amount(payment);
    out->text[1] = x402_payment_asset(payment);
    out->text[2] = x402_payment_network(payment);
    out->text[3] = x402_payment_payee(payment);
    out->text[4] = x402_payment_transaction(payment);
    out->text[5] = x402_payment_refusal(payment);
    out->text[6] = x402_payment_json(payment);
    for (int i = 0; i < 7; i++)
        out->len[i] = out->text[i] ? strlen(out->text[i]) : 0;
}
*/
import "C"

import (
	"context"
	"net/http"
)

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

// PaymentOf is what was asked, signed and answered for a response, or nil if the server asked for nothing. A 402 that
// was not paid has one too: its Refusal says why.
func PaymentOf(response *http.Response) *Payment {
	if response == nil || response.Request == nil {
		return nil
	}
	payment, _ := response.Request.Context().Value(paymentKey).(*Payment)
	return payment
}

// withPayment is the request that a response names, with what PaymentOf finds.
func withPayment(req *http.Request, payment *Payment) *http.Request {
	if payment == nil {
		return req
	}
	return req.WithContext(context.WithValue(req.Context(), paymentKey, payment))
}

func copyPayment(p *C.x402_payment) *Payment {
	if p == nil {
		return nil
	}
	var from C.payment_texts
	C.texts_of(p, &from)
	var to [7]string
	for i := range to {
		to[i] = C.GoStringN(from.text[i], C.int(from.len[i]))
	}
	return &Payment{Amount: to[0], Asset: to[1], Network: to[2], Payee: to[3], Transaction: to[4], Refusal: to[5],
		JSON: to[6], Money: Money(C.x402_payment_money(p))}
}
