package x402_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	x402 "github.com/libx402/libx402/bindings/go"
)

// Two clients share one budget; what is unsettled is seen, given up, and counts no more.
func TestSharedLedger(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	ledger, err := x402.OpenLedger(filepath.Join(t.TempDir(), "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	budget := x402.Budget("all", 0, "0.02 USD")
	one, err := x402.New(x402.EVMKey(testKey), budget, x402.SharedLedger(ledger))
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	two, err := x402.New(x402.EVMKey(testKey), budget, x402.SharedLedger(ledger))
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	begun := time.Now().Add(-2 * time.Second)
	get(t, one.HTTP(), url+"/weather")
	get(t, two.HTTP(), url+"/no-receipt")
	response, _ := get(t, one.HTTP(), url+"/weather")
	if payment := x402.PaymentOf(response); response.StatusCode != 402 || payment.Money != x402.MoneyRefused {
		t.Fatal("the budget holds over both", response.Status, payment)
	}
	entries, err := two.Ledger().Entries(0, 10)
	if err != nil || len(entries) != 2 || entries[0].State != "paid" || entries[1].State != "unknown" ||
		entries[0].Transaction == "" || entries[0].At.Before(begun) || entries[0].ValidBefore.Before(time.Now()) ||
		entries[0].USD != "0.01" || entries[1].Counted != "10000" {
		t.Fatal(entries, err)
	}
	if page, err := ledger.Entries(entries[0].ID, 10); err != nil || len(page) != 1 || page[0] != entries[1] {
		t.Fatal(page, err)
	}
	open, err := ledger.Unsettled(0, 10)
	if err != nil || len(open) != 1 || open[0].ID != entries[1].ID {
		t.Fatal(open, err)
	}
	if err := ledger.Abandon(open[0].ID); err != nil {
		t.Fatal(err)
	}
	var failure *x402.Error
	if err := ledger.Abandon(open[0].ID); !errors.As(err, &failure) || failure.Name != "X402_ERROR_ARGUMENT" {
		t.Fatal(err)
	}
	totals, err := ledger.Totals()
	if err != nil || len(totals) == 0 {
		t.Fatal(totals, err)
	}
	for _, total := range totals {
		if total.Amount != "10000" || total.USD != "0.01" {
			t.Error(total)
		}
	}
	if response, _ := get(t, two.HTTP(), url+"/weather"); response.StatusCode != 200 {
		t.Error("what was given up is free again", x402.PaymentOf(response))
	}
}

func TestAClosedLedgerIsRefused(t *testing.T) {
	ledger, err := x402.OpenLedger("")
	if err != nil {
		t.Fatal(err)
	}
	ledger.Close()
	ledger.Close()
	var failure *x402.Error
	if _, err := ledger.Totals(); !errors.As(err, &failure) || failure.Name != "X402_ERROR_HANDLE" {
		t.Error(err)
	}
	if client, err := x402.New(x402.SharedLedger(ledger)); client != nil || !errors.As(err, &failure) {
		t.Error(client, err)
	}
	if alive := x402.LiveHandles(); alive != 0 {
		t.Errorf("%d handles are left", alive)
	}
}
