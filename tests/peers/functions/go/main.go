// The function of the peer tests for Go, run by AWS's own runtime client (Go module aws-lambda-go).
//
// The event says in `do` what is to happen, as it does to functions/node/index.mjs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type request struct {
	Do     string `json:"do"`
	Status int    `json:"status"`
}

type orderRefused struct{ customer string }

func (refused *orderRefused) Error() string { return "no such customer: " + refused.customer }

func environment() map[string]string {
	variables := map[string]string{}
	for _, line := range os.Environ() {
		name, value, _ := strings.Cut(line, "=")
		variables[name] = value
	}
	return variables
}

func handle(ctx context.Context, event json.RawMessage) (any, error) {
	var asked request
	if err := json.Unmarshal(event, &asked); err != nil {
		return nil, err
	}
	fmt.Println("peer function was asked for", asked.Do)
	switch asked.Do {
	case "echo":
		deadline, _ := ctx.Deadline()
		about, _ := lambdacontext.FromContext(ctx)
		return map[string]any{
			"event":      event,
			"request_id": about.AwsRequestID,
			"arn":        about.InvokedFunctionArn,
			"left":       time.Until(deadline).Milliseconds(),
			"trace":      ctx.Value("x-amzn-trace-id"),
			"context":    about.ClientContext.Custom,
			"pid":        os.Getpid(),
		}, nil
	case "environment":
		return environment(), nil
	case "throw":
		return nil, &orderRefused{"Zoë"}
	case "panic":
		panic(&orderRefused{"Zoë"})
	case "exit":
		os.Exit(asked.Status)
	case "kill":
		self, _ := os.FindProcess(os.Getpid())
		self.Kill()
		time.Sleep(time.Minute)
	case "hang":
		time.Sleep(10 * time.Minute)
	}
	return nil, errors.New("what is " + string(event) + "?")
}

func main() { lambda.Start(handle) }
