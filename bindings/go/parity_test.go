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
	"x402_abi_version":                "the linker checks the soname",
	"x402_error_status":               "the call gave it already",
	"x402_payment_header_name":        "of a caller's own HTTP client: not offered yet",
	"x402_payment_header_value":       "of a caller's own HTTP client: not offered yet",
	"x402_payment_settle":             "of a caller's own HTTP client: not offered yet",
	"x402_payment_free":               "of a caller's own HTTP client: not offered yet",
	"x402_client_pay":                 "of a caller's own HTTP client: not offered yet",
	"x402_client_pay_request":         "of a caller's own HTTP client: not offered yet",
	"x402_client_get":                 "http.Client has it",
	"x402_client_post":                "http.Client has it",
	"x402_client_send":                "calls go through the queue",
	"x402_response_read":              "reads go through the queue",
	"x402_response_read_all":          "io.ReadAll",
	"x402_response_each":              "io.Copy",
	"x402_response_header":            "http.Header",
	"x402_response_money":             "PaymentOf has it",
	"x402_request_cancel":             "contexts, by x402_queue_cancel",
	"x402_request_progress":           "an io.Reader that counts",
	"x402_queue_wait":                 "the descriptor is waited for",
	"x402_config_log":                 "not offered yet",
	"x402_wallet_add_signer":          "not offered yet",
	"x402_wallet_add_evm_mnemonic":    "not offered yet",
	"x402_wallet_add_solana_mnemonic": "not offered yet",
	"x402_wallet_address":             "not offered yet",
	"x402_ledger_totals_json":         "not offered yet",
	"x402_ledger_entries_json":        "not offered yet",
	"x402_ledger_unsettled_json":      "not offered yet",
	"x402_ledger_abandon":             "not offered yet",
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
