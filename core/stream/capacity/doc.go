// Package capacity lets on-demand streams follow their load.
package capacity
