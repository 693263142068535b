package x402

/*
#include <x402.h>
*/
import "C"

import (
	"context"
	"net/http"
)

// Quote asks what a request would cost, as JSON, and never pays: each offer with its price, and with the verdict of each
// rule. The body is sent if need be, and closed. It runs on the caller's own thread.
func (c *Client) Quote(req *http.Request) (string, error) {
	made, err := c.prepare(req)
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return "", err
	}
	defer made.free()
	defer made.from.close()
	var json *C.char
	err = c.alone(req.Context(), made, func(e **C.x402_error) C.x402_status {
		return C.x402_client_quote_json(c.client, made.request, &json, e)
	}, takeError)
	if err != nil {
		return "", err
	}
	defer C.x402_string_free(json)
	return C.GoString(json), nil
}

// alone makes a call that the queue does not have, on the caller's own thread.
func (c *Client) alone(ctx context.Context, made *call, run func(**C.x402_error) C.x402_status,
	failed func(C.x402_status, *C.x402_error) *Error) error {
	op := &operation{ctx: ctx, request: made.request, abort: made.from.close}
	if !c.enterAlone(op) {
		return ErrClosed
	}
	defer c.leave(op)
	defer context.AfterFunc(ctx, op.stop)()
	var e *C.x402_error
	if status := run(&e); status != C.X402_OK {
		return made.explain(c.because(ctx, event{err: failed(status, e)}).err)
	}
	return nil
}
