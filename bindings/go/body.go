package x402

// #include <x402.h>
import "C"

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"sync"
	"unsafe"
)

// body pulls the answer's bytes into the reader's own buffer.
type body struct {
	client  *Client
	ctx     context.Context
	call    *call
	reading sync.Mutex // one Read at a time
	end     error      // its last
	left    int64      // to come, as announced; 0 or less: not known

	mu       sync.Mutex // guards the rest; Close may come at any time
	response *C.x402_response
	underWay bool
	closed   bool
}

func newBody(c *Client, ctx context.Context, made *call, from *C.x402_response, length int64) *body {
	b := &body{client: c, ctx: ctx, call: made, response: from, left: length}
	runtime.SetFinalizer(b, func(b *body) { b.Close() })
	return b
}

func (b *body) Read(to []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.end != nil || len(to) == 0 {
		return 0, b.end
	}
	if !b.begin() {
		b.end = http.ErrBodyReadAfterClose
		return 0, b.end
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	at := (*C.uint8_t)(unsafe.Pointer(&to[0]))
	out := b.client.do(&operation{ctx: b.ctx, request: b.call.request, abort: func() {},
		direct: func() event {
			var n C.size_t
			var e *C.x402_error
			if status := C.x402_response_read(b.response, at, C.size_t(len(to)), &n, &e); status != C.X402_OK {
				return event{err: takeOutcome(status, e)}
			}
			return event{n: int(n)}
		},
		submit: func(queue *C.x402_queue, token C.uint64_t, e **C.x402_error) C.x402_status {
			pin.Pin(&to[0]) // the library keeps the address until the event is taken
			return C.x402_queue_read(queue, b.response, at, C.size_t(len(to)), token, e)
		}})
	switch closed := b.finish(); {
	case out.err != nil && closed:
		b.end = http.ErrBodyReadAfterClose
	case out.err != nil:
		b.end = b.call.explain(out.err)
	case out.n == 0:
		b.end = io.EOF
	case b.left > 0:
		if b.left -= int64(out.n); b.left == 0 { // all of it: no call for the end alone
			b.end = io.EOF
		}
	}
	return out.n, b.end
}

func (b *body) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.underWay = !b.closed
	return b.underWay
}

func (b *body) finish() (closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.underWay = false
	if b.closed {
		b.call.free()
	}
	return b.closed
}

// Close frees the response; a Read under way ends. A second Close is nothing.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	runtime.SetFinalizer(b, nil)
	if b.underWay { // on its own thread, or in the queue: its end frees the call
		C.x402_request_cancel(b.call.request)
		C.x402_response_free(b.response)
		return nil
	}
	C.x402_response_free(b.response)
	b.call.free()
	return nil
}
