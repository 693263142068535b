package x402_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	x402 "github.com/libx402/libx402/bindings/go"
)

// The first development account, known to everyone.
const testKey = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

// serve starts the paying test server, which ends with its input, and gives its URL.
func serve(t *testing.T, arguments ...string) string {
	t.Helper()
	server := os.Getenv("X402_PAYING_SERVER")
	if server == "" {
		t.Fatal("X402_PAYING_SERVER names no server: run make test-go")
	}
	command := exec.Command(server, arguments...)
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { input.Close(); command.Wait() })
	line, err := bufio.NewReader(output).ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) < 2 {
		t.Fatalf("the server said %q: %v", line, err)
	}
	return fields[1]
}

func newClient(t *testing.T, options ...x402.Option) *x402.Client {
	t.Helper()
	client, err := x402.New(append([]x402.Option{x402.EVMKey(testKey)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		if alive := x402.LiveHandles(); alive != 0 {
			t.Errorf("%d handles are left", alive)
		}
	})
	return client
}

func do(t *testing.T, client *x402.Client, req *http.Request, err error) (*http.Response, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.HTTP().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

// counts are what the server has seen, so far as the tests ask.
type counts struct {
	Requests         int `json:"requests"`
	PaymentsSettled  int `json:"payments_settled"`
	PaymentsDistinct int `json:"payments_distinct"`
	ReceivedBytes    int `json:"received_bytes"`
}

// state asks by an HTTP client that has nothing to do with the library.
func state(t *testing.T, url string) (seen counts) {
	t.Helper()
	response, err := http.Get(url + "/_server/state")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&seen); err != nil {
		t.Fatal(err)
	}
	return seen
}

// get is a GET that is read to its end.
func get(t *testing.T, client *http.Client, url string) (*http.Response, string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}
