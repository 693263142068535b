package x402_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	x402 "github.com/libx402/libx402/bindings/go"
)

func TestPays(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t)
	req, err := http.NewRequest("GET", url+"/weather", nil)
	response, text := do(t, client, req, err)
	payment := x402.PaymentOf(response)
	if response.StatusCode != 200 || text != "sunny" || payment == nil || payment.Money != x402.MoneyPaid ||
		payment.Amount != "10000" || !strings.HasPrefix(payment.Transaction, "0x") {
		t.Fatal(response.Status, text, payment)
	}
}

func TestFreeAndRefused(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t)
	req, err := http.NewRequest("GET", url+"/free", nil)
	response, text := do(t, client, req, err)
	if text != "free" || x402.PaymentOf(response) != nil || len(response.Header.Values("X-Two")) != 2 {
		t.Fatal(response, text)
	}
	req, err = http.NewRequest("GET", url+"/expensive", nil)
	response, _ = do(t, client, req, err)
	payment := x402.PaymentOf(response)
	if response.StatusCode != 402 || payment == nil || payment.Money != x402.MoneyRefused || payment.Refusal == "" {
		t.Fatal(response.Status, payment)
	}
}

// only hides everything but Read, so that there is no GetBody and no length.
type only struct{ io.Reader }

func TestStreamsWithoutGetBody(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t)
	for _, path := range []string{"/upload", "/upload-late"} {
		data := bytes.Repeat([]byte("0123456789"), 100_000)
		req, err := http.NewRequest("POST", url+path, only{bytes.NewReader(data)})
		response, text := do(t, client, req, err)
		if response.StatusCode != 200 || !strings.Contains(text, `1000000`) ||
			x402.PaymentOf(response).Money != x402.MoneyPaid {
			t.Fatal(path, response.Status, text)
		}
	}
}

type failing struct {
	err    error
	closed bool
}

func (f *failing) Read([]byte) (int, error) {
	if f.err == nil {
		panic("the camera is off")
	}
	return 0, f.err
}
func (f *failing) Close() error { f.closed = true; return nil }

func TestReaderFailsOrPanics(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t)
	for _, want := range []error{errors.New("the disk is gone"), nil} {
		source := &failing{err: want}
		req, err := http.NewRequest("POST", url+"/free-upload", source)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.HTTP().Do(req)
		var failure *x402.Error
		if !errors.As(err, &failure) || failure.Name != "X402_ERROR_BODY_CALLBACK" || failure.Money != x402.MoneyNone {
			t.Fatal(err)
		}
		if want != nil && !errors.Is(err, want) || want == nil && !strings.Contains(failure.Cause.Error(), "camera") {
			t.Fatal(err, failure.Cause)
		}
		if !source.closed {
			t.Error("the body was not closed")
		}
	}
}

func TestContextCancels(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/hangs", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.HTTP().Do(req)
	var failure *x402.Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &failure) || failure.Money != x402.MoneyNone {
		t.Fatal(err)
	}
	// A body that blocks until it is closed, and a context that ends meanwhile.
	ctx, cancel = context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	defer writer.Close()
	req, err = http.NewRequestWithContext(ctx, "POST", url+"/free-upload", reader)
	if err != nil {
		t.Fatal(err)
	}
	go func() { writer.Write([]byte("begun")); cancel() }()
	if _, err = client.HTTP().Do(req); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	// The body of an answer.
	ctx, cancel = context.WithCancel(context.Background())
	req, err = http.NewRequestWithContext(ctx, "GET", url+"/stalls", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.HTTP().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadFull(response.Body, make([]byte, 40000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err = io.ReadAll(response.Body); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestRepeatPaysOnce(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t)
	for try := 0; try < 3; try++ {
		response, err := client.HTTP().Post(url+"/paid-then-close", "application/json", strings.NewReader("{}"))
		var failure *x402.Error
		if err != nil && (!errors.As(err, &failure) || failure.Money == x402.MoneyNone) {
			t.Fatal(err)
		}
		if err == nil {
			text, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if string(text) != "sunny" {
				t.Fatal(response.Status, string(text))
			}
			break
		}
	}
	req, err := http.NewRequest("GET", url+"/_server/state", nil)
	_, state := do(t, client, req, err)
	if !strings.Contains(strings.ReplaceAll(state, " ", ""), `"payments_distinct":1,`) {
		t.Fatal(state)
	}
}

func TestManyAtOnce(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	client := newClient(t, x402.Budget("all", 0, "100.00 USD"))
	var all sync.WaitGroup
	for i := 0; i < 64; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			response, err := client.HTTP().Get(fmt.Sprintf("%s/weather?%d", url, i))
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if err != nil || string(text) != "sunny" {
				t.Error(response.Status, string(text), err)
			}
		}(i)
	}
	all.Wait()
}

func TestBadOptionsSayWhy(t *testing.T) {
	for _, option := range []x402.Option{x402.EVMKey("0x12"), x402.MaxPerPayment("much"), x402.Set("no_such", "1"),
		x402.Allow("network", "a\x00b")} {
		client, err := x402.New(option)
		var failure *x402.Error
		if client != nil || !errors.As(err, &failure) || failure.Message == "" {
			t.Error(client, err)
		}
	}
	if alive := x402.LiveHandles(); alive != 0 {
		t.Errorf("%d handles are left", alive)
	}
}

func TestClosedClient(t *testing.T) {
	client, err := x402.New()
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	client.Close()
	if _, err := client.HTTP().Get("http://127.0.0.1:9/"); !errors.Is(err, x402.ErrClosed) {
		t.Fatal(err)
	}
}
