package spec

import "slices"

// routes sees that the routes which sinks take are there. Modules and programs may name routes too, by the attribute route.
func (c *checker) routes(p *Pipeline) {
	var known []string
	for i := range p.Transforms {
		t := &p.Transforms[i]
		if _, native := t.Builtin(); native == nil {
			return
		}
		if t.Route != nil {
			known = append(known, t.Route.Routes()...)
		}
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for i := range p.Sinks {
		s := &p.Sinks[i]
		for _, name := range s.Routes {
			switch {
			case slices.Contains(known, name):
			case len(known) == 0:
				c.fail(s.PlaceOf("routes"), "spec.unknown_route", "sink %s takes the route %s, but no stage names routes", s.Name, quoteShort(name)).Hint = "add a stage with route, or leave routes out"
			default:
				c.fail(s.PlaceOf("routes"), "spec.unknown_route", "no stage names the route %s that sink %s takes", quoteShort(name), s.Name).Hint = suggest(name, known)
			}
		}
	}
}
