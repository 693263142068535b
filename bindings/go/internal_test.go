package x402

import "testing"

// Where not even an error could be made, a send may have paid: that is what is said.
func TestAnOutcomeWithoutAnErrorIsUnknown(t *testing.T) {
	sent := takeOutcome(501, nil)
	if sent.Money != MoneyUnknown || sent.Retry != "same-bytes" || sent.Name != "X402_ERROR_SYSTEM" || sent.Message == "" {
		t.Error(sent.Money, sent.Retry, sent)
	}
	if made := takeError(501, nil); made.Money != MoneyNone || made.Retry != "never" {
		t.Error(made.Money, made.Retry, made)
	}
}
