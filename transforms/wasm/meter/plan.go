package meter

// mode is how a function is metered.
type mode uint8

const (
	// modeFree functions are short, straight and call only such: their callers pay for them.
	modeFree mode = iota
	// modeStraight functions pay on entry what they cost at most.
	modeStraight
	// modeLocal functions count in a local variable and pay on exit.
	modeLocal
	// modeDeep functions may recurse: they count themselves on the stack, and pay on entry, or take an advance that they
	// count down in a local variable.
	modeDeep
)

// plan is what is done to one function.
type plan struct {
	mode mode
	// counts means that the function has the local variable.
	counts bool
	// cost is what a free or straight function costs at most.
	cost int64
	// weight is the room on the stack that its frame is taken for, in units of weightUnit.
	weight int64
}

// planAll decides for every function of the module's own. It decodes all code, and is the first to.
func (m *module) planAll() ([]plan, error) {
	profiles := make([]profile, len(m.bodies))
	plans := make([]plan, len(m.bodies))
	compileTime := int64(0)
	for i := range m.bodies {
		b := &m.bodies[i]
		p, err := m.profile(b)
		if err == nil {
			if compileTime += p.compileTime(); compileTime > maxCompileTime {
				err = malformed("the functions so far have so many branches (this one %d, and %d loops) that they would take very long to compile",
					p.joints, p.loops)
			}
		}
		if err != nil {
			return nil, inFunc(err, int(m.imported)+i)
		}
		profiles[i] = p
		slots := int64(len(m.types[b.typ].params)) + int64(b.nLocal) + int64(b.wide)
		plans[i].weight = (frameBytes + 8*min(slots, int64(p.instructions)) + int64(p.instructions)*bytesPerInstruction) / weightUnit
	}
	m.findFree(profiles, plans)
	recursive := m.recursive(profiles)
	var chain int64
	for i := range plans {
		if plans[i].mode != modeFree && callsMetered(&profiles[i], plans) && !recursive[i] {
			chain += plans[i].weight
		}
	}
	for i := range plans {
		pl, p := &plans[i], &profiles[i]
		if pl.mode == modeFree {
			continue
		}
		for _, f := range p.calls {
			if plans[f].mode == modeFree {
				p.most += plans[f].cost
			}
		}
		pl.cost, pl.counts = p.most, p.repeats || p.most > straightMax
		switch {
		case recursive[i] || chain > maxChain && callsMetered(p, plans):
			pl.mode = modeDeep
		case pl.counts:
			pl.mode = modeLocal
		default:
			pl.mode = modeStraight
		}
	}
	return plans, nil
}

func callsMetered(p *profile, plans []plan) bool {
	for _, f := range p.calls {
		if plans[f].mode != modeFree {
			return true
		}
	}
	return p.indirect
}

// findFree marks the functions whose callers pay. All others are marked as straight until more is known. Each round finds those that call
// only what the rounds before have found; as a call has a price, there are few.
func (m *module) findFree(profiles []profile, plans []plan) {
	for i := range plans {
		plans[i].mode = modeStraight
	}
	for found := true; found; {
		found = false
		for i := range plans {
			p, cost := &profiles[i], profiles[i].most
			if plans[i].mode == modeFree || p.repeats || p.indirect {
				continue
			}
			for _, f := range p.calls {
				if cost += plans[f].cost; plans[f].mode != modeFree || cost > maxFree {
					cost = maxFree + 1
					break
				}
			}
			if cost <= maxFree {
				plans[i].mode, plans[i].cost, found = modeFree, cost, true
			}
		}
	}
}

// recursive finds the functions that may be on the stack twice: the strongly connected components of the calls, after
// Tarjan. A call through a table may reach every function that a table or a reference may hold, which one more node stands for.
func (m *module) recursive(profiles []profile) []bool {
	n := len(profiles)
	edges := make([][]uint32, n+1)
	for i := range profiles {
		edges[i] = profiles[i].calls
		if profiles[i].indirect {
			edges[i] = append(edges[i][:len(edges[i]):len(edges[i])], uint32(n))
		}
	}
	for f := range m.reached {
		if f >= m.imported {
			edges[n] = append(edges[n], f-m.imported)
		}
	}
	result := make([]bool, n+1)
	index, low := make([]int32, n+1), make([]int32, n+1)
	onStack := make([]bool, n+1)
	var stack []uint32
	type frame struct {
		node uint32
		next int
	}
	var frames []frame
	order := int32(0)
	for root := range edges {
		if index[root] != 0 {
			continue
		}
		frames = append(frames, frame{node: uint32(root)})
		for len(frames) > 0 {
			f := &frames[len(frames)-1]
			v := f.node
			if f.next == 0 && index[v] == 0 {
				order++
				index[v], low[v] = order, order
				stack, onStack[v] = append(stack, v), true
			}
			if f.next < len(edges[v]) {
				w := edges[v][f.next]
				f.next++
				switch {
				case w == v:
					result[v] = true
				case index[w] == 0:
					frames = append(frames, frame{node: w})
				case onStack[w]:
					low[v] = min(low[v], index[w])
				}
				continue
			}
			frames = frames[:len(frames)-1]
			if len(frames) > 0 {
				u := frames[len(frames)-1].node
				low[u] = min(low[u], low[v])
			}
			if low[v] == index[v] {
				alone := stack[len(stack)-1] == v
				for {
					w := stack[len(stack)-1]
					stack, onStack[w] = stack[:len(stack)-1], false
					result[w] = result[w] || !alone
					if w == v {
						break
					}
				}
			}
		}
	}
	return result[:n]
}
