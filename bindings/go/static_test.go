//go:build x402_static

package x402_test

import (
	"os"
	"strings"
	"testing"
)

// With the tag the archive is in the program, and no shared object is loaded.
func TestIsLinkedStatically(t *testing.T) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(maps), "libx402.so") {
		t.Error("libx402.so is loaded")
	}
}
