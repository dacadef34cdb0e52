package meter

import "fmt"

// Error says why a module is refused: it is malformed, breaks a limit or uses a name that is reserved.
type Error struct {
	// Reserved means that the module uses a name of [Exports].
	Reserved bool
	// Func is the index of the function at fault, or -1.
	Func int
	msg  string
}

func (e *Error) Error() string {
	if e.Func >= 0 {
		return fmt.Sprintf("function %d: %s", e.Func, e.msg)
	}
	return e.msg
}

// Unsupported says that the rewriter does not know an instruction or encoding that a runtime may know. Such a module may still be
// run by other means.
type Unsupported struct {
	// What is the unknown thing, such as "opcode 0xfe".
	What string
	// Func is the index of the function that uses it, or -1.
	Func int
}

func (e *Unsupported) Error() string {
	if e.Func >= 0 {
		return fmt.Sprintf("function %d uses %s, which cannot be metered", e.Func, e.What)
	}
	return fmt.Sprintf("the module uses %s, which cannot be metered", e.What)
}

func malformed(format string, args ...any) error {
	return &Error{Func: -1, msg: fmt.Sprintf(format, args...)}
}

func unsupported(format string, args ...any) error {
	return &Unsupported{Func: -1, What: fmt.Sprintf(format, args...)}
}

// inFunc adds the function to an error that has none.
func inFunc(err error, index int) error {
	switch e := err.(type) {
	case *Error:
		e.Func = index
	case *Unsupported:
		e.Func = index
	}
	return err
}
