package x402

/*
#include <x402.h>

static x402_status take(x402_queue *queue, x402_event *event)
{
    event->struct_size = sizeof *event;
    return x402_queue_next(queue, event);
}
*/
import "C"

import (
	"os"
	"sync"
	"syscall"
)

// queue waits for all operations that were given to it in one goroutine, on the library's descriptor in Go's own poller:
// calls under way hold goroutines and no threads of Go.
type queue struct {
	queue   *C.x402_queue
	file    *os.File
	ended   chan struct{} // closed when the waiting goroutine is gone
	room    chan struct{} // a token when events were taken, for who found the queue full
	mu      sync.Mutex
	last    uint64
	closed  bool
	pending map[uint64]waiter
}

// waiter is who gets an event, and how to end what the operation may wait for.
type waiter struct {
	done  chan event
	abort func()
}

func newQueue(client *C.x402_client) (*queue, error) {
	var e *C.x402_error
	var made *C.x402_queue
	if status := C.x402_queue_new(client, &made, &e); status != C.X402_OK {
		return nil, takeError(status, e)
	}
	// A descriptor of our own: os.File closes what it has, and the library's must stay.
	fd, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(C.x402_queue_fd(made)), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		C.x402_queue_free(made)
		return nil, os.NewSyscallError("fcntl", errno)
	}
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		syscall.Close(int(fd))
		C.x402_queue_free(made)
		return nil, os.NewSyscallError("fcntl", err)
	}
	q := &queue{queue: made, file: os.NewFile(fd, "x402 queue"), ended: make(chan struct{}),
		room: make(chan struct{}, 1), pending: make(map[uint64]waiter)}
	conn, err := q.file.SyscallConn()
	if err != nil {
		q.file.Close()
		C.x402_queue_free(made)
		return nil, err
	}
	go func() {
		defer close(q.ended)
		// Ends when the file is closed. The bytes of the descriptor are never read, only waited for.
		_ = conn.Read(func(uintptr) bool {
			q.drain()
			return false
		})
	}()
	return q, nil
}

func (q *queue) drain() {
	var from C.x402_event
	for C.take(q.queue, &from) == C.X402_OK {
		out := event{response: from.response, n: int(from.len)}
		if from.status != C.X402_OK {
			out.err = takeOutcome(from.status, from.error)
		}
		q.mu.Lock()
		to := q.pending[uint64(from.token)]
		delete(q.pending, uint64(from.token))
		q.mu.Unlock()
		to.done <- out
	}
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.room <- struct{}{}:
	default:
	}
}

// do submits an operation and waits for its event, which always comes: a context that ends cancels the operation, and
// what it came to is told all the same.
func (q *queue) do(op *operation) event {
	done := make(chan event, 1)
	token, err := q.submit(op, done)
	if err != nil {
		return event{err: err}
	}
	select {
	case out := <-done:
		return out
	case <-op.ctx.Done():
	}
	q.mu.Lock()
	if !q.closed {
		C.x402_queue_cancel(q.queue, C.uint64_t(token))
	}
	q.mu.Unlock()
	op.abort()
	return <-done
}

func (q *queue) submit(op *operation, done chan event) (uint64, error) {
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return 0, ErrClosed
		}
		q.last++
		token := q.last
		q.pending[token] = waiter{done, op.abort}
		var e *C.x402_error
		status := op.submit(q.queue, C.uint64_t(token), &e)
		if status != C.X402_OK {
			delete(q.pending, token)
		}
		q.mu.Unlock()
		if status == C.X402_OK {
			return token, nil
		}
		failure := takeError(status, e)
		if status != C.X402_AGAIN {
			return 0, failure
		}
		select { // full: nothing was sent, and a place comes free when events are taken
		case <-q.room:
			defer q.signal() // there may be room for the next as well
		case <-q.ended:
			return 0, ErrClosed
		case <-op.ctx.Done():
			return 0, failure
		}
	}
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	var aborts []func()
	for token, to := range q.pending {
		C.x402_queue_cancel(q.queue, C.uint64_t(token))
		aborts = append(aborts, to.abort)
	}
	q.mu.Unlock()
	for _, abort := range aborts { // else a callback that waits would hold up the end
		abort()
	}
	q.file.Close()
	<-q.ended
	C.x402_queue_free(q.queue)
	q.mu.Lock()
	defer q.mu.Unlock()
	for token, to := range q.pending {
		delete(q.pending, token)
		to.done <- event{err: &Error{Status: C.X402_ERROR_CANCELLED, Name: "X402_ERROR_CANCELLED", Money: MoneyUnknown,
			Message: "the client was closed during the call", Retry: "same-bytes", Cause: ErrClosed}}
	}
}
