package x402_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	x402 "github.com/libx402/libx402/bindings/go"
)

// plain is an HTTP client of one's own: new connections, no redirects.
func plain(t *testing.T) *http.Transport {
	transport := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func TestPayAndSettle(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t)
	transport := plain(t)
	for _, path := range []string{"/weather", "/weather-v1"} {
		req, err := http.NewRequest("GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		asked, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := client.Pay(req, asked)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(asked.Body); err != nil || len(text) < 2 {
			t.Error("the 402 can still be read", string(text), err)
		}
		asked.Body.Close()
		if payment := signed.Payment(); payment.Money != x402.MoneyUnknown || payment.Amount != "10000" {
			t.Error(payment)
		}
		paid := req.Clone(req.Context())
		signed.Apply(paid)
		if name, value := signed.Header(); paid.Header.Get(name) != value || len(value) < 100 ||
			paid.Header.Get("Cache-Control") != "no-cache, no-store" || strings.Contains(signed.Payment().JSON, value) {
			t.Error(name)
		}
		answer, err := transport.RoundTrip(paid)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		payment, err := signed.Settle(answer)
		if err != nil || payment.Money != x402.MoneyPaid || payment.Transaction == "" {
			t.Fatal(payment, err)
		}
		var failure *x402.Error
		if _, err := signed.Settle(answer); !errors.As(err, &failure) || failure.Name != "X402_ERROR_ARGUMENT" {
			t.Error("settled twice", err)
		}
		signed.Close()
		signed.Close()
	}
	if seen := state(t, url); seen.PaymentsSettled != 2 {
		t.Error(seen)
	}
}

func TestOverPays(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t)
	web := &http.Client{Transport: client.Over(plain(t))}
	response, text := get(t, web, url+"/free")
	if text != "free" || x402.PaymentOf(response) != nil {
		t.Error(response.Status, text)
	}
	response, text = get(t, web, url+"/weather")
	if payment := x402.PaymentOf(response); text != "sunny" || payment == nil || payment.Money != x402.MoneyPaid {
		t.Error(response.Status, text, payment)
	}
	if response.Request.Header.Get("PAYMENT-SIGNATURE") != "" {
		t.Error("the answer names the request with the signature in it")
	}
	data := bytes.Repeat([]byte("x"), 100_000)
	response, err := web.Post(url+"/upload-late", "text/plain", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	hash, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if response.StatusCode != 200 || !bytes.Contains(hash, []byte("100000")) {
		t.Error(response.Status, string(hash))
	}
	if seen := state(t, url); seen.PaymentsSettled != 2 || seen.PaymentsDistinct != 2 {
		t.Error(seen)
	}
}

// What is not paid is the server's own 402, whole, with the reason beside it.
func TestOverRefuses(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t)
	web := &http.Client{Transport: client.Over(plain(t))}
	for path, why := range map[string]string{"/expensive": "1.00", "/malformed": "base64"} {
		response, text := get(t, web, url+path)
		payment := x402.PaymentOf(response)
		if response.StatusCode != 402 || text == "" || payment == nil || !strings.Contains(payment.Refusal, why) {
			t.Error(path, response.Status, text, payment)
		}
	}
	response, err := web.Post(url+"/upload-late", "text/plain", only{strings.NewReader("once")})
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if payment := x402.PaymentOf(response); response.StatusCode != 402 || !strings.Contains(payment.Refusal, "GetBody") {
		t.Error(response.Status, payment)
	}
	if seen := state(t, url); seen.PaymentsDistinct != 0 {
		t.Error(seen)
	}
}

// An answer that got lost is asked for again with the very same payment.
func TestOverRepeatsTheSamePayment(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t)
	web := &http.Client{Transport: client.Over(plain(t))}
	losses := 0
	for try := 0; ; try++ {
		response, err := web.Post(url+"/paid-then-close", "application/json", strings.NewReader("{}"))
		if err == nil {
			response.Body.Close()
			break
		}
		var failure *x402.Error
		if !errors.As(err, &failure) || failure.Money != x402.MoneyUnknown || failure.Retry != "same-bytes" ||
			failure.Payment == nil || !errors.Is(err, io.EOF) || try > 3 {
			t.Fatal(err)
		}
		losses++
	}
	if seen := state(t, url); losses != 2 || seen.PaymentsDistinct != 1 || seen.PaymentsSettled != 1 {
		t.Error(losses, seen)
	}
}

func TestQuoteDoesNotPayAndEndsWithItsContext(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t)
	req, err := http.NewRequest("POST", url+"/expensive", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	quote, err := client.Quote(req)
	if err != nil || !strings.Contains(quote, "5000000") {
		t.Fatal(quote, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	body, writer := io.Pipe()
	defer writer.Close()
	if req, err = http.NewRequestWithContext(ctx, "POST", url+"/free-upload", body); err != nil {
		t.Fatal(err)
	}
	go func() { writer.Write([]byte("begun")); cancel() }()
	if _, err := client.Quote(req); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if seen := state(t, url); seen.PaymentsDistinct != 0 {
		t.Error(seen)
	}
}
