// Init stands for the real init where a test looks at the builder only.
package main

import "fmt"

// version is set by the linker. It has no value of its own: u-root's busybox
// mode turns an initial value into an assignment, which would undo the linker's.
var version string

func main() { fmt.Println("version", version) }
