package qemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Save stops the machine for good and writes its memory and its devices, not
// its disks, to a file, from which Machine.Resume goes on as often as wanted. What
// is on the disks may be another then, so nothing of them may have been read:
// see DiskReads.
func (vm *VM) Save(file string) error {
	if _, err := vm.Monitor("stop", nil); err != nil {
		return fmt.Errorf("cannot stop the machine to save it: %w", err)
	}
	if err := vm.move("migrate", "cat > "+shellQuote(file)); err != nil {
		return fmt.Errorf("cannot save the machine: %w", err)
	}
	return nil
}

// DiskReads is how many requests the machine has made of its disks.
func (vm *VM) DiskReads() (requests int64, err error) {
	answer, err := vm.Monitor("query-blockstats", nil)
	if err != nil {
		return 0, fmt.Errorf("cannot ask for the requests of the disks: %w", err)
	}
	var disks []struct {
		Stats struct {
			Reads  int64 `json:"rd_operations"`
			Writes int64 `json:"wr_operations"`
		} `json:"stats"`
	}
	if err := json.Unmarshal(answer, &disks); err != nil {
		return 0, fmt.Errorf("cannot read the requests of the disks: %w", err)
	}
	for _, d := range disks {
		requests += d.Stats.Reads + d.Stats.Writes
	}
	return requests, nil
}

// resume lets a machine that has just been started go on from a file of Save.
func (vm *VM) resume(file string) error {
	if err := vm.move("migrate-incoming", "cat "+shellQuote(file)); err != nil {
		return fmt.Errorf("cannot resume from %s: %w", file, err)
	}
	// It was stopped when it was saved, and is so again.
	if _, err := vm.Monitor("cont", nil); err != nil {
		return fmt.Errorf("cannot let the machine go on: %w", err)
	}
	return nil
}

// move passes the machine's state through a shell command, and waits for the
// end of that.
func (vm *VM) move(how, shell string) error {
	events := map[string]any{"capabilities": []any{map[string]any{"capability": "events", "state": true}}}
	if _, err := vm.Monitor("migrate-set-capabilities", events); err != nil {
		return err
	}
	if _, err := vm.Monitor(how, map[string]any{"uri": "exec:" + shell}); err != nil {
		return err
	}
	deadline := time.NewTimer(Scaled(30 * time.Second))
	defer deadline.Stop()
	for {
		select {
		case status := <-vm.monitor.moves:
			switch status {
			case "completed":
				return nil
			case "failed", "cancelled":
				return errors.New("QEMU says that it " + status)
			}
		case <-vm.ended:
			return fmt.Errorf("%w: %s", errEnded, strings.TrimSpace(vm.complaints.String()))
		case <-deadline.C:
			return errors.New("it was not over in time")
		}
	}
}

// shellQuote makes one word of a shell from any text.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
