package x402_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The programs that the README shows are run.
func TestWalkthrough(t *testing.T) {
	url := serve(t, "--demo")
	command := exec.Command("go", "run", "./examples/walkthrough", url, t.TempDir())
	command.Env = append(command.Environ(), "EVM_PRIVATE_KEY="+testKey)
	output, err := command.CombinedOutput()
	said := string(output)
	if err != nil {
		t.Fatal(said, err)
	}
	for _, want := range []string{"200 {", "sunny", "\npaid 10000 in 0x", "\rsent 300000 of 300000\nupload: 200 paid",
		"line: {", "error: X402_ERROR_CONNECT money: none retry: ", "over: 200 paid", "total: all  0.04", "entry: 4 paid 127.0.0.1",
		"wallets: [0x7099"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q, but: %s", want, said)
		}
	}
	if seen := state(t, url); seen.PaymentsSettled != 4 || seen.PaymentsDistinct != 4 {
		t.Error(seen)
	}
}
