package x402

// #include <x402.h>
import "C"

import (
	"context"
)

// So many operations of a client run on their callers' own threads at a time. That saves the way to a thread of the
// library's and back, a third of what a paid call costs; whatever comes beyond waits in the queue, and holds a goroutine
// and no thread.
const directMax = 4

// OwnThreads is how many calls and reads of a client may run on their callers' own threads at a time: 4 unless said. More
// makes more of them cheaper and holds as many threads; with 0 all wait in the queue.
func OwnThreads(most int) Option {
	return func(s *setup) error {
		s.directMax = most
		return nil
	}
}

// operation is a send or a read: it can be done at once, or be given to the queue.
type operation struct {
	ctx     context.Context
	request *C.x402_request // cancelling it ends the operation that runs directly
	abort   func()          // ends what a callback of it may wait for
	direct  func() event
	submit  func(to *C.x402_queue, token C.uint64_t, e **C.x402_error) C.x402_status
}

// event is what an operation came to.
type event struct {
	response *C.x402_response
	n        int
	err      error
}

// stop ends an operation that runs directly, from any goroutine.
func (op *operation) stop() {
	C.x402_request_cancel(op.request)
	op.abort()
}

func (c *Client) do(op *operation) event {
	runs, err := c.enter(op)
	switch {
	case err != nil:
		return event{err: err}
	case runs:
		defer c.leave(op)
		return c.because(op.ctx, op.run())
	}
	return c.because(op.ctx, c.queue.do(op))
}

// run does it on this thread, until its context ends.
func (op *operation) run() event {
	if op.ctx.Done() != nil {
		defer context.AfterFunc(op.ctx, op.stop)()
	}
	return op.direct()
}

// enter says whether there is room for an operation to run directly; if so, leave follows.
func (c *Client) enter(op *operation) (runs bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false, ErrClosed
	}
	if len(c.direct) >= c.directMax {
		return false, nil
	}
	c.direct[op] = struct{}{}
	c.left.Add(1)
	return true, nil
}

// enterAlone is for what can run in no other way; false if the client is closed.
func (c *Client) enterAlone(op *operation) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.direct[op] = struct{}{}
	c.left.Add(1)
	return true
}

func (c *Client) leave(op *operation) {
	c.mu.Lock()
	delete(c.direct, op)
	c.mu.Unlock()
	c.left.Done()
}

// because names as the cause of a failure what ended the operation from outside: its context, or Close.
func (c *Client) because(ctx context.Context, out event) event {
	failure, is := out.err.(*Error)
	if !is || failure.Cause != nil {
		return out
	}
	if ended := ctx.Err(); ended != nil {
		failure.Cause = context.Cause(ctx)
		if failure.Cause != ended {
			failure.Cause = joined{ended, failure.Cause}
		}
		return out
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		failure.Cause = ErrClosed
	}
	return out
}

// joined is the context's error with the cause it was given.
type joined struct{ err, cause error }

func (j joined) Error() string   { return j.cause.Error() }
func (j joined) Unwrap() []error { return []error{j.err, j.cause} }
