// Command cases is the driver that runs tests/cases/NAME.json through the Go binding; the protocol is in
// tests/cases/README.md. It reads one case, writes what every request came to, and judges nothing. With --queued every
// call goes through the queue, as it does where many are under way.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
	"unicode/utf8"

	x402 "github.com/libx402/libx402/bindings/go"
)

const textBytesMax = 64 * 1024

var redirects = "10"

type content struct {
	Text    *string
	Base64  *string
	Pattern int
}

func (c content) bytes() []byte {
	switch {
	case c.Text != nil:
		return []byte(*c.Text)
	case c.Base64 != nil:
		data, _ := base64.StdEncoding.DecodeString(*c.Base64)
		return data
	}
	data := make([]byte, c.Pattern)
	for i := range data {
		data[i] = byte(i % 251)
	}
	return data
}

type reader struct {
	Content     content
	Declare     json.RawMessage
	Chunk       int
	Rewind      bool
	RewindFails bool  `json:"rewind_fails"`
	FailAt      *int  `json:"fail_at"`
	FailWith    int32 `json:"fail_with"`

	data                []byte
	at, pulled, rewinds int
}

func (r *reader) Read(to []byte) (int, error) {
	want := len(to)
	if r.Chunk > 0 {
		want = min(want, r.Chunk)
	}
	if r.FailAt != nil {
		if r.at >= *r.FailAt {
			return 0, x402.Stop(r.FailWith)
		}
		want = min(want, *r.FailAt-r.at)
	}
	n := copy(to[:want], r.data[r.at:])
	r.at += n
	r.pulled += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (r *reader) again() (io.ReadCloser, error) {
	r.rewinds++
	r.at = 0
	if r.RewindFails {
		return nil, x402.Stop(r.FailWith)
	}
	return io.NopCloser(r), nil
}

type request struct {
	Method, URL    string
	Headers        [][2]string
	Settings       map[string]string
	Call           string
	StopProgressAt *int64 `json:"stop_progress_at"`
	StopWith       int32  `json:"stop_with"`
	Body           *struct {
		Bytes  *content
		File   *string
		Reader *reader
	}
}

type scenario struct {
	Client struct {
		Keys       []string
		SolanaKeys []string `json:"solana_keys"`
		Settings   map[string]string
		Policy     struct {
			MaxPerPayment []string `json:"max_per_payment"`
			Budget        [][3]any
			Allow, Prefer [][2]string
			Approve       *int
		}
	}
	Requests []request
}

func options(from scenario) (all []x402.Option) {
	for _, key := range from.Client.Keys {
		all = append(all, x402.EVMKey(key))
	}
	for _, key := range from.Client.SolanaKeys {
		all = append(all, x402.SolanaKey(key))
	}
	policy := from.Client.Policy
	for _, amount := range policy.MaxPerPayment {
		all = append(all, x402.MaxPerPayment(amount))
	}
	for _, b := range policy.Budget {
		all = append(all, x402.Budget(b[0].(string), time.Duration(b[1].(float64))*time.Second, b[2].(string)))
	}
	for _, rule := range policy.Allow {
		all = append(all, x402.Allow(rule[0], rule[1]))
	}
	for _, rule := range policy.Prefer {
		all = append(all, x402.Prefer(rule[0], rule[1]))
	}
	if policy.Approve != nil {
		answer := *policy.Approve == 0
		all = append(all, x402.Approve(func(string) bool { return answer }))
	}
	for key, value := range from.Client.Settings {
		all = append(all, x402.Set(key, value))
	}
	return all
}

// build makes the request as a Go program would, but for http.NewRequest's own checks: mistakes are the library's to
// find. The reader of its body, if any, is told.
func build(from request) (*http.Request, *reader, error) {
	pulled := &reader{}
	at, err := url.Parse(from.URL)
	if err != nil {
		return nil, pulled, err
	}
	req := &http.Request{Method: from.Method, URL: at, Header: http.Header{}, Host: at.Host}
	// A case's redirects are the library's to follow, which this transport leaves to http.Client unless it is told.
	ctx := x402.WithSetting(context.Background(), "max_redirects", redirects)
	for _, header := range from.Headers {
		if header[0] == "Content-Length" {
			// Not a header of a Go request: RoundTrip leaves it out, so this one says it as the library sees it.
			header[0] = "content-length"
		}
		req.Header[header[0]] = append(req.Header[header[0]], header[1])
	}
	for key, value := range from.Settings {
		ctx = x402.WithSetting(ctx, key, value)
	}
	if from.StopProgressAt != nil {
		ctx = x402.WithProgress(ctx, func(now x402.Progress) error {
			if now.Sent >= *from.StopProgressAt {
				return x402.Stop(from.StopWith)
			}
			return nil
		})
	}
	switch body := from.Body; {
	case body == nil:
	case body.Bytes != nil:
		data := body.Bytes.bytes()
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	case body.File != nil:
		ctx = x402.WithBodyFile(ctx, *body.File)
	case body.Reader != nil:
		pulled = body.Reader
		ctx = pulled.give(req, ctx)
	}
	return req.WithContext(ctx), pulled, nil
}

// give makes the reader a request's body.
func (r *reader) give(req *http.Request, ctx context.Context) context.Context {
	r.data = r.Content.bytes()
	req.Body, req.ContentLength = io.NopCloser(r), int64(len(r.data))
	if string(r.Declare) == "null" {
		req.ContentLength = -1
	} else if r.Declare != nil {
		_ = json.Unmarshal(r.Declare, &req.ContentLength)
	}
	if r.Rewind {
		req.GetBody = r.again
		ctx = x402.WithStreamedBody(ctx)
	}
	return ctx
}

func paymentOf(p *x402.Payment) any {
	if p == nil {
		return nil
	}
	return map[string]any{"amount": p.Amount, "asset": p.Asset, "network": p.Network, "payee": p.Payee,
		"transaction": p.Transaction, "refusal": p.Refusal, "json": json.RawMessage(p.JSON)}
}

func errorOf(err error) (map[string]any, *x402.Error) {
	var e *x402.Error
	if !errors.As(err, &e) {
		e = &x402.Error{Name: "X402_ERROR_?", Message: err.Error(), Retry: "never"}
	}
	out := map[string]any{"status": e.Name, "message": e.Message, "money": e.Money.String(), "retry": e.Retry,
		"callback_value": nil}
	if e.CallbackValue != 0 {
		out["callback_value"] = e.CallbackValue
	}
	return out, e
}

func failed(err error) map[string]any {
	out, e := errorOf(err)
	return map[string]any{"outcome": "error", "error": out, "money": e.Money.String(), "payment": paymentOf(e.Payment)}
}

func answered(response *http.Response) map[string]any {
	defer response.Body.Close()
	headers := [][2]string{}
	for name, values := range response.Header {
		for _, value := range values {
			headers = append(headers, [2]string{name, value})
		}
	}
	data, err := io.ReadAll(response.Body)
	sum := sha256.Sum256(data)
	body := map[string]any{"length": len(data), "sha256": hex.EncodeToString(sum[:]), "text": nil}
	if len(data) <= textBytesMax && utf8.Valid(data) {
		body["text"] = string(data)
	}
	payment, money := x402.PaymentOf(response), x402.MoneyNone
	if payment != nil {
		money = payment.Money
	}
	out := map[string]any{"outcome": "response", "status": response.StatusCode, "url": response.Request.URL.String(),
		"headers": headers, "body": body, "body_error": nil, "money": money.String(), "payment": paymentOf(payment)}
	if err != nil {
		out["body_error"], _ = errorOf(err)
	}
	return out
}

func run(client *x402.Client, from request) map[string]any {
	req, pulled, err := build(from)
	var out map[string]any
	var response *http.Response
	var quote string
	if err == nil && from.Call == "quote" {
		if quote, err = client.Quote(req); err == nil {
			out = map[string]any{"outcome": "quote", "quote": json.RawMessage(quote)}
		}
	} else if err == nil {
		if response, err = client.RoundTrip(req); err == nil {
			out = answered(response)
		}
	}
	if err != nil {
		out = failed(err)
	}
	out["reader"] = map[string]int{"pulled": pulled.pulled, "rewinds": pulled.rewinds}
	return out
}

func main() {
	var from scenario
	if err := json.NewDecoder(os.Stdin).Decode(&from); err != nil {
		fmt.Fprintln(os.Stderr, "the input is no case:", err)
		os.Exit(2)
	}
	if text, set := from.Client.Settings["max_redirects"]; set {
		redirects = text
	}
	out := map[string]any{}
	results := []any{}
	all := options(from)
	if len(os.Args) > 1 && os.Args[1] == "--queued" {
		all = append(all, x402.OwnThreads(0))
	}
	client, err := x402.New(all...)
	if err != nil {
		out["setup_error"], _ = errorOf(err)
	} else {
		for _, request := range from.Requests {
			results = append(results, run(client, request))
		}
		client.Close()
	}
	out["results"], out["live_handles"] = results, x402.LiveHandles()
	json.NewEncoder(os.Stdout).Encode(out)
}
