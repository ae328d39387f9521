// Command panics does what depends on the tables that are left in a program
// without line numbers: stacks that grow and move, garbage collected while they
// hold pointers, goroutines stopped in a loop, a panic recovered through an inlined
// function. It prints the stack of that panic.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
)

// numbers is written by a loop without a call.
var numbers [64]uint32

type list struct {
	next  *list
	value [64]byte
}

// deep grows the stack, holds a pointer in each frame, and counts what the
// collector has left of them.
func deep(n int, above *list) int {
	if n == 0 {
		runtime.GC()
		count := 0
		for l := above; l != nil; l = l.next {
			count += int(l.value[0])
		}
		return count
	}
	own := &list{next: above}
	own.value[0] = 1
	return deep(n-1, own)
}

// inlined is put into its caller by the compiler.
func inlined(p *int) int { return *p }

//go:noinline
func fails(p *int) int { return inlined(p) + 1 }

func caught() (stack []byte) {
	defer func() {
		if recover() != nil {
			stack = debug.Stack()
		}
	}()
	fails(nil)
	return nil
}

func main() {
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if got := deep(5000, nil); got != 5000 {
				fmt.Println("the collector has taken", 5000-got, "of 5000")
				os.Exit(1)
			}
		})
	}
	group.Wait()
	started := make(chan bool)
	go func() {
		started <- true
		for n := uint32(1); ; n = n*1664525 + 1013904223 { // only a signal stops this
			numbers[n%uint32(len(numbers))] = n
		}
	}()
	<-started
	runtime.GC()
	fmt.Printf("%s", caught())
}
