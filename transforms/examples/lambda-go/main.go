// Command lambda-go runs a handler with aws-lambda-go's event types for leat: one event a line, one response a line, until standard
// input ends. It is built for this machine or for WASI alike.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/events"

	"github.com/leatstream/leat/transforms/examples/lambda-go/orders"
)

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for event := (events.KinesisFirehoseEvent{}); in.Decode(&event) == nil; event = (events.KinesisFirehoseEvent{}) {
		response, err := orders.Handle(context.Background(), event)
		if err == nil {
			err = out.Encode(response)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}
