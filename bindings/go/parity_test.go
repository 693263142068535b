package x402_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Functions of the header that are not called here, each with its reason.
var without = map[string]string{
	"x402_error_status":      "the call that failed gave it already",
	"x402_client_get":        "http.Client.Get, by x402_client_send",
	"x402_client_post":       "http.Client.Post, by x402_client_send",
	"x402_client_pay":        "Pay says the same and more by x402_client_pay_request: which purchase it is",
	"x402_response_read_all": "io.ReadAll, by x402_response_read",
	"x402_response_each":     "io.Copy, by x402_response_read",
	"x402_response_is_whole": "a goroutine may wait for the next bytes, and holds no thread while it does",
	"x402_response_header":   "http.Header.Get, by x402_response_header_at",
	"x402_response_money":    "that of the response's payment, and none where there is no payment",
	"x402_queue_wait":        "it holds a thread; Go's poller waits for x402_queue_fd",
}

func TestParity(t *testing.T) {
	header, err := os.ReadFile("../../include/x402.h")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("*.go")
	var code strings.Builder
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(text)
		}
	}
	functions := regexp.MustCompile(`(?m)^X402_API [^(]*?(x402_\w+)\(`).FindAllStringSubmatch(string(header), -1)
	if len(functions) < 50 {
		t.Fatal("the header was not read")
	}
	known := map[string]bool{}
	for _, function := range functions {
		name := function[1]
		known[name] = true
		called := regexp.MustCompile(`\b` + name + `\(`).MatchString(code.String())
		if called && without[name] != "" {
			t.Error(name, "is listed as left out, and is called")
		}
		if !called && without[name] == "" {
			t.Error(name, "is not reached")
		}
	}
	for name := range without {
		if !known[name] {
			t.Error(name, "is listed, and is no function")
		}
	}
}
