package examples

import (
	"context"
	"fmt"
	"testing"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
	"github.com/leatstream/leat/transforms/lambda"
	"github.com/leatstream/leat/transforms/lambda/lambdatest/emulator"
)

// The handler of lambda-go runs in AWS's own runtime interface emulator, built as it would be for Lambda.
func TestTheRuntimeInterfaceEmulatorRunsTheHandler(t *testing.T) {
	url := emulator.Start(t, buildExample(t, "./aws"))
	cfg := lambda.Config{URL: url, Workers: 1, Timeout: 1 << 35, Buffer: 1 << 20, Retries: 50, WhenUnavailable: lambda.Wait}
	tr, err := cfg.Open(context.Background(), lambda.Env{Pipeline: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close(context.Background())
	chain := stage.NewChain(stage.Link{Name: "mask", Transform: tr})
	b := record.NewBatch()
	for i := range 500 {
		data := fmt.Sprintf(`{"tenant":"t%d","card":"411111111111%04d"}`, i, i)
		if i%100 == 50 {
			data = "not an order"
		}
		b.Add(record.Record{Seq: uint64(i + 1), Key: "k", Data: []byte(data)})
	}
	var f stage.Final
	for range 3 {
		if err := chain.Run(context.Background(), b, &f); err != nil {
			t.Fatal(err)
		}
		for i, r := range f.Roots {
			if i%100 == 50 {
				if r.Fail == nil || r.Fail.Code != lambda.CodeProcessingFailed {
					t.Fatalf("record %d: %+v", i, r)
				}
				continue
			}
			want := fmt.Sprintf(`{"card":"****%04d","tenant":"t%d"}`, i, i)
			if r.N != 1 || string(f.Outs[r.First].Data) != want || fmt.Sprint(f.Outs[r.First].Partition) != fmt.Sprintf("[{tenant t%d}]", i) {
				t.Fatalf("record %d: %+v", i, r)
			}
		}
	}
}

// A function that does not even start is unavailable. What the emulator says of functions that fail, panic, end and hang in the middle of
// an event stands in the table of transforms/lambda's tests.
func TestTheRuntimeInterfaceEmulatorTellsOfAFunctionThatDoesNotStart(t *testing.T) {
	cfg := lambda.Config{URL: emulator.Start(t, "/bin/false"), Workers: 1, Timeout: 1 << 35, Buffer: 1 << 20, WhenUnavailable: lambda.Wait}
	tr, err := cfg.Open(context.Background(), lambda.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close(context.Background())
	b := record.NewBatch()
	b.Add(record.Record{Seq: 1, Data: []byte("x")})
	var f stage.Final
	err = stage.NewChain(stage.Link{Name: "mask", Transform: tr}).Run(context.Background(), b, &f)
	if fault.ClassOf(err) != fault.Unavailable || fault.CodeOf(err) != lambda.CodeUnavailable {
		t.Errorf("%v", err)
	}
}
