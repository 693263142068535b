//go:build x402_static

package x402

// The folder of the archive comes from CGO_LDFLAGS, that of the header from CGO_CFLAGS.

// #cgo LDFLAGS: -l:libx402.a -lgcc_s -lutil -lrt -lpthread -lm -ldl
import "C"
