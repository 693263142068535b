package x402

/*
#include <x402.h>

typedef struct header {
    const char *name, *value;
    size_t len;
} header;

// As many headers as there are, or as there is room for, in one call from Go.
static size_t headers_of(const x402_response *response, size_t from, header *out, size_t room)
{
    size_t count = x402_response_header_count(response), i = 0;
    for (; i < room && from + i < count; i++)
        if (x402_response_header_at(response, from + i, &out[i].name, &out[i].value, &out[i].len, NULL) != X402_OK)
            break;
    return i;
}
*/
import "C"

import (
	"errors"
	"net/http"
	"net/textproto"
	"strconv"
)

// RoundTrip sends a request and pays if the server asks and the rules agree. It follows no redirect: http.Client does,
// and a payment goes only to the origin that asked. The request is not changed, and its body is always closed.
//
// When the context ends, the body is closed and the call ends with an *Error that says where the money is; errors.Is
// finds context.Canceled or context.DeadlineExceeded behind it. A body whose Read goes on after its Close holds it up.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	made, err := c.prepare(req)
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	defer made.from.close()
	out := c.do(&operation{ctx: req.Context(), request: made.request, abort: made.from.close,
		direct: func() event {
			var response *C.x402_response
			var e *C.x402_error
			if status := C.x402_client_send(c.client, made.request, &response, &e); status != C.X402_OK {
				return event{err: takeOutcome(status, e)}
			}
			return event{response: response}
		},
		submit: func(to *C.x402_queue, token C.uint64_t, e **C.x402_error) C.x402_status {
			return C.x402_queue_send(to, made.request, token, e)
		}})
	if out.err != nil {
		made.free()
		return nil, made.explain(out.err)
	}
	made.sent()
	return c.answer(req, made, out.response), nil
}

func (c *Client) prepare(req *http.Request) (*call, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if req.URL == nil {
		return nil, errors.New("x402: the request has no URL")
	}
	if len(req.Trailer) > 0 {
		return nil, errors.New("x402: trailers of a request are not supported")
	}
	return newCall(req)
}

func headerOf(from *C.x402_response) http.Header {
	header := make(http.Header)
	var some [32]C.header
	for at := C.size_t(0); ; {
		count := C.headers_of(from, at, &some[0], C.size_t(len(some)))
		for _, one := range some[:count] {
			name := textproto.CanonicalMIMEHeaderKey(C.GoString(one.name))
			header[name] = append(header[name], C.GoStringN(one.value, C.int(one.len)))
		}
		at += count
		if int(count) < len(some) {
			return header
		}
	}
}

func (c *Client) answer(req *http.Request, made *call, from *C.x402_response) *http.Response {
	status := int(C.x402_response_status(from))
	header := headerOf(from)
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
	response.Request = withPayment(req, copyPayment(C.x402_response_payment(from)))
	if at := C.GoString(C.x402_response_url(from)); at != "" {
		if url, err := req.URL.Parse(at); err == nil && url.String() != req.URL.String() {
			moved := *response.Request // max_redirects was set for this request: the URL that answered
			moved.URL = url
			response.Request = &moved
		}
	}
	response.Body = newBody(c, req.Context(), made, from, response.ContentLength)
	return response
}
