package x402_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"

	x402 "github.com/libx402/libx402/bindings/go"
)

// secp256k1 with big numbers, for a key that stays outside of the library. For tests: it leaks its key by time.
var (
	curveP, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f", 16)
	curveN, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	curveX, _ = new(big.Int).SetString("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", 16)
	curveY, _ = new(big.Int).SetString("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8", 16)
)

func slope(above, below *big.Int) *big.Int {
	out := new(big.Int).ModInverse(new(big.Int).Mod(below, curveP), curveP)
	return out.Mul(out, above).Mod(out, curveP)
}

func add(x1, y1, x2, y2 *big.Int) (x, y *big.Int) {
	var s *big.Int
	if x1.Cmp(x2) == 0 {
		s = slope(new(big.Int).Mul(big.NewInt(3), new(big.Int).Mul(x1, x1)), new(big.Int).Lsh(y1, 1))
	} else {
		s = slope(new(big.Int).Sub(y2, y1), new(big.Int).Sub(x2, x1))
	}
	x = new(big.Int).Mul(s, s)
	x.Sub(x, x1).Sub(x, x2).Mod(x, curveP)
	y = new(big.Int).Sub(x1, x)
	y.Mul(y, s).Sub(y, y1).Mod(y, curveP)
	return x, y
}

// signDigest gives r and s; which of the two points was meant is the library's to find.
func signDigest(key string, digest []byte) []byte {
	d, _ := new(big.Int).SetString(strings.TrimPrefix(key, "0x"), 16)
	k := new(big.Int).SetBytes(digest)
	k.Add(k, d).Mod(k, curveN)
	x, y := curveX, curveY
	for i := k.BitLen() - 2; i >= 0; i-- {
		x, y = add(x, y, x, y)
		if k.Bit(i) == 1 {
			x, y = add(x, y, curveX, curveY)
		}
	}
	r := new(big.Int).Mod(x, curveN)
	s := new(big.Int).Mul(r, d)
	s.Add(s, new(big.Int).SetBytes(digest)).Mul(s, new(big.Int).ModInverse(k, curveN)).Mod(s, curveN)
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func TestSignersPay(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	seed := solanaSeed()
	var shown []string
	evm := func(kind string, data []byte) ([]byte, error) {
		shown = append(shown, kind)
		if kind == "evm-typed-data" {
			var message struct{ PrimaryType string }
			if err := json.Unmarshal(data, &message); err != nil || message.PrimaryType != "TransferWithAuthorization" {
				return nil, fmt.Errorf("%s: %v", data, err)
			}
			return nil, x402.ErrOtherKind
		}
		return signDigest(testKey, data), nil
	}
	for name, option := range map[string]x402.Option{
		"generic": x402.Signer("eip155", testAddress, evm),
		"digest": x402.EVMDigestSigner(testAddress, func(digest []byte) ([]byte, error) {
			return signDigest(testKey, digest), nil
		}),
		"solana": x402.SolanaSigner(solanaAddress, func(message []byte) ([]byte, error) {
			return ed25519.Sign(seed, message), nil
		}),
	} {
		client, err := x402.New(option)
		if err != nil {
			t.Fatal(name, err)
		}
		path := "/weather"
		if name == "solana" {
			path = "/weather-solana"
		}
		response, text := get(t, client.HTTP(), url+path)
		payment := x402.PaymentOf(response)
		if text != "sunny" || payment == nil || payment.Money != x402.MoneyPaid {
			t.Error(name, response.Status, payment)
		}
		client.Close()
	}
	if strings.Join(shown, " ") != "evm-typed-data evm-digest" {
		t.Error(shown)
	}
	if alive := x402.LiveHandles(); alive != 0 {
		t.Errorf("%d handles are left", alive)
	}
}

// A signer or an approve function that fails or panics refuses the payment, and says so in the log.
func TestFailingCallbacksRefuse(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	for want, option := range map[string]x402.Option{
		"the HSM is off": x402.EVMSigner(testAddress, func(data []byte) ([]byte, error) {
			if !bytes.Contains(data, []byte("TransferWithAuthorization")) {
				return nil, nil
			}
			return nil, errors.New("the HSM is off")
		}),
		"the HSM burns": x402.EVMDigestSigner(testAddress, func([]byte) ([]byte, error) { panic("the HSM burns") }),
		"5000 bytes":    x402.EVMSigner(testAddress, func([]byte) ([]byte, error) { return make([]byte, 5000), nil }),
		"approve": x402.Approve(func(offer string) bool {
			panic(offer[:1])
		}),
	} {
		var log lines
		options := []x402.Option{option, x402.Log(log.add)}
		if want == "approve" {
			options = append(options, x402.EVMKey(testKey))
		}
		client, err := x402.New(options...)
		if err != nil {
			t.Fatal(err)
		}
		response, _ := get(t, client.HTTP(), url+"/weather")
		payment := x402.PaymentOf(response)
		if response.StatusCode != 402 || payment == nil || payment.Refusal == "" || payment.Money == x402.MoneyPaid {
			t.Error(want, response.Status, payment)
		}
		client.Close()
		if !log.has(slog.LevelError, want) {
			t.Errorf("%q is not in %q", want, log.all)
		}
	}
	if seen := state(t, url); seen.PaymentsDistinct != 0 {
		t.Error(seen)
	}
}

type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(level slog.Level, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, level.String()+" "+line)
}

func (l *lines) has(level slog.Level, text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if strings.HasPrefix(line, level.String()) && strings.Contains(line, text) {
			return true
		}
	}
	return false
}

func TestLogger(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	var text bytes.Buffer
	handler := slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug})
	client := newClient(t, x402.Logger(slog.New(handler)))
	get(t, client.HTTP(), url+"/weather")
	said := text.String()
	if !strings.Contains(said, "level=INFO") || !strings.Contains(said, "/weather answered 200 to the payment") ||
		strings.Contains(said, testKey[2:]) {
		t.Error(said)
	}
}
