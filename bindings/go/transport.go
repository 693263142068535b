package x402

/*
#include <x402.h>

x402_status x402go_body_reader(x402_request *request, int rewinds, uintptr_t handle, uint64_t length, x402_error **error);
*/
import "C"

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"runtime/cgo"
	"strconv"
	"sync"
	"unsafe"
)

// Bodies up to this length that are in memory already (GetBody is set) are given to the library as bytes: it then knows
// a repeat of the purchase by them, and presents the same payment. Others are streamed.
const memoryBodyBytesMax = 8 << 20

type contextKey int

const (
	paymentKey contextKey = iota
	settingsKey
	fileKey
)

// WithBodyFile gives a request its body from a file, through its context: never copied, opened again for the paid
// replay, and known again by its content when the request is repeated. The request's own Body must be nil.
func WithBodyFile(ctx context.Context, path string) context.Context {
	return context.WithValue(ctx, fileKey, path)
}

// WithSetting gives a request a setting of its own, such as "purchase_key", through its context.
func WithSetting(ctx context.Context, key, value string) context.Context {
	earlier, _ := ctx.Value(settingsKey).([][2]string)
	return context.WithValue(ctx, settingsKey, append(earlier[:len(earlier):len(earlier)], [2]string{key, value}))
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

// RoundTrip sends a request and pays if the server asks and the rules agree. It follows no redirect: http.Client does,
// and a payment goes only to the origin that asked. The request is not changed, and its body is always closed.
//
// When the context ends, the body is closed and the call ends with an *Error that says where the money is; errors.Is
// finds context.Canceled or context.DeadlineExceeded behind it. A body whose Read goes on after its Close holds it up.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	from := &source{body: req.Body, again: req.GetBody}
	defer from.close()
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if req.URL == nil {
		return nil, errors.New("x402: the request has no URL")
	}
	if len(req.Trailer) > 0 {
		return nil, errors.New("x402: trailers of a request are not supported")
	}
	request, err := newRequest(req)
	if err != nil {
		return nil, err
	}
	defer C.x402_request_free(request)
	handle := cgo.NewHandle(from)
	defer handle.Delete() // after the event: no callback runs any more
	if err := setBody(request, req, from, handle); err != nil {
		return nil, err
	}
	out := c.queue.do(req.Context(), from.close, func(token C.uint64_t, e **C.x402_error) C.x402_status {
		return C.x402_queue_send(c.queue.queue, request, token, e)
	})
	if out.err != nil {
		var failure *Error
		if errors.As(out.err, &failure) && failure.Cause == nil {
			failure.Cause = from.failure()
		}
		return nil, out.err
	}
	return c.answer(req, out.response), nil
}

func newRequest(req *http.Request) (*C.x402_request, error) {
	url := *req.URL
	url.User, url.Fragment, url.RawFragment = nil, "", "" // http.Client makes a header of the user
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	var request *C.x402_request
	err := withTexts([]string{method, url.String()}, func(at []*C.char, e **C.x402_error) C.x402_status {
		return C.x402_request_new(at[0], at[1], &request, e)
	})
	if err == nil {
		err = setHead(request, req)
	}
	if err != nil {
		C.x402_request_free(request)
		return nil, err
	}
	return request, nil
}

func setHead(request *C.x402_request, req *http.Request) error {
	header := func(name, value string) error {
		return withTexts([]string{name, value}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_request_header(request, at[0], at[1], e)
		})
	}
	if req.Host != "" && req.Host != req.URL.Host {
		if err := header("Host", req.Host); err != nil {
			return err
		}
	}
	for name, values := range req.Header {
		if name == "Host" || name == "Content-Length" || name == "Transfer-Encoding" {
			continue // net/http leaves these out too: they are Host and ContentLength of the request
		}
		for _, value := range values {
			if err := header(name, value); err != nil {
				return err
			}
		}
	}
	own, _ := req.Context().Value(settingsKey).([][2]string)
	for _, setting := range append([][2]string{{"max_redirects", "0"}}, own...) {
		err := withTexts(setting[:], func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_request_set(request, at[0], at[1], e)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func setBody(request *C.x402_request, req *http.Request, from *source, handle cgo.Handle) error {
	if req.Body == nil || req.Body == http.NoBody {
		path, is := req.Context().Value(fileKey).(string)
		if !is {
			return nil
		}
		return withTexts([]string{path}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_request_body_file(request, at[0], e)
		})
	}
	var e *C.x402_error
	var status C.x402_status
	if req.GetBody != nil && req.ContentLength > 0 && req.ContentLength <= memoryBodyBytesMax {
		data, err := io.ReadAll(io.LimitReader(req.Body, req.ContentLength+1))
		if err != nil {
			return err
		}
		if int64(len(data)) != req.ContentLength {
			return &Error{Status: C.X402_ERROR_BODY_LENGTH, Name: "X402_ERROR_BODY_LENGTH", Retry: "never",
				Message: "the request body has not the length of ContentLength, " + strconv.FormatInt(req.ContentLength, 10)}
		}
		status = C.x402_request_body_bytes(request, (*C.uint8_t)(unsafe.Pointer(&data[0])), C.size_t(len(data)), &e)
	} else {
		length, rewinds := C.uint64_t(C.X402_LENGTH_UNKNOWN), C.int(0)
		if req.ContentLength > 0 {
			length = C.uint64_t(req.ContentLength)
		}
		if req.GetBody != nil {
			rewinds = 1
		}
		status = C.x402go_body_reader(request, rewinds, C.uintptr_t(handle), length, &e)
	}
	if status != C.X402_OK {
		return takeError(status, e)
	}
	return nil
}

func (c *Client) answer(req *http.Request, from *C.x402_response) *http.Response {
	ctx := req.Context()
	status := int(C.x402_response_status(from))
	header := make(http.Header)
	for i, count := C.size_t(0), C.x402_response_header_count(from); i < count; i++ {
		var name, value *C.char
		var length C.size_t
		if C.x402_response_header_at(from, i, &name, &value, &length, nil) == C.X402_OK {
			header.Add(C.GoString(name), C.GoStringN(value, C.int(length)))
		}
	}
	response := &http.Response{StatusCode: status, Status: strconv.Itoa(status) + " " + http.StatusText(status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header, ContentLength: -1}
	if length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64); err == nil && length >= 0 {
		response.ContentLength = length
	}
	if coding := header.Values("Transfer-Encoding"); len(coding) > 0 {
		response.TransferEncoding = coding
		response.ContentLength = -1
		header.Del("Transfer-Encoding")
	}
	response.Request = req
	if payment := copyPayment(C.x402_response_payment(from)); payment != nil {
		response.Request = req.WithContext(context.WithValue(ctx, paymentKey, payment))
	}
	if at := C.GoString(C.x402_response_url(from)); at != "" {
		if url, err := req.URL.Parse(at); err == nil && url.String() != req.URL.String() {
			moved := *response.Request // max_redirects was set for this request: the URL that answered
			moved.URL = url
			response.Request = &moved
		}
	}
	b := &body{client: c, ctx: ctx, response: from}
	runtime.SetFinalizer(b, func(b *body) { b.Close() })
	response.Body = b
	return response
}

// body pulls the answer's bytes through the queue, into the reader's own buffer.
type body struct {
	client   *Client
	ctx      context.Context
	reading  sync.Mutex
	mu       sync.Mutex
	response *C.x402_response
	closed   bool
	end      error
}

func (b *body) Read(to []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.end != nil || len(to) == 0 {
		return 0, b.end
	}
	var pin runtime.Pinner // the library keeps the address until the event is taken
	defer pin.Unpin()
	pin.Pin(&to[0])
	out := b.client.queue.do(b.ctx, func() {}, func(token C.uint64_t, e **C.x402_error) C.x402_status {
		b.mu.Lock()
		defer b.mu.Unlock()
		return C.x402_queue_read(b.client.queue.queue, b.response, (*C.uint8_t)(unsafe.Pointer(&to[0])),
			C.size_t(len(to)), token, e)
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case out.err != nil && b.closed:
		b.end = http.ErrBodyReadAfterClose
	case out.err != nil:
		b.end = out.err
	case out.n == 0:
		b.end = io.EOF
	}
	return out.n, b.end
}

// Close frees the response; a Read under way ends. A second Close is nothing.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		C.x402_response_free(b.response)
		runtime.SetFinalizer(b, nil)
	}
	return nil
}
