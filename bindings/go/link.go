//go:build !x402_static

package x402

// #cgo pkg-config: x402
import "C"
