package x402

/*
#include <x402.h>
*/
import "C"

import (
	"encoding/json"
	"time"
)

// Ledger is what was promised and what became of it. Any goroutine; give one to as many clients as share a budget.
type Ledger struct {
	ledger *C.x402_ledger
}

// Total is what counts by now in one scope and unit.
type Total struct {
	Scope  string `json:"scope"` // "all", "host" or "payee"
	Key    string `json:"key"`   // the host or payee
	Unit   string `json:"unit"`  // the asset
	Amount string `json:"amount"`
	USD    string `json:"usd"` // where the asset is a known dollar asset
}

// Entry is one payment, written before it is signed.
type Entry struct {
	ID          uint64
	State       string // "open", "unknown", "paid", "released" or "abandoned"; see x402_ledger
	InFlight    bool   // a call is at it
	At          time.Time
	Host        string
	Payee       string
	Unit        string // the asset
	Amount      string // atomic units that were signed
	Counted     string // of which so many count
	USD         string // where the asset is a known dollar asset
	Payer       string
	ValidBefore time.Time // it cannot settle later
	Named       bool      // the request had a purchase_key
	TurnedDown  bool      // the server refused it
	Transaction string
	BrokeOff    bool // paid, and the answer was not whole
}

// OpenLedger opens the ledger in a file, or makes one; "" keeps it in memory.
func OpenLedger(path string) (*Ledger, error) {
	l := new(Ledger)
	err := withTexts([]string{path}, func(at []*C.char, e **C.x402_error) C.x402_status {
		return C.x402_ledger_open(orNull(path, at[0]), &l.ledger, e)
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Close frees the ledger; clients that were given it keep it until they are closed. A second Close is nothing.
func (l *Ledger) Close() error {
	C.x402_ledger_free(l.ledger)
	return nil
}

// Totals is what counts by now.
func (l *Ledger) Totals() (totals []Total, err error) {
	return totals, list(&totals, func(json **C.char, e **C.x402_error) C.x402_status {
		return C.x402_ledger_totals_json(l.ledger, json, e)
	})
}

// Entries are those after an id, oldest first: 0 for the first page, the last ID of a page for the next. At most `limit`
// of them, and at most 10,000. A ledger in memory keeps only those that can be presented again or abandoned.
func (l *Ledger) Entries(after uint64, limit int) ([]Entry, error) {
	return entries(func(json **C.char, e **C.x402_error) C.x402_status {
		return C.x402_ledger_entries_json(l.ledger, C.uint64_t(after), C.size_t(max(limit, 0)), json, e)
	})
}

// Unsettled is Entries of those alone whose outcome is open, and of paid ones whose answer broke off: what an operator
// looks at.
func (l *Ledger) Unsettled(after uint64, limit int) ([]Entry, error) {
	return entries(func(json **C.char, e **C.x402_error) C.x402_status {
		return C.x402_ledger_unsettled_json(l.ledger, C.uint64_t(after), C.size_t(max(limit, 0)), json, e)
	})
}

// Abandon gives up an unsettled entry: it counts no more, and its purchase may be signed anew. If it settles after all,
// the purchase is paid twice: see x402_ledger_abandon for when that is safe.
func (l *Ledger) Abandon(entry uint64) error {
	var e *C.x402_error
	if status := C.x402_ledger_abandon(l.ledger, C.uint64_t(entry), &e); status != C.X402_OK {
		return takeError(status, e)
	}
	return nil
}

func list(to any, ask func(json **C.char, e **C.x402_error) C.x402_status) error {
	var e *C.x402_error
	var text *C.char
	if status := ask(&text, &e); status != C.X402_OK {
		return takeError(status, e)
	}
	defer C.x402_string_free(text)
	return json.Unmarshal([]byte(C.GoString(text)), to)
}

func entries(ask func(json **C.char, e **C.x402_error) C.x402_status) ([]Entry, error) {
	var rows []struct {
		ID           uint64  `json:"id"`
		State        string  `json:"state"`
		InFlight     bool    `json:"in_flight"`
		AtS          int64   `json:"at_s"`
		Host         string  `json:"host"`
		Payee        string  `json:"payee"`
		Unit         string  `json:"unit"`
		Amount       string  `json:"amount"`
		Counted      string  `json:"counted"`
		USD          *string `json:"usd"`
		Payer        string  `json:"payer"`
		ValidBeforeS uint64  `json:"valid_before_s"`
		Named        bool    `json:"named"`
		TurnedDown   bool    `json:"turned_down"`
		Transaction  string  `json:"transaction"`
		BrokeOff     bool    `json:"broke_off"`
	}
	if err := list(&rows, ask); err != nil {
		return nil, err
	}
	all := make([]Entry, len(rows))
	for i, row := range rows {
		all[i] = Entry{ID: row.ID, State: row.State, InFlight: row.InFlight, At: time.Unix(row.AtS, 0), Host: row.Host,
			Payee: row.Payee, Unit: row.Unit, Amount: row.Amount, Counted: row.Counted, Payer: row.Payer,
			ValidBefore: time.Unix(int64(row.ValidBeforeS), 0), Named: row.Named, TurnedDown: row.TurnedDown,
			Transaction: row.Transaction, BrokeOff: row.BrokeOff}
		if row.USD != nil {
			all[i].USD = *row.USD
		}
	}
	return all, nil
}
