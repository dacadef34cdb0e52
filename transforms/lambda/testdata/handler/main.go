// Command handler runs the handler of lambdatest.
package main

import (
	"os"

	"github.com/leatstream/leat/transforms/lambda/lambdatest"
)

func main() { lambdatest.Main(os.Stdin, os.Stdout) }
