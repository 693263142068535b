package x402

/*
#include <stdint.h>
#include <x402.h>
*/
import "C"

import (
	"fmt"
	"log/slog"
	"runtime/cgo"
	"unsafe"
)

// What the library calls, on the thread of a call or on one of its own. No panic may cross its frames, so each function
// here ends in a value; and one that comes after its handle was deleted, because the library had to leave it to itself,
// is told to stop.

// given is what a handle stands for, or false after it was deleted.
func given[T any](handle C.uintptr_t) (value T, is bool) {
	defer func() {
		if recover() != nil {
			is = false
		}
	}()
	value, is = cgo.Handle(handle).Value().(T)
	return value, is
}

// caught turns a panic of the caller's function into its error.
func caught(what string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s panicked: %v", what, p)
	}
}

// notes is where a client says what has no other way out. Set before the client is used.
type notes struct {
	log func(slog.Level, string)
}

func (n *notes) failed(what string, err error) {
	if n.log != nil {
		defer func() { _ = recover() }()
		n.log(slog.LevelError, what+": "+err.Error())
	}
}

//export x402GoRead
func x402GoRead(handle C.uintptr_t, buffer *C.uint8_t, size C.size_t, length *C.size_t) C.int32_t {
	s, is := given[*source](handle)
	if !is {
		return stopped
	}
	n, err := s.read(unsafe.Slice((*byte)(unsafe.Pointer(buffer)), int(size)))
	if err != nil {
		return s.fail(err)
	}
	*length = C.size_t(n)
	return 0
}

//export x402GoRewind
func x402GoRewind(handle C.uintptr_t) C.int32_t {
	s, is := given[*source](handle)
	if !is {
		return stopped
	}
	if err := s.rewind(); err != nil {
		return s.fail(err)
	}
	return 0
}

//export x402GoProgress
func x402GoProgress(handle C.uintptr_t, sent, sendTotal, received, receiveTotal C.uint64_t) C.int32_t {
	p, is := given[*progress](handle)
	if !is {
		return stopped
	}
	length := func(n C.uint64_t) int64 {
		if n == C.X402_LENGTH_UNKNOWN {
			return -1
		}
		return int64(n)
	}
	return p.tell(Progress{Sent: int64(sent), SendTotal: length(sendTotal),
		Received: int64(received), ReceiveTotal: length(receiveTotal)})
}

// approver is a caller's approve function.
type approver struct {
	approve func(offerJSON string) bool
	notes   *notes
}

func (a *approver) ask(offer string) (yes bool, err error) {
	defer caught("the approve function", &err)
	return a.approve(offer), nil
}

//export x402GoApprove
func x402GoApprove(handle C.uintptr_t, offer *C.char, length C.size_t) C.int32_t {
	a, is := given[*approver](handle)
	if !is {
		return stopped
	}
	yes, err := a.ask(C.GoStringN(offer, C.int(length)))
	switch {
	case err != nil:
		a.notes.failed("a payment is refused", err)
		return stopped
	case yes:
		return 0
	}
	return 1
}

//export x402GoSign
func x402GoSign(handle C.uintptr_t, kind *C.char, data *C.uint8_t, size C.size_t,
	signature *C.uint8_t, room C.size_t, length *C.size_t) C.int32_t {
	s, is := given[*signer](handle)
	if !is {
		return stopped
	}
	made, err := s.ask(C.GoString(kind), C.GoBytes(unsafe.Pointer(data), C.int(size)))
	if err == nil && len(made) > int(room) {
		err = fmt.Errorf("the signature has %d bytes; there is room for %d", len(made), int(room))
	}
	if err != nil {
		return s.fail(err)
	}
	*length = C.size_t(copy(unsafe.Slice((*byte)(unsafe.Pointer(signature)), int(room)), made))
	return 0
}

//export x402GoLog
func x402GoLog(handle C.uintptr_t, level C.int32_t, line *C.char, length C.size_t) {
	log, is := given[func(slog.Level, string)](handle)
	if !is {
		return
	}
	defer func() { _ = recover() }()
	log(slogLevel(int32(level)), C.GoStringN(line, C.int(length)))
}

// slogLevel: 1 error, 2 warning, 3 information, 4 detail.
func slogLevel(level int32) slog.Level {
	switch {
	case level <= 1:
		return slog.LevelError
	case level == 2:
		return slog.LevelWarn
	case level == 3:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
