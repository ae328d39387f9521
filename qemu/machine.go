package qemu

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Machine describes a virtual machine. Only Kernel or Firmware has to be set.
type Machine struct {
	Architecture Architecture // the zero value is arm64

	Kernel    string   // the kernel image that QEMU loads
	Initramfs string   // "" for none
	Append    []string // words of the kernel command line, besides that of the console
	// Firmware is a program that finds a kernel itself, such as U-Boot. With it
	// Kernel, Initramfs and Append have no meaning.
	Firmware string
	// NoConsole leaves console= out of the kernel command line.
	NoConsole bool
	Drives    []Drive
	MemoryMiB int // 0 for 512
	// Processors is how many it has, 0 for one. Init takes its steps side by
	// side only where there are more.
	Processors int
	// SecondConsole adds a serial port, the kernel's ttyS0, whose output
	// VM.SecondConsole returns. It is a console when a word in Append says so.
	SecondConsole bool
	// InstructionCount is the argument of -icount, "shift=1,sleep=off", with
	// which the guest's time counts instructions.
	InstructionCount string
	// Resume is a file that VM.Save wrote, of a machine that was described in the
	// same words but for the content of its disks. The run goes on from there.
	Resume string
	Args   []string // further arguments of QEMU
}

// Drive is a disk.
type Drive struct {
	File string // raw image
	Keep bool   // keep what the machine writes; without it the image stays as it is
	// NVMe makes it /dev/nvme0n1, whose driver Debian's kernel has built in, and
	// not a virtio disk, the first of which is /dev/vda.
	NVMe bool
	// ReadOnly is a medium that is write-protected; Keep means nothing then.
	ReadOnly bool
	// Log is a file that takes a record of every request that changes the disk,
	// in the format of the kernel's dm-log-writes. It has to be there, and large
	// enough; holes are fine. The image keeps what is written.
	Log string
	// NoFlush does not pass the guest's flushes on to the disk of the host: for
	// an image that need not survive a crash of the host.
	NoFlush bool
}

// qemuProgram is QEMU for the demo's machine.
const qemuProgram = "qemu-system-aarch64"

func (m Machine) architecture() Architecture {
	if m.Architecture.Name == "" {
		return arm64()
	}
	return m.Architecture
}

// hardware is the machine without what it starts with: what a device tree
// describes.
func (m Machine) hardware() []string {
	memory := m.MemoryMiB
	if memory == 0 {
		memory = 512
	}
	a := m.architecture()
	return []string{
		"-machine", a.board, "-cpu", a.processor, "-accel", "tcg", "-m", strconv.Itoa(memory) + "M", "-smp", strconv.Itoa(max(m.Processors, 1)),
		"-nodefaults", "-no-reboot", "-nic", "none",
	}
}

// Arguments are QEMU's for this machine, without those of its consoles.
func (m Machine) Arguments() []string {
	args := m.hardware()
	args = append(args, m.program()...)
	for i, d := range m.Drives {
		args = append(args, d.arguments(fmt.Sprintf("disk%d", i))...)
	}
	if m.Resume != "" {
		args = append(args, "-incoming", "defer")
	}
	if m.InstructionCount != "" {
		args = append(args, "-icount", m.InstructionCount)
	}
	return append(args, m.Args...)
}

// program is what the machine starts with.
func (m Machine) program() []string {
	if m.Firmware != "" {
		return []string{"-bios", m.Firmware}
	}
	args := []string{"-kernel", m.Kernel, "-append", m.cmdline()}
	if m.Initramfs != "" {
		args = append(args, "-initrd", m.Initramfs)
	}
	return args
}

func (d Drive) arguments(id string) []string {
	device := "virtio-blk-pci"
	if d.NVMe {
		device = "nvme,serial=" + id
	}
	return append(d.backend(id), "-device", device+",drive="+id)
}

// backend is the medium behind the device.
func (d Drive) backend(id string) []string {
	// A comma in a path is doubled, or QEMU ends the value there.
	file := strings.ReplaceAll(d.File, ",", ",,")
	if d.Log != "" {
		log := strings.ReplaceAll(d.Log, ",", ",,")
		return []string{
			"-blockdev", fmt.Sprintf("driver=raw,node-name=%s-image,file.driver=file,file.filename=%s,file.cache.no-flush=on", id, file),
			"-blockdev", fmt.Sprintf("driver=raw,node-name=%s-log,file.driver=file,file.filename=%s,file.cache.no-flush=on", id, log),
			// The count of entries is written with each of them: it is right
			// wherever the machine ends.
			"-blockdev", fmt.Sprintf("driver=blklogwrites,node-name=%s,file=%s-image,log=%s-log,log-sector-size=%d,log-super-update-interval=1", id, id, id, sectorSize),
		}
	}
	snapshot, cache := "on", ""
	if d.Keep {
		snapshot = "off"
	}
	access := "snapshot=" + snapshot
	if d.ReadOnly {
		access = "readonly=on"
	}
	if d.NoFlush {
		cache = ",cache=unsafe"
	}
	return []string{"-drive", fmt.Sprintf("id=%s,if=none,format=raw,%s%s,file=%s", id, access, cache, file)}
}

func (m Machine) cmdline() string {
	words := m.Append
	if !m.NoConsole {
		words = append([]string{"console=" + m.architecture().Console}, words...)
	}
	return strings.Join(words, " ")
}

// Interactive returns the program and its arguments, argv[0] included, for a
// machine whose console is standard input and output.
func (m Machine) Interactive() (path string, argv []string, err error) {
	name := m.architecture().program
	path, err = program(name)
	if err != nil {
		return "", nil, fmt.Errorf("cannot start a virtual machine: %w", err)
	}
	argv = append([]string{name}, m.Arguments()...)
	return path, append(argv, "-nographic", "-serial", "mon:stdio"), nil
}

// Start starts the machine. Stop it in any case, also after it has ended by
// itself: that removes its temporary files.
func (m Machine) Start() (*VM, error) {
	vm, err := m.start()
	if err != nil {
		return nil, fmt.Errorf("cannot start a virtual machine: %w", err)
	}
	return vm, nil
}

func (m Machine) start() (_ *VM, err error) {
	// Short, since a unix socket's path has at most 107 bytes; of its own, so
	// that machines side by side do not meet.
	dir, err := os.MkdirTemp("", "minos-vm-")
	if err != nil {
		return nil, err
	}
	vm := &VM{dir: dir, console: newConsole(), ended: make(chan struct{})}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	// QEMU connects to a socket that exists already: nothing to wait for.
	listener, err := net.Listen("unix", vm.monitorSocket())
	if err != nil {
		return nil, err
	}
	defer listener.Close()

	vm.cmd, err = command(m.architecture().program, append(m.Arguments(), vm.consoleArguments(m.SecondConsole)...)...)
	if err != nil {
		return nil, err
	}
	// A test that is killed must not leave its machines behind.
	vm.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	vm.cmd.Stdout, vm.cmd.Stderr = vm.console, &vm.complaints
	if vm.keyboard, err = vm.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := vm.cmd.Start(); err != nil {
		return nil, err
	}
	vm.Started = time.Now()
	go vm.reap()
	if vm.monitor, err = vm.acceptMonitor(listener); err != nil {
		return nil, errors.Join(err, vm.kill())
	}
	if m.Resume != "" {
		if err := vm.resume(m.Resume); err != nil {
			return nil, errors.Join(err, vm.kill())
		}
	}
	return vm, nil
}

func (vm *VM) monitorSocket() string     { return filepath.Join(vm.dir, "qmp") }
func (vm *VM) secondConsoleFile() string { return filepath.Join(vm.dir, "second") }

func (vm *VM) consoleArguments(second bool) []string {
	args := []string{
		"-display", "none", "-chardev", "stdio,id=console,mux=off,signal=off", "-serial", "chardev:console",
		"-chardev", "socket,id=qmp,path=" + vm.monitorSocket(), "-mon", "chardev=qmp,mode=control",
	}
	if second {
		args = append(args, "-chardev", "file,id=second,path="+vm.secondConsoleFile(), "-device", "pci-serial,chardev=second")
	}
	return args
}

// acceptMonitor waits for QEMU to call back, or to end, as it does at once when
// it does not like its arguments.
func (vm *VM) acceptMonitor(l net.Listener) (*monitor, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	accepted := make(chan result, 1)
	go func() {
		conn, err := l.Accept()
		accepted <- result{conn, err}
	}()
	deadline := time.NewTimer(Scaled(20 * time.Second))
	defer deadline.Stop()
	select {
	case r := <-accepted:
		if r.err != nil {
			return nil, r.err
		}
		m, err := newMonitor(r.conn)
		if err != nil && vm.hasEnded() {
			return nil, vm.endedAtOnce()
		}
		return m, err
	case <-vm.ended:
		return nil, vm.endedAtOnce()
	case <-deadline.C:
		return nil, errors.New("QEMU did not open its monitor in time")
	}
}

func (vm *VM) endedAtOnce() error {
	return fmt.Errorf("QEMU ended at once: %s", strings.TrimSpace(vm.complaints.String()))
}

// slowVariable is the environment variable that stretches all deadlines.
const slowVariable = "MINOS_TEST_SLOW"

// Scaled is a deadline on this machine. Deadlines are written for emulation on
// an idle machine; a slower one sets MINOS_TEST_SLOW to a factor.
func Scaled(d time.Duration) time.Duration {
	factor, err := strconv.ParseFloat(os.Getenv(slowVariable), 64)
	if err != nil || factor <= 0 {
		return d
	}
	return time.Duration(float64(d) * factor)
}
