// Command lambda-go runs a handler with aws-lambda-go's event types for leat: one event a line, one response a line, until standard
// input ends. It is built for this machine or for WASI alike.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/events"

	"github.com/leatstream/leat/transforms/examples/lambda-go/orders"
)

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var event events.KinesisFirehoseEvent
		if err := in.Decode(&event); err == io.EOF {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		var response any
		response, err := orders.Handle(context.Background(), event)
		if err != nil { // as Lambda tells of it; leat finds the record that causes it
			response = map[string]string{"errorMessage": err.Error()}
		}
		if err := out.Encode(response); err != nil {
			log.Fatal(err)
		}
	}
}
