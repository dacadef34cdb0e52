package foreground

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/core/stream"
	"github.com/leatstream/leat/pipelines/spec"
)

// An on-demand stream grows with its load where no API is served, with --watch and without.
func TestOnDemandStreamsFollowTheirLoad(t *testing.T) {
	text := strings.Replace(lines, "stream: lines, files: [ { path: ./in.txt } ]", "stream: { name: lines, mode: on-demand }", 1)
	for name, run := range map[string]func(context.Context, *Group, *Seen) error{
		"run": func(ctx context.Context, g *Group, _ *Seen) error { return g.Run(ctx, RunOptions{}) },
		"watch": func(ctx context.Context, g *Group, seen *Seen) error {
			return g.Watch(ctx, WatchOptions{Seen: seen, Poll: time.Hour})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t)
				p.write("pipelines.yaml", text)
				file := filepath.Join(p.dir, "pipelines.yaml")
				_, seen, err := See([]string{file}, func() ([]*spec.Pipeline, error) { return spec.Load(file, spec.Options{}) })
				if err != nil {
					t.Fatal(err)
				}
				g := p.mustOpen(text, false)
				s, err := p.data.Streams.Get("lines")
				if err != nil {
					t.Fatal(err)
				}
				before := s.OpenShards()
				ctx, stop := context.WithCancel(t.Context())
				ran := make(chan error, 1)
				go func() { ran <- run(ctx, g, seen) }()
				time.Sleep(90 * time.Second) // it has looked at the stream once
				entries := make([]stream.Entry, 500)
				for i := range entries {
					entries[i] = stream.Entry{Key: strings.Repeat("k", i%200+1), Data: []byte("x")}
				}
				for range 400 { // in no time what four shards take in 50 s
					if _, err := s.Put(ctx, entries); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if after := s.OpenShards(); after <= before {
					t.Errorf("%d shards, as before %d", after, before)
				}
				stop()
				if err := <-ran; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
