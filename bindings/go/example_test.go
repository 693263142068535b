package x402_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	x402 "github.com/libx402/libx402/bindings/go"
)

// cut: get
func get(url string) (string, *x402.Payment, error) {
	client, err := x402.New(x402.EVMKey(os.Getenv("EVM_PRIVATE_KEY")), x402.MaxPerPayment("0.10 USD"))
	if err != nil {
		return "", nil, err
	}
	defer client.Close()
	payer := &http.Client{Transport: client} // for any SDK that takes an *http.Client
	response, err := payer.Get(url)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), x402.PaymentOf(response), err
}

// end of cut

func TestWalkthrough(t *testing.T) {
	t.Setenv("EVM_PRIVATE_KEY", testKey)
	text, payment, err := get(serve(t, "--demo") + "/weather")
	if err != nil || payment == nil || payment.Money != x402.MoneyPaid || !strings.Contains(text, "sunny") {
		t.Fatal(text, payment, err)
	}
}
