// Command aws runs the same handler in AWS Lambda, or in its runtime interface emulator.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/leatstream/leat/transforms/examples/lambda-go/orders"
)

func main() { lambda.Start(orders.Handle) }
