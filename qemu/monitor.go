package qemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// monitor speaks the QEMU machine protocol: JSON values on a socket, answers
// and events mixed.
type monitor struct {
	conn    net.Conn
	answers chan answer
	gone    chan struct{} // closed when QEMU hung up
	turn    sync.Mutex    // held during a command
	moves   chan string   // how saving or resuming the machine goes on

	reason string // why the machine ended; to be read after gone
}

type answer struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Desc string `json:"desc"`
	} `json:"error"`
}

func newMonitor(conn net.Conn) (*monitor, error) {
	m := &monitor{conn: conn, answers: make(chan answer, 1), gone: make(chan struct{}), moves: make(chan string, 16)}
	go m.listen()
	// Until this command the protocol sends no events.
	if _, err := m.execute("qmp_capabilities", nil, Scaled(20*time.Second)); err != nil {
		conn.Close()
		return nil, err
	}
	return m, nil
}

func (m *monitor) listen() {
	defer close(m.gone)
	defer m.conn.Close()
	in := json.NewDecoder(m.conn)
	for {
		var message struct {
			answer
			Event string `json:"event"`
			Data  struct {
				Reason string `json:"reason"`
				Status string `json:"status"`
			} `json:"data"`
		}
		if in.Decode(&message) != nil {
			return
		}
		switch {
		case message.Event == "SHUTDOWN":
			m.reason = message.Data.Reason
		case message.Event == "MIGRATION":
			m.moves <- message.Data.Status
		case message.Return != nil || message.Error != nil:
			m.answers <- message.answer
		}
	}
}

// execute sends a command and waits for its answer.
func (m *monitor) execute(command string, arguments map[string]any, within time.Duration) ([]byte, error) {
	m.turn.Lock()
	defer m.turn.Unlock()
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(m.conn).Encode(request); err != nil {
		return nil, fmt.Errorf("cannot send %s to QEMU's monitor: %w", command, err)
	}
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	select {
	case a := <-m.answers:
		if a.Error != nil {
			return nil, fmt.Errorf("QEMU's monitor refused %s: %s", command, a.Error.Desc)
		}
		return a.Return, nil
	case <-m.gone:
		return nil, fmt.Errorf("cannot get an answer to %s: %w", command, errEnded)
	case <-deadline.C:
		// A late answer would be taken for the next command's: no more commands.
		m.conn.Close()
		return nil, errors.New("QEMU's monitor did not answer " + command)
	}
}

// shutdownReason is QEMU's word for why the machine ended. It waits for QEMU to
// hang up, before which everything has been said.
func (m *monitor) shutdownReason() string {
	<-m.gone
	return m.reason
}
