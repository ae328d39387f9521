package qemu

import (
	"fmt"
	"path/filepath"
)

// Architecture is a kind of machine: what QEMU makes one of, with as old a
// processor as images are made for where Debian's kernel runs on it, and which
// kernel that is.
type Architecture struct {
	Name    string // Go's
	Machine string // as uname -m says it
	Console string // the first serial port, as the kernel calls it

	program   string // of QEMU
	board     string // its -machine
	processor string // its -cpu
	oldest    string // the processor that programs are compiled for, as a variable of Go's
	kernel    kernelPackage
}

// kernelPackage is where a kernel comes from.
type kernelPackage struct {
	suite  string // of Debian
	debian string // Debian's name of the architecture
	name   string
}

// Architectures are all that images are made for.
func Architectures() []Architecture {
	return []Architecture{
		arm64(),
		{
			Name: "arm", Machine: "armv7l", Console: "ttyAMA0", oldest: "GOARM=6",
			// A kernel without LPAE reaches nothing above 4 GiB, where else the PCI bus is.
			program: "qemu-system-arm", board: "virt,highmem=off", processor: "cortex-a7",
			kernel: kernelPackage{debianSuite, "armhf", "linux-image-armmp"},
		},
		{
			Name: "386", Machine: "i686", Console: "ttyS0", oldest: "GO386=softfloat",
			program: "qemu-system-i386", board: "pc", processor: "pentium3", // which has no SSE2
			kernel: kernelPackage{"bookworm", "i386", "linux-image-686"}, // the last suite that has one
		},
		{
			Name: "amd64", Machine: "x86_64", Console: "ttyS0", oldest: "GOAMD64=v1",
			program: "qemu-system-x86_64", board: "q35", processor: "qemu64",
			kernel: kernelPackage{debianSuite, "amd64", "linux-image-cloud-amd64"},
		},
		{
			Name: "riscv64", Machine: "riscv64", Console: "ttyS0", oldest: "GORISCV64=rva20u64",
			program: "qemu-system-riscv64", board: "virt", processor: "sifive-u54", // RV64GC and no more
			kernel: kernelPackage{debianSuite, "riscv64", "linux-image-riscv64"},
		},
	}
}

// arm64 is the architecture of the demo, and of a Machine that names none.
func arm64() Architecture {
	return Architecture{
		Name: "arm64", Machine: "aarch64", Console: "ttyAMA0", oldest: "GOARM64=v8.0",
		program: qemuProgram, board: "virt", processor: "cortex-a53",
		kernel: kernelPackage{debianSuite, "arm64", "linux-image-cloud-arm64"},
	}
}

// target is the environment for compiling what runs on the architecture.
func (a Architecture) target() []string {
	return []string{"GOOS=linux", "GOARCH=" + a.Name, a.oldest, "CGO_ENABLED=0"}
}

// BuildStub compiles the stub real init into dir and returns its path. It is
// called from a directory of this module.
func (a Architecture) BuildStub(dir string) (string, error) {
	file := filepath.Join(dir, "stub-"+a.Name)
	cmd, err := command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "github.com/minos-os/minos-init/qemu/stub")
	if err == nil {
		cmd.Env = append(cmd.Env, a.target()...)
		err = runCommand(cmd, nil)
	}
	if err != nil {
		return "", fmt.Errorf("cannot build the stub real init for %s: %w", a.Name, err)
	}
	return file, nil
}

// BuildStub compiles the stub real init for the demo's machine.
func BuildStub(dir string) (string, error) { return arm64().BuildStub(dir) }

// Kernel returns Debian's kernel for an architecture, its Image and Modules
// alone, and makes them first where they are missing. The demo's has its own.
func (c *Cache) Kernel(a Architecture) (Debian, error) {
	if a == arm64() {
		return c.Debian()
	}
	return c.kernel("linux-"+a.Name, a.kernel)
}
