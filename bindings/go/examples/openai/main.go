// Command openai asks a model by the OpenAI SDK, and pays by the call.
//
//	EVM_PRIVATE_KEY=0x... go run . http://127.0.0.1:4021/v1
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	x402 "github.com/libx402/libx402/bindings/go"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func chat(baseURL, key string) error {
	// cut: openai
	payer, err := x402.New(x402.EVMKey(key), x402.MaxPerPayment("0.10 USD"))
	if err != nil {
		return err
	}
	defer payer.Close()
	ai := openai.NewClient(option.WithBaseURL(baseURL), option.WithAPIKey("none"), option.WithHTTPClient(payer.HTTP()))
	stream := ai.Chat.Completions.NewStreaming(context.Background(), openai.ChatCompletionNewParams{
		Model:    "test-model",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")},
	})
	defer stream.Close()
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			fmt.Print(choice.Delta.Content)
		}
	}
	// end of cut
	fmt.Println()
	return stream.Err()
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: EVM_PRIVATE_KEY=0x... openai BASE_URL")
	}
	if err := chat(os.Args[1], os.Getenv("EVM_PRIVATE_KEY")); err != nil {
		log.Fatal(err)
	}
}
