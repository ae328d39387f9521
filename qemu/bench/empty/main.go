// Command empty does nothing but become the next program. It shows what a
// program in Go costs before its first line.
package main

import (
	"os"

	"golang.org/x/sys/unix"
)

func main() {
	_ = unix.Exec("/sbin/init", []string{"/sbin/init"}, os.Environ())
}
