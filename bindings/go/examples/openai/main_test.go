package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	x402 "github.com/libx402/libx402/bindings/go"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// The first development account, known to everyone.
const testKey = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

var question = openai.ChatCompletionNewParams{
	Model:    "test-model",
	Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")},
}

// serve starts a server in the shape of OpenAI's that wants to be paid; it ends with its input.
func serve(t *testing.T) string {
	t.Helper()
	server := os.Getenv("X402_PAYING_SERVER")
	if server == "" {
		t.Fatal("X402_PAYING_SERVER names no server: run make test-go")
	}
	command := exec.Command(server, "--openai")
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

type counts struct {
	Requests int `json:"requests"`
	Settled  int `json:"payments_settled"`
	Distinct int `json:"payments_distinct"`
}

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

// sdk is the SDK as it is but for its HTTP client.
func sdk(t *testing.T, base string) openai.Client {
	t.Helper()
	payer, err := x402.New(x402.EVMKey(testKey))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		payer.Close()
		if left := x402.LiveHandles(); left != 0 {
			t.Errorf("%d handles are left", left)
		}
	})
	return openai.NewClient(option.WithBaseURL(base), option.WithAPIKey("none"), option.WithHTTPClient(payer.HTTP()))
}

// Each call is paid once, also where the SDK tries again because the answer got lost or the server was busy.
func TestACallIsPaidOnce(t *testing.T) {
	ways := map[string]func(openai.Client) (string, error){"whole": whole, "streamed": streamed}
	for _, path := range []string{"/v1", "/lost/v1", "/busy/v1"} {
		for way, ask := range ways {
			t.Run(way+path, func(t *testing.T) {
				url := serve(t)
				said, err := ask(sdk(t, url+path))
				seen := state(t, url)
				if err != nil || said != "You said: hello" || seen.Settled != 1 || seen.Distinct != 1 {
					t.Error(said, err, seen)
				}
				if again := seen.Requests > 2; again != (path != "/v1") {
					t.Error("the SDK tried again, or did not have to", seen)
				}
			})
		}
	}
}

func whole(ai openai.Client) (string, error) {
	answer, err := ai.Chat.Completions.New(context.Background(), question)
	if err != nil {
		return "", err
	}
	return answer.Choices[0].Message.Content, nil
}

func streamed(ai openai.Client) (said string, err error) {
	stream := ai.Chat.Completions.NewStreaming(context.Background(), question)
	defer stream.Close()
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			said += choice.Delta.Content
		}
	}
	return said, stream.Err()
}

// The server holds the rest back until the first token was read.
func TestTokensAreNotHeldBack(t *testing.T) {
	url := serve(t)
	ai := sdk(t, url+"/held/v1")
	stream := ai.Chat.Completions.NewStreaming(context.Background(), question)
	defer stream.Close()
	if !stream.Next() || len(stream.Current().Choices) == 0 {
		t.Fatal("no first token", stream.Err())
	}
	response, err := http.Post(url+"/_server/release", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	rest := 0
	for stream.Next() {
		rest++
	}
	if err := stream.Err(); err != nil || rest == 0 {
		t.Error(rest, err)
	}
	if seen := state(t, url); seen.Settled != 1 || seen.Distinct != 1 {
		t.Error(seen)
	}
}

func TestWhatIsTooDearIsA402AndNotPaid(t *testing.T) {
	url := serve(t)
	ai := sdk(t, url+"/expensive/v1")
	_, err := ai.Chat.Completions.New(context.Background(), question)
	var failure *openai.Error
	if !errors.As(err, &failure) || failure.StatusCode != 402 {
		t.Fatal(err)
	}
	if payment := x402.PaymentOf(failure.Response); payment == nil || !strings.Contains(payment.Refusal, "1.00") {
		t.Error(payment)
	}
	if seen := state(t, url); seen.Settled != 0 || seen.Distinct != 0 {
		t.Error(seen)
	}
}

func TestExample(t *testing.T) {
	url := serve(t)
	output, err := os.CreateTemp(t.TempDir(), "said")
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	usual := os.Stdout
	os.Stdout = output
	err = chat(url+"/v1", testKey)
	os.Stdout = usual
	said, readErr := os.ReadFile(output.Name())
	if err != nil || readErr != nil || string(said) != "You said: hello\n" {
		t.Error(string(said), err, readErr)
	}
	if seen := state(t, url); seen.Settled != 1 {
		t.Error(seen)
	}
}
