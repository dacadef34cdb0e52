package delivery

import (
	"context"
	"time"

	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/state"
)

// seal is a sealer: it finishes objects in the spool and makes their manifests durable, all of a component in one
// transaction. Only then are they put.
func (d *Delivery) seal() {
	for tied := range d.seals {
		if d.broken() {
			continue
		}
		if err := d.promise(tied); err != nil {
			d.fail(err)
		}
	}
}

func (d *Delivery) promise(tied *component) error {
	manifests := make([]*manifest, len(tied.buffers))
	covers := make([][]byte, len(tied.buffers))
	for i, b := range tied.buffers {
		var err error
		if manifests[i], err = d.finish(b); err != nil {
			return err
		}
		d.backlog.writing.Add(-1)
		if covers[i], err = b.covers.encode(); err != nil {
			return err
		}
		d.backlog.bytes.Add(manifests[i].Size)
		d.backlog.promised.Add(b.covers.size())
	}
	if err := d.spool.sync(); err != nil {
		return err
	}
	d.seams.Step("spooled")
	if d.seams.PutBeforeManifest {
		for _, m := range manifests {
			if err := d.deliver(context.Background(), m); err != nil {
				return err
			}
		}
	}
	err := d.cfg.State.Update(context.Background(), func(tx *state.Tx) error {
		for i, m := range manifests {
			if err := putManifest(tx, d.prefix, m, covers[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fault.New(fault.ClassOf(err), "delivery.state_failed", "store the manifests of %d objects: %w", len(manifests), err)
	}
	d.seams.Step("sealed")
	for _, m := range manifests {
		d.puts <- m
	}
	return nil
}

// finish completes an object's bytes in the spool and makes them durable.
func (d *Delivery) finish(b *buffer) (*manifest, error) {
	if err := d.spill(b, true); err != nil {
		return nil, err
	}
	m := &manifest{
		ID: b.id, Dead: b.dead, Key: b.key, Size: b.spooled, SHA256: b.digest.Sum(nil),
		Records: b.records, Raw: b.sum.Raw, Sealed: time.Now().UTC(), Oldest: b.oldest, covers: &b.covers, epoch: b.epoch,
	}
	contentType, sink := d.cfg.Format.ContentType(), d.cfg.Sink
	if b.dead {
		contentType, sink = "application/x-ndjson", d.cfg.DeadLetters.Sink
	}
	m.ContentType, m.Encoding = b.compression.Headers(contentType)
	m.Destination = destination(sink)
	return m, nil
}
