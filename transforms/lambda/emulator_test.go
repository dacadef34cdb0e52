package lambda

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/leatstream/leat/transforms/lambda/lambdatest"
	"github.com/leatstream/leat/transforms/lambda/lambdatest/emulator"
)

// asFunction makes this test program a Lambda function.
const asFunction = "LEAT_TEST_LAMBDA_FUNCTION"

// emulatorConfig asks the handler as a function in AWS's own emulator.
func emulatorConfig(t testing.TB) Config {
	c := defaults()
	c.URL = emulator.Start(t, os.Args[0], asFunction+"=1", "AWS_LAMBDA_FUNCTION_TIMEOUT=2")
	c.Workers = 1 // as many as the emulator takes
	return c
}

// function speaks the runtime's side of Lambda's runtime interface.
// Source: the AWS Lambda developer guide, "Using the Lambda runtime API for custom runtimes".
func function() error {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(base + "next")
		if err != nil {
			return err
		}
		body, err := io.ReadAll(next.Body)
		if err != nil {
			return err
		}
		if err := next.Body.Close(); err != nil {
			return err
		}
		response, end := lambdatest.Respond(body)
		switch end := end.(type) {
		case lambdatest.Exit:
			os.Exit(int(end))
		case lambdatest.Hang:
			time.Sleep(time.Duration(end))
		case lambdatest.Spin:
			for i := 0; ; i++ {
			}
		}
		path := "/response"
		if bytes.HasPrefix(response, []byte(`{"errorMessage"`)) {
			path = "/error"
		}
		answer, err := http.Post(base+next.Header.Get("Lambda-Runtime-Aws-Request-Id")+path, "application/json", bytes.NewReader(response))
		if err != nil {
			return err
		}
		if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode >= 500 {
			return fmt.Errorf("%s: %s: %w", answer.Status, text, err)
		}
		if err := answer.Body.Close(); err != nil {
			return err
		}
	}
}
