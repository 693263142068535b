// Command walkthrough is what one does with libx402 from Go, one part after the other, against the paying test server.
//
//	EVM_PRIVATE_KEY=0x... go run ./examples/walkthrough http://127.0.0.1:4021 FOLDER
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	x402 "github.com/libx402/libx402/bindings/go"
)

func newClient(key, ledgerFile string) (*x402.Client, error) {
	// cut: client
	// A key, a limit, a ledger that outlives the program. Make one client and share it among goroutines.
	client, err := x402.New(x402.EVMKey(key), x402.MaxPerPayment("0.10 USD"),
		x402.Budget("all", 24*time.Hour, "2.00 USD"), x402.LedgerFile(ledgerFile))
	// end of cut
	return client, err
}

func get(client *x402.Client, url string) error {
	// cut: get
	payer := &http.Client{Transport: client} // for any package that takes an *http.Client
	response, err := payer.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, string(text))
	if payment := x402.PaymentOf(response); payment != nil {
		fmt.Println(payment.Money, payment.Amount, "in", payment.Transaction, payment.Refusal)
	}
	// end of cut
	return err
}

func upload(client *x402.Client, url, file string) error {
	// cut: upload
	ctx := x402.WithBodyFile(context.Background(), file)
	ctx = x402.WithSetting(ctx, "purchase_key", "report 2026-11") // bought once, whatever happens
	ctx = x402.WithProgress(ctx, func(now x402.Progress) error {
		fmt.Printf("\rsent %d of %d", now.Sent, now.SendTotal)
		return nil
	})
	request, err := http.NewRequestWithContext(ctx, "POST", url, nil)
	if err != nil {
		return err
	}
	response, err := client.HTTP().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	fmt.Println("\nupload:", response.StatusCode, x402.PaymentOf(response).Money)
	// end of cut
	return nil
}

func stream(client *x402.Client, url string) error {
	// cut: stream
	response, err := client.HTTP().Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() { // each as soon as it came
		fmt.Println("line:", lines.Text())
	}
	// end of cut
	return lines.Err()
}

func failure(client *x402.Client, url string) {
	// cut: errors
	_, err := client.HTTP().Get(url)
	var failure *x402.Error
	if errors.As(err, &failure) {
		fmt.Println("error:", failure.Name, "money:", failure.Money, "retry:", failure.Retry)
	}
	// end of cut
}

func over(client *x402.Client, transport http.RoundTripper, url string) error {
	// cut: over
	// Your own transport sends, with its proxies and traces; the client decides and signs.
	web := &http.Client{Transport: client.Over(transport)}
	response, err := web.Get(url)
	// end of cut
	if err != nil {
		return err
	}
	defer response.Body.Close()
	fmt.Println("over:", response.StatusCode, x402.PaymentOf(response).Money)
	return nil
}

func ledger(file string) error {
	// cut: ledger
	ledger, err := x402.OpenLedger(file)
	if err != nil {
		return err
	}
	defer ledger.Close()
	totals, err := ledger.Totals()
	if err != nil {
		return err
	}
	for _, total := range totals {
		fmt.Println("total:", total.Scope, total.Key, total.USD)
	}
	entries, err := ledger.Entries(0, 100)
	for _, entry := range entries {
		fmt.Println("entry:", entry.ID, entry.State, entry.Host, entry.USD)
	}
	// end of cut
	return err
}

func options(solanaKey, kmsAddress string, kms func(digest []byte) ([]byte, error)) []x402.Option {
	// cut: options
	// A line each: several wallets, preferences, limits, keys that stay elsewhere, your own word on each payment, a log.
	options := []x402.Option{
		x402.EVMMnemonic("test test test test test test test test test test test junk", "", "m/44'/60'/0'/0/1"),
		x402.SolanaKey(solanaKey),
		x402.EVMDigestSigner(kmsAddress, kms),
		x402.Prefer("network", "eip155:8453"),
		x402.Prefer("scheme", "exact"),
		x402.MaxPerPayment("0.05 USD"),
		x402.Approve(func(offerJSON string) bool { return true }),
		x402.Log(func(level slog.Level, line string) { log.Println(level, line) }),
		x402.Set("total_timeout_ms", "60000"),
	}
	// end of cut
	return options
}

func choices() error {
	const solanaKey = "2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSdZd8hbDHTd21as7EAsg7ypityqfsw2pMQKJcVDVcAEsd" // a test's
	kms := func([]byte) ([]byte, error) { return nil, errors.New("no KMS here") }
	client, err := x402.New(options(solanaKey, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", kms)...)
	if err != nil {
		return err
	}
	fmt.Println("wallets:", client.Addresses("eip155"), client.Addresses("solana"))
	return client.Close()
}

func run(base, folder string) error {
	file, accounts := filepath.Join(folder, "report.bin"), filepath.Join(folder, "ledger")
	if err := os.WriteFile(file, make([]byte, 300_000), 0o600); err != nil {
		return err
	}
	client, err := newClient(os.Getenv("EVM_PRIVATE_KEY"), accounts)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := choices(); err != nil {
		return err
	}
	failure(client, "http://127.0.0.1:1/")
	return errors.Join(
		get(client, base+"/weather"),
		upload(client, base+"/upload", file),
		stream(client, base+"/weather"),
		over(client, http.DefaultTransport, base+"/weather"),
		ledger(accounts),
	)
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: EVM_PRIVATE_KEY=0x... walkthrough URL FOLDER")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}
