package x402_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
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

// ways are both that a call can go: on its own thread, and through the queue.
var ways = map[string]x402.Option{"direct": x402.OwnThreads(4), "queued": x402.OwnThreads(0)}

func TestContextCancels(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			url := serve(t, "--scenario", "testdata/scenario.json")
			client := newClient(t, way)
			aWaitEnds(t, client, url)
			aBlockedBodyEnds(t, client, url)
			aStreamEnds(t, client, url)
			if _, text := get(t, client.HTTP(), url+"/weather"); text != "sunny" {
				t.Error("the client goes on", text)
			}
		})
	}
}

func aWaitEnds(t *testing.T, client *x402.Client, url string) {
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
	because := errors.New("the user left")
	named, leave := context.WithCancelCause(context.Background())
	leave(because)
	if _, err = client.RoundTrip(req.WithContext(named)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	named, leave = context.WithCancelCause(context.Background())
	timer := time.AfterFunc(20*time.Millisecond, func() { leave(because) })
	defer timer.Stop()
	if _, err = client.RoundTrip(req.WithContext(named)); !errors.Is(err, context.Canceled) || !errors.Is(err, because) {
		t.Fatal(err)
	}
}

// A body that blocks until it is closed, and a context that ends meanwhile.
func aBlockedBodyEnds(t *testing.T, client *x402.Client, url string) {
	ctx, cancel := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	defer writer.Close()
	req, err := http.NewRequestWithContext(ctx, "POST", url+"/free-upload", reader)
	if err != nil {
		t.Fatal(err)
	}
	go func() { writer.Write([]byte("begun")); cancel() }()
	if _, err = client.HTTP().Do(req); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// The body of an answer: what came is there, and the wait for the rest ends. A Close ends it as well.
func aStreamEnds(t *testing.T, client *x402.Client, url string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, end := range []func(*http.Response){func(*http.Response) { cancel() }, func(r *http.Response) { r.Body.Close() }} {
		req, err := http.NewRequestWithContext(ctx, "GET", url+"/stalls", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.HTTP().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if _, err := io.ReadFull(response.Body, make([]byte, 50000)); err != nil {
			t.Fatal(err)
		}
		wasCancelled := make(chan error)
		go func() {
			_, err := response.Body.Read(make([]byte, 1))
			wasCancelled <- err
		}()
		time.AfterFunc(20*time.Millisecond, func() { end(response) })
		if err := <-wasCancelled; !errors.Is(err, context.Canceled) && !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Fatal(err)
		}
		ctx, cancel = context.WithCancel(context.Background())
	}
	cancel()
}

// Close ends what is under way; none of it is called safe.
func TestCloseEndsCalls(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			url := serve(t, "--scenario", "testdata/scenario.json")
			client, err := x402.New(x402.EVMKey(testKey), way)
			if err != nil {
				t.Fatal(err)
			}
			reader, writer := io.Pipe()
			defer writer.Close()
			ended := make(chan error, 1)
			go func() {
				_, err := client.HTTP().Post(url+"/free-upload", "text/plain", reader)
				ended <- err
			}()
			if _, err := writer.Write([]byte("begun")); err != nil {
				t.Fatal(err)
			}
			response, err := client.HTTP().Get(url + "/held")
			if err != nil {
				t.Fatal(err)
			}
			client.Close()
			var failure *x402.Error
			if err := <-ended; !errors.As(err, &failure) || !errors.Is(err, x402.ErrClosed) {
				t.Error(err)
			}
			if _, err := response.Body.Read(make([]byte, 1)); !errors.Is(err, x402.ErrClosed) {
				t.Error(err)
			}
			response.Body.Close()
			if alive := x402.LiveHandles(); alive != 0 {
				t.Errorf("%d handles are left", alive)
			}
		})
	}
}

func TestProgress(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, way)
			var last x402.Progress
			sent := int64(0)
			ctx := x402.WithProgress(context.Background(), func(now x402.Progress) error {
				last, sent = now, max(sent, now.Sent)
				return nil
			})
			req, err := http.NewRequestWithContext(ctx, "POST", url+"/free-download", bytes.NewReader(make([]byte, 70_000)))
			response, text := do(t, client, req, err)
			if response.StatusCode != 200 || sent != 70_000 || last.SendTotal != 70_000 || last.Received != int64(len(text)) ||
				last.ReceiveTotal != 1048576 {
				t.Error(response.Status, sent, last)
			}
			enough := errors.New("that is enough")
			ctx = x402.WithProgress(context.Background(), func(now x402.Progress) error {
				if now.Received > 100_000 {
					return enough
				}
				return nil
			})
			if req, err = http.NewRequestWithContext(ctx, "GET", url+"/free-download", nil); err != nil {
				t.Fatal(err)
			}
			if response, err = client.HTTP().Do(req); err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			_, err = io.Copy(io.Discard, response.Body)
			var failure *x402.Error
			if !errors.As(err, &failure) || failure.Name != "X402_ERROR_CALLBACK" || !errors.Is(err, enough) {
				t.Error(err)
			}
		})
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
