package x402

/*
#include <x402.h>

x402_status x402go_body_reader(x402_request *request, int rewinds, uintptr_t handle, uint64_t length, x402_error **error);
x402_status x402go_progress(x402_request *request, uintptr_t handle, x402_error **error);
*/
import "C"

import (
	"context"
	"io"
	"net/http"
	"runtime/cgo"
	"strconv"
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
	streamedKey
	progressKey
)

// WithBodyFile gives a request its body from a file, through its context: never copied, opened again for the paid
// replay, and known again by its content when the request is repeated. The request's own Body must be nil.
func WithBodyFile(ctx context.Context, path string) context.Context {
	return context.WithValue(ctx, fileKey, path)
}

// WithStreamedBody has a request's body streamed, and GetBody called for the paid replay, also where it is short enough to
// be read into memory: the library keeps no copy, and knows a repeat of the request by its purchase_key alone.
func WithStreamedBody(ctx context.Context) context.Context {
	return context.WithValue(ctx, streamedKey, true)
}

// WithProgress has `report` told how far a request has come, upload and download, on the goroutine of the call or on a
// thread of the library. An error stops the call, and is the Error's cause.
func WithProgress(ctx context.Context, report func(Progress) error) context.Context {
	return context.WithValue(ctx, progressKey, report)
}

// WithSetting gives a request a setting of its own, such as "purchase_key", through its context.
func WithSetting(ctx context.Context, key, value string) context.Context {
	earlier, _ := ctx.Value(settingsKey).([][2]string)
	return context.WithValue(ctx, settingsKey, append(earlier[:len(earlier):len(earlier)], [2]string{key, value}))
}

// call is a request as the library has it, with what its callbacks use.
type call struct {
	request  *C.x402_request
	from     *source
	reads    cgo.Handle // 0 or that of from
	progress *progress
	tells    cgo.Handle // 0 or that of progress
	inMemory bool
}

func newCall(req *http.Request) (*call, error) {
	c := &call{from: &source{body: req.Body, again: req.GetBody}}
	err := c.setHead(req)
	if err == nil {
		err = c.setBody(req)
	}
	if report, is := req.Context().Value(progressKey).(func(Progress) error); is && err == nil {
		err = c.setProgress(report)
	}
	if err != nil {
		c.free()
		return nil, err
	}
	return c, nil
}

// free is for when no callback runs any more, but for those that the library left to themselves.
func (c *call) free() {
	c.sent()
	if c.tells != 0 {
		c.tells.Delete()
		c.tells = 0
	}
	C.x402_request_free(c.request)
}

// sent lets go of what only sending needs.
func (c *call) sent() {
	if c.reads != 0 {
		c.reads.Delete()
		c.reads = 0
	}
	if c.inMemory {
		C.x402_request_body_bytes(c.request, nil, 0, nil)
		c.inMemory = false
	}
}

// explain gives a failure of a callback's as the cause.
func (c *call) explain(err error) error {
	failure, is := err.(*Error)
	if !is || failure.Cause != nil {
		return err
	}
	switch failure.Status {
	case C.X402_ERROR_BODY_CALLBACK:
		failure.Cause = c.from.failure()
	case C.X402_ERROR_CALLBACK:
		failure.Cause = c.progress.failure()
	}
	return err
}

func (c *call) setHead(req *http.Request) error {
	url := *req.URL
	url.User, url.Fragment, url.RawFragment = nil, "", "" // http.Client makes a header of the user
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	err := withTexts([]string{method, url.String()}, func(at []*C.char, e **C.x402_error) C.x402_status {
		return C.x402_request_new(at[0], at[1], &c.request, e)
	})
	if err != nil {
		return err
	}
	if req.Host != "" && req.Host != req.URL.Host {
		if err := c.header("Host", req.Host); err != nil {
			return err
		}
	}
	for name, values := range req.Header {
		if name == "Host" || name == "Content-Length" || name == "Transfer-Encoding" {
			continue // net/http leaves these out too: they are Host and ContentLength of the request
		}
		for _, value := range values {
			if err := c.header(name, value); err != nil {
				return err
			}
		}
	}
	own, _ := req.Context().Value(settingsKey).([][2]string)
	for _, setting := range own {
		if err := c.set(setting[0], setting[1]); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) header(name, value string) error {
	return withTexts([]string{name, value}, func(at []*C.char, e **C.x402_error) C.x402_status {
		return C.x402_request_header(c.request, at[0], at[1], e)
	})
}

func (c *call) set(key, value string) error {
	return withTexts([]string{key, value}, func(at []*C.char, e **C.x402_error) C.x402_status {
		return C.x402_request_set(c.request, at[0], at[1], e)
	})
}

func (c *call) setBody(req *http.Request) error {
	if req.Body == nil || req.Body == http.NoBody {
		path, is := req.Context().Value(fileKey).(string)
		if !is {
			return nil
		}
		return withTexts([]string{path}, func(at []*C.char, e **C.x402_error) C.x402_status {
			return C.x402_request_body_file(c.request, at[0], e)
		})
	}
	streamed, _ := req.Context().Value(streamedKey).(bool)
	if !streamed && req.GetBody != nil && req.ContentLength > 0 && req.ContentLength <= memoryBodyBytesMax {
		return c.setBytes(req.Body, req.ContentLength)
	}
	length, rewinds := C.uint64_t(C.X402_LENGTH_UNKNOWN), C.int(0)
	if req.ContentLength > 0 {
		length = C.uint64_t(req.ContentLength)
	}
	if req.GetBody != nil {
		rewinds = 1
	}
	c.reads = cgo.NewHandle(c.from)
	var e *C.x402_error
	if status := C.x402go_body_reader(c.request, rewinds, C.uintptr_t(c.reads), length, &e); status != C.X402_OK {
		return takeError(status, e)
	}
	return nil
}

func (c *call) setBytes(body io.Reader, length int64) error {
	data, err := io.ReadAll(io.LimitReader(body, length+1))
	if err != nil {
		return err
	}
	if int64(len(data)) != length {
		return mistake(C.X402_ERROR_BODY_LENGTH,
			"the request body has not the length of ContentLength, "+strconv.FormatInt(length, 10))
	}
	var e *C.x402_error
	status := C.x402_request_body_bytes(c.request, (*C.uint8_t)(unsafe.Pointer(&data[0])), C.size_t(len(data)), &e)
	if status != C.X402_OK {
		return takeError(status, e)
	}
	c.inMemory = true
	return nil
}

func (c *call) setProgress(report func(Progress) error) error {
	c.progress = &progress{report: report}
	c.tells = cgo.NewHandle(c.progress)
	var e *C.x402_error
	if status := C.x402go_progress(c.request, C.uintptr_t(c.tells), &e); status != C.X402_OK {
		return takeError(status, e)
	}
	return nil
}
