package meter

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
)

func TestSmoke(t *testing.T) {
	b, err := os.ReadFile(os.Getenv("SMOKE"))
	if err != nil {
		t.Skip(err)
	}
	at := time.Now()
	out, info, err := Rewrite(b, Options{StartFuel: 1e9})
	t.Log(len(b), len(out), info, err, time.Since(at))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for _, c := range []struct {
		n string
		c wazero.RuntimeConfig
		b []byte
	}{{"interp", wazero.NewRuntimeConfigInterpreter(), b}, {"comp", wazero.NewRuntimeConfigCompiler(), b}, {"metered", wazero.NewRuntimeConfigCompiler(), out}, {"close", wazero.NewRuntimeConfigCompiler().WithCloseOnContextDone(true), b}} {
		r := wazero.NewRuntimeWithConfig(ctx, c.c)
		at := time.Now()
		_, err := r.CompileModule(ctx, c.b)
		t.Log(c.n, time.Since(at), err)
		r.Close(ctx)
	}
}
