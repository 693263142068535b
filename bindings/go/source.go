package x402

// #include <stdint.h>
import "C"

import (
	"errors"
	"io"
	"sync"
)

// source feeds a request body to the library, on the thread that sends.
type source struct {
	mu     sync.Mutex
	body   io.ReadCloser
	again  func() (io.ReadCloser, error) // nil: cannot start over
	closed bool
	err    error
}

func (s *source) read(to []byte) (n int, err error) {
	defer caught("the request body's Read", &err)
	s.mu.Lock()
	body := s.body
	s.mu.Unlock()
	for n == 0 && err == nil {
		n, err = body.Read(to)
	}
	if n > 0 || err == io.EOF {
		return n, nil // an error that came with bytes comes again without them
	}
	return 0, err
}

func (s *source) rewind() (err error) {
	defer caught("GetBody", &err)
	body, err := s.again()
	if err != nil {
		return err
	}
	s.mu.Lock()
	old, closed := s.body, s.closed
	s.body = body
	s.mu.Unlock()
	if closed {
		body.Close()
		return errors.New("the call was cancelled")
	}
	return old.Close()
}

// close may come while a read is blocked, which it ends if the body is of that kind (a pipe, a connection, a file).
func (s *source) close() {
	s.mu.Lock()
	body, closed := s.body, s.closed
	s.closed = true
	s.mu.Unlock()
	if !closed && body != nil {
		body.Close()
	}
}

func (s *source) fail(err error) C.int32_t {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	return stopValue(err)
}

func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Progress says how far a call has come, in bytes of the bodies; a total that is not known is -1. Sent starts again at 0
// when the body is sent again.
type Progress struct {
	Sent, SendTotal, Received, ReceiveTotal int64
}

// progress tells a caller's function, until that stops the call.
type progress struct {
	report func(Progress) error
	mu     sync.Mutex
	err    error
}

func (p *progress) call(now Progress) (err error) {
	defer caught("the progress function", &err)
	return p.report(now)
}

func (p *progress) tell(now Progress) C.int32_t {
	err := p.call(now)
	if err == nil {
		return 0
	}
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	return stopValue(err)
}

func (p *progress) failure() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
