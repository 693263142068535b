package x402_test

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	x402 "github.com/libx402/libx402/bindings/go"
)

const (
	phrase      = "test test test test test test test test test test test junk"
	testAddress = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266" // of testKey, and of the phrase's first account
	// The key pair of the seed 01 02 ... 20.
	solanaKey     = "2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSdZd8hbDHTd21as7EAsg7ypityqfsw2pMQKJcVDVcAEsd"
	solanaAddress = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj"
)

// The Web3 Secret Storage definition's own example.
const keystore = `{"crypto": {"cipher": "aes-128-ctr", "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
 "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46", "kdf": "pbkdf2",
 "kdfparams": {"c": 262144, "dklen": 32, "prf": "hmac-sha256",
  "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
 "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
 "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3}`

func solanaSeed() ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = byte(i + 1)
	}
	return ed25519.NewKeyFromSeed(seed)
}

func TestKeysOfEveryForm(t *testing.T) {
	folder := t.TempDir()
	stored, pair := filepath.Join(folder, "keystore"), filepath.Join(folder, "id.json")
	if err := os.WriteFile(stored, []byte(keystore), 0o600); err != nil {
		t.Fatal(err)
	}
	var numbers []string
	for _, b := range solanaSeed() {
		numbers = append(numbers, strconv.Itoa(int(b)))
	}
	if err := os.WriteFile(pair, []byte("["+strings.Join(numbers, ",")+"]"), 0o600); err != nil {
		t.Fatal(err)
	}
	client := newClient(t, x402.EVMMnemonic(phrase, "", ""), x402.EVMMnemonic(phrase, "", "m/44'/60'/0'/0/1"),
		x402.Keystore(stored, "testpassword"), x402.EVMMnemonic(phrase, "a passphrase", ""),
		x402.SolanaMnemonic(phrase, "", ""), x402.SolanaMnemonic(phrase, "", "m/44'/501'/1'/0'"),
		x402.SolanaKey(solanaKey), x402.SolanaKeyFile(pair))
	evm, solana := client.Addresses("eip155"), client.Addresses("solana")
	if len(evm) != 5 || evm[4] == testAddress {
		t.Fatal("a passphrase makes other keys", evm)
	}
	if want := []string{testAddress, testAddress, "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
		"0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b"}; !reflect.DeepEqual(evm[:4], want) {
		t.Error(evm)
	}
	if want := []string{"oeYf6KAJkLYhBuR8CiGc6L4D4Xtfepr85fuDgA9kq96", "AqynRZwvVqUPRwRJXvm6odUb3t93fDjnWe3p6BeuUFxD",
		solanaAddress, solanaAddress}; !reflect.DeepEqual(solana, want) {
		t.Error(solana)
	}
}

func TestWrongKeysSayWhyAndNoSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keystore")
	if err := os.WriteFile(file, []byte(keystore), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, option := range map[string]x402.Option{
		"3 words":     x402.EVMMnemonic("test test junk", "", ""),
		"word 12":     x402.SolanaMnemonic(strings.Replace(phrase, "junk", "jnuk", 1), "", ""),
		"component 3": x402.EVMMnemonic(phrase, "", "m/44'/60'/x"),
		"hardened":    x402.SolanaMnemonic(phrase, "", "m/44'/501'/0"),
		"password":    x402.Keystore(file, "junk"),
		"no-such":     x402.SolanaKeyFile("no-such"),
		"address":     x402.EVMSigner("junk", func([]byte) ([]byte, error) { return nil, nil }),
	} {
		client, err := x402.New(option)
		var failure *x402.Error
		if client != nil || !errors.As(err, &failure) || failure.Name != "X402_ERROR_KEY" {
			t.Error(client, err)
			continue
		}
		if !strings.Contains(failure.Message, want) || strings.Contains(failure.Message, "test test") {
			t.Errorf("%q does not name %q", failure.Message, want)
		}
	}
	if alive := x402.LiveHandles(); alive != 0 {
		t.Errorf("%d handles are left", alive)
	}
}

// The wallet's first key pays, unless another is named.
func TestPayer(t *testing.T) {
	url := serve(t, "--scenario", "testdata/scenario.json")
	const second = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
	client := newClient(t, x402.EVMMnemonic(phrase, "", "m/44'/60'/0'/0/1"), x402.Payer(second))
	get(t, client.HTTP(), url+"/no-receipt")
	entries, err := client.Ledger().Unsettled(0, 10)
	if err != nil || len(entries) != 1 || !strings.EqualFold(entries[0].Payer, second) {
		t.Fatal(entries, err)
	}
}
