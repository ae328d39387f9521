package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"time"
)

// VM is a running virtual machine, or one that has ended.
type VM struct {
	Started time.Time // when QEMU was started

	dir        string
	cmd        *exec.Cmd
	console    *console
	keyboard   io.WriteCloser
	complaints bytes.Buffer // QEMU's own messages; to be read after ended
	monitor    *monitor
	ended      chan struct{} // closed when the process is gone
	exit       error         // of the process; to be read after ended
}

// Ending is how a machine's run ended.
type Ending string

// The endings of a machine.
const (
	PowerOff Ending = "poweroff" // the guest switched itself off
	Reset    Ending = "reset"    // the guest asked for a reboot, which is not done
	Timeout  Ending = "timeout"  // it did not end in time, and was stopped
	Broken   Ending = "broken"   // QEMU itself ended, see the error
)

// reap waits for the process, and with it for the last of its output.
func (vm *VM) reap() {
	vm.exit = vm.cmd.Wait()
	vm.console.close()
	close(vm.ended)
}

func (vm *VM) hasEnded() bool {
	select {
	case <-vm.ended:
		return true
	case <-time.After(Scaled(time.Second)): // the process outlives its socket by a moment
		return false
	}
}

// Expect waits until the console shows text after what an earlier Expect found,
// for at most a Scaled duration.
func (vm *VM) Expect(text string, within time.Duration) error {
	_, err := vm.ExpectRegexp(regexp.MustCompile(regexp.QuoteMeta(text)), within)
	return err
}

// ExpectRegexp is Expect with a regular expression; it returns the match and its
// submatches.
func (vm *VM) ExpectRegexp(re *regexp.Regexp, within time.Duration) ([]string, error) {
	match, err := vm.console.expect(re, Scaled(within))
	if err != nil {
		return nil, fmt.Errorf("cannot find %q on the console: %w", re, err)
	}
	return match, nil
}

// Send types text on the console.
func (vm *VM) Send(text string) error {
	if _, err := io.WriteString(vm.keyboard, text); err != nil {
		return fmt.Errorf("cannot type on the console: %w", err)
	}
	return nil
}

// Wait waits for the machine to end by itself, for at most a Scaled duration,
// after which it is stopped.
func (vm *VM) Wait(within time.Duration) (Ending, error) {
	deadline := time.NewTimer(Scaled(within))
	defer deadline.Stop()
	select {
	case <-vm.ended:
	case <-deadline.C:
		return Timeout, vm.kill()
	}
	switch vm.monitor.shutdownReason() {
	case "guest-shutdown":
		return PowerOff, nil
	case "guest-reset":
		return Reset, nil
	case "":
		// QEMU 7.2's board for riscv64 ends at once (hw/misc/sifive_test.c).
		if vm.exit == nil {
			return PowerOff, nil
		}
	}
	return Broken, fmt.Errorf("cannot tell how the machine ended: QEMU ended without a word from the guest: %w\n%s", vm.exit, vm.complaints.Bytes())
}

// Monitor sends a command of QEMU's monitor protocol and returns its answer as
// JSON. The commands that people type are there as
// Monitor("human-monitor-command", map[string]any{"command-line": "info block"}).
func (vm *VM) Monitor(command string, arguments map[string]any) ([]byte, error) {
	return vm.monitor.execute(command, arguments, Scaled(20*time.Second))
}

// Stop ends the machine if it still runs, and removes its temporary files.
func (vm *VM) Stop() error {
	return errors.Join(vm.kill(), os.RemoveAll(vm.dir))
}

// kill ends the process and waits until it is gone.
func (vm *VM) kill() error {
	err := vm.cmd.Process.Kill()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot stop the virtual machine: %w", err)
	}
	<-vm.ended
	return nil
}

// Console is what the serial console has shown so far, without carriage
// returns.
func (vm *VM) Console() string { return vm.console.text() }

// SecondConsole is what the second serial port has sent so far, without
// carriage returns. It is gone after Stop.
func (vm *VM) SecondConsole() (string, error) {
	data, err := os.ReadFile(vm.secondConsoleFile())
	if err != nil {
		return "", fmt.Errorf("cannot read the second console: %w", err)
	}
	return string(bytes.ReplaceAll(data, []byte("\r"), nil)), nil
}
