package x402

/*
#include <stdint.h>
#include <x402.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"io"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// stopped is what a Go callback that failed returns to the library; the Go error travels beside it.
const stopped = -402

// source feeds a request body to the library, on threads of its queue. A panic becomes an error here: it must not
// cross the library's frames.
type source struct {
	mu     sync.Mutex
	body   io.ReadCloser
	again  func() (io.ReadCloser, error) // nil: cannot start over
	closed bool
	err    error
}

func (s *source) read(to []byte) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, fmt.Errorf("the request body's Read panicked: %v", p)
		}
	}()
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
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("GetBody panicked: %v", p)
		}
	}()
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
	return stopped
}

func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

//export x402GoRead
func x402GoRead(handle C.uintptr_t, buffer *C.uint8_t, size C.size_t, length *C.size_t) C.int32_t {
	s := cgo.Handle(handle).Value().(*source)
	n, err := s.read(unsafe.Slice((*byte)(unsafe.Pointer(buffer)), int(size)))
	if err != nil {
		return s.fail(err)
	}
	*length = C.size_t(n)
	return 0
}

//export x402GoRewind
func x402GoRewind(handle C.uintptr_t) C.int32_t {
	s := cgo.Handle(handle).Value().(*source)
	if err := s.rewind(); err != nil {
		return s.fail(err)
	}
	return 0
}

//export x402GoApprove
func x402GoApprove(handle C.uintptr_t, offer *C.char, length C.size_t) (answer C.int32_t) {
	defer func() {
		if recover() != nil {
			answer = stopped
		}
	}()
	approve := cgo.Handle(handle).Value().(func(string) bool)
	if approve(C.GoStringN(offer, C.int(length))) {
		return 0
	}
	return 1
}
