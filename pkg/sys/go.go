package sys

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic that was caught: what was thrown and where from.
type PanicError struct {
	Value any
	Stack []byte // as debug.Stack prints it, one line a step
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Go runs f beside the caller and delivers its error, once. It is the only
// way in which init starts a goroutine: a panic in one started otherwise never
// reaches main's recover, ends PID 1 and with it the machine. Here it comes
// back as a *PanicError, on the path of all other errors.
func Go(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- Guard(f) }()
	return done
}

// Guard runs f and returns its error, or its panic as a *PanicError.
func Guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}
