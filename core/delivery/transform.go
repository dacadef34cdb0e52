package delivery

import (
	"context"
	"log/slog"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/leatstream/leat/core/codec"
	"github.com/leatstream/leat/core/fault"
	"github.com/leatstream/leat/core/record"
	"github.com/leatstream/leat/core/stage"
)

// job is one batch on its way from the reader through a worker to the collector.
type job struct {
	batch   *record.Batch
	expired coverage // positions that expired unread
	drains  []*drain // requests that travel behind the records they cover

	// What a worker makes of the batch, or of a part of it if its outputs are many. Until there are no more parts, worker and
	// collector take turns:
	shares  []*share
	byGroup map[string]*share
	last    *share   // found last
	free    coverage // inputs that were dropped
	ties    [][2]*share
	err     error
	made    chan bool     // receives with each part whether there are more
	taken   chan struct{} // receives when the part is in its buffers

	group []byte    // scratch
	undo  []savings // scratch
}

// share is what a batch adds to the buffer of one group.
type share struct {
	key   string // in the job's table
	group string
	dead  bool // for the dead letters; group is the error type then
	data  []byte
	ends  []int32 // end in data of each output
	roots []int32 // input of each output; its complement if the input is counted with another of its outputs
	index int     // of the share in its job
	parts []part  // all of data, compressed; none if it is too little for blocks of its own
	taken int     // parts that are in a buffer
	tied  *share  // nil, or another share on the way to the one that stands for all that are tied together
}

// part is a block made of a share's outputs up to end.
type part struct {
	end   int
	block *block
}

// savings is the length that a share had before the input in work.
type savings struct {
	share *share
	data  int
	outs  int
}

var jobs = sync.Pool{New: func() any {
	return &job{byGroup: map[string]*share{}}
}}

func newJob() *job {
	j := jobs.Get().(*job)
	j.batch, j.made, j.taken = record.NewBatch(), make(chan bool, 1), make(chan struct{}, 1)
	return j
}

func (j *job) release() {
	j.batch.Release()
	j.batch, j.drains, j.err = nil, nil, nil
	j.clear()
	jobs.Put(j)
}

// clear forgets a part.
func (j *job) clear() {
	for _, s := range j.shares {
		s.reset()
		shares.Put(s)
	}
	clear(j.shares)
	clear(j.byGroup)
	j.last = nil
	clear(j.ties)
	j.shares, j.ties = j.shares[:0], j.ties[:0]
	j.expired, j.free = coverage{}, coverage{}
}

var shares = sync.Pool{New: func() any { return new(share) }}

// keepShare is the largest buffer, in bytes, that a pooled share keeps.
const keepShare = 2 << 20

func (s *share) reset() {
	data := s.data[:0]
	if cap(data) > keepShare {
		data = nil
	}
	clear(s.parts)
	*s = share{data: data, ends: s.ends[:0], roots: s.roots[:0], parts: s.parts[:0]}
}

// finals keep the memory of chains from batch to batch, for as long as the garbage collector thinks fit.
var finals = sync.Pool{New: func() any { return new(stage.Final) }}

// maxWaiting is the most framed bytes that a worker leaves waiting for the collector when it goes on to another batch.
const maxWaiting = 2 << 20

// transform is a worker: it transforms batches, groups and frames their outputs, and compresses what is large enough. It
// holds one part at most, besides small ones that wait for the batches before theirs.
func (d *Delivery) transform(ctx context.Context) {
	var p press
	for j := range d.work {
		f, taken := finals.Get().(*stage.Final), j.taken
		for {
			if j.err = ctx.Err(); j.err == nil {
				j.err = d.apply(ctx, j, f, &p)
			}
			if j.err != nil || f.Left() == 0 {
				break
			}
			j.made <- true
			<-taken
			j.clear()
		}
		f.Reset()
		finals.Put(f)
		framed := 0
		for _, s := range j.shares {
			framed += len(s.data)
		}
		j.made <- false // the job is the collector's from here on
		if framed > maxWaiting {
			<-taken
		}
	}
}

// minPart is the smallest share, in bytes, that is worth blocks of its own: smaller ones would cost the object its ratio.
const minPart = codec.BlockSize / 2

// compress makes blocks of a large share here, where its bytes are still in the cache, rather than in the buffer that it
// goes to: of about equal size, and none larger than codec.BlockSize unless one input is. The outputs of one input stay in
// one block, because they stay in one buffer.
func (s *share) compress(c codec.Compression, p *press) {
	if len(s.data) < minPart {
		return
	}
	blocks := (len(s.data) + codec.BlockSize - 1) / codec.BlockSize
	target := int32((len(s.data) + blocks - 1) / blocks)
	begin, whole := int32(0), 0 // of the block in work: its first byte, and the end of its last output so far
	cut := func(end int) {
		s.parts = append(s.parts, part{end, p.done(c, s.data[begin:s.ends[end-1]])})
		begin = s.ends[end-1]
	}
	for i, end := range s.ends {
		last := i == len(s.ends)-1
		if !last && inputOf(s.roots[i+1]) == inputOf(s.roots[i]) {
			continue
		}
		if end-begin > codec.BlockSize && whole > 0 && s.ends[whole-1] > begin {
			cut(whole)
		}
		if whole = i + 1; last || end-begin >= target {
			cut(whole)
		}
	}
}

// inputOf is the input that a root names.
func inputOf(root int32) int32 {
	if root < 0 {
		return ^root
	}
	return root
}

// next returns the end of the outputs from at on that go into room bytes, and the block that is made of them if there is
// one. An input larger than the room of an empty buffer is an object of its own.
func (s *share) next(at int, room int64, empty bool) (end int, k *block) {
	base := int64(0)
	if at > 0 {
		base = int64(s.ends[at-1])
	}
	if s.taken < len(s.parts) {
		p := s.parts[s.taken]
		if !empty && int64(s.ends[p.end-1])-base > room {
			return at, nil
		}
		s.taken++
		return p.end, p.block
	}
	n := sort.Search(len(s.ends)-at, func(i int) bool { return int64(s.ends[at+i])-base > room })
	for n > 0 && at+n < len(s.roots) && s.roots[at+n] < 0 {
		n--
	}
	if n == 0 && empty {
		for n = 1; at+n < len(s.roots) && s.roots[at+n] < 0; n++ {
		}
	}
	return at + n, nil
}

// tryPause is the time between two tries of a stage that another batch is just trying, or whose failures nobody watches.
const tryPause = 250 * time.Millisecond

// waiting is what fails while a stage cannot work or rests, in the log.
const waiting = "stage"

// run transforms the next part of a batch. While a stage cannot work, or rests because it has failed too many records, it waits, and
// the chain waits until the stage may be tried: what has been collected is sealed and delivered as ever.
func (d *Delivery) run(ctx context.Context, j *job, f *stage.Final) error {
	for waited := false; ; waited = true {
		err := d.cfg.Chain.Run(ctx, j.batch, f)
		switch {
		case err == nil && waited:
			d.complaints.Over(d.log, waiting, "records no longer wait for a stage")
			return nil
		case err == nil || ctx.Err() != nil || fault.ClassOf(err) == fault.Permanent:
			return err
		}
		d.complaints.Log(d.log, slog.LevelWarn, waiting, "records wait in the stream while a stage rests", err)
		select {
		case <-time.After(tryPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// apply transforms the next part of a batch, shares it out and compresses it.
func (d *Delivery) apply(ctx context.Context, j *job, f *stage.Final, p *press) error {
	if err := d.run(ctx, j, f); err != nil {
		return err
	}
	for i := range f.Roots {
		root, input := &f.Roots[i], f.From+i
		in := &j.batch.Records[input]
		switch {
		case root.Fail != nil:
			d.bury(j, input, deadLetter{
				stage: root.Fail.Stage, moduleDigest: root.Fail.Digest, code: root.Fail.Code, reason: root.Fail.Reason,
			})
		case root.N == 0:
			j.free.add(in.Shard, in.Seq)
		default:
			if err := d.place(j, input, f.Outs[root.First:root.First+root.N]); err != nil {
				d.bury(j, input, deadLetter{code: fault.CodeOf(err), reason: err.Error()})
			}
		}
	}
	for _, s := range j.shares {
		s.compress(d.compression(s.dead), p)
	}
	return nil
}

// place puts the outputs of an input into the shares of their groups: all or, with an error, none.
func (d *Delivery) place(j *job, input int, outs []stage.Out) error {
	j.undo = j.undo[:0]
	var home *share
	for k := range outs {
		out := &outs[k]
		s, err := d.share(j, out)
		if err == nil {
			j.undo = append(j.undo, savings{s, len(s.data), len(s.ends)})
			s.data, err = d.cfg.Format.Append(s.data, out.Data)
		}
		if err != nil {
			for _, was := range slices.Backward(j.undo) {
				was.share.data = was.share.data[:was.data]
				was.share.ends, was.share.roots = was.share.ends[:was.outs], was.share.roots[:was.outs]
			}
			return err
		}
		s.ends = append(s.ends, int32(len(s.data)))
		if home == nil {
			home = s
			s.roots = append(s.roots, int32(input))
			continue
		}
		s.roots = append(s.roots, ^int32(input))
	}
	for _, was := range j.undo[min(1, len(j.undo)):] { // only now: an input that fails ties nothing
		j.tie(home, was.share)
	}
	return nil
}

// tie notes that the buffers of two shares must be sealed together, unless that follows from earlier ties.
func (j *job) tie(a, b *share) {
	if ra, rb := a.tiedTo(), b.tiedTo(); ra != rb {
		rb.tied = ra
		j.ties = append(j.ties, [2]*share{a, b})
	}
}

// tiedTo returns the share that stands for all those which are tied to s.
func (s *share) tiedTo() *share {
	for s.tied != nil {
		if s.tied.tied != nil {
			s.tied = s.tied.tied
		}
		s = s.tied
	}
	return s
}

// share returns the share of an output's group.
func (d *Delivery) share(j *job, out *stage.Out) (*share, error) {
	var err error
	if j.group, err = d.cfg.Layout.Group(append(j.group[:0], 'g'), out); err != nil {
		return nil, err
	}
	return j.share(j.group), nil
}

// share returns the share with a key: 'g' and a group's identity, or 'd' and an error type of the dead letters.
func (j *job) share(key []byte) *share {
	if s := j.last; s != nil && s.key == string(key) { // neighbours often share a group
		return s
	}
	if s := j.byGroup[string(key)]; s != nil {
		j.last = s
		return s
	}
	s := shares.Get().(*share)
	k := string(key)
	s.key, j.last = k, s
	s.group, s.dead, s.index = k[1:], k[0] == 'd', len(j.shares)
	j.shares = append(j.shares, s)
	j.byGroup[k] = s
	return s
}

// Error types of dead letters, as Firehose names the folders.
const (
	processingFailed = "processing-failed"
	deliveryFailed   = "delivery-failed"
)

// bury writes an input to the dead letters.
func (d *Delivery) bury(j *job, input int, l deadLetter) {
	s := j.share(append(append(j.group[:0], 'd'), processingFailed...))
	l.pipeline, l.sink, l.at = d.cfg.Pipeline, d.cfg.Name, time.Now()
	s.data = l.append(s.data, &j.batch.Records[input], d.cfg.Source.SequenceNumber)
	s.ends = append(s.ends, int32(len(s.data)))
	s.roots = append(s.roots, int32(input))
	d.cfg.Observer.DeadLetter(l.code)
}
