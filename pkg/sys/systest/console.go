package systest

import (
	"strings"

	"github.com/minos-os/minos-init/pkg/sys"
)

// Type has somebody at the console answer the next questions. Who has nothing
// more to say is silent.
func (k *Kernel) Type(lines ...string) { k.typed = append(k.typed, lines...) }

// Ask implements sys.Processes.
func (k *Kernel) Ask(q sys.Question) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	what := "ask"
	if q.Hidden {
		what = "ask for a secret"
	}
	if err := k.effect("%s, %v: %s", what, q.Limit, strings.ReplaceAll(strings.TrimSpace(q.Text), "\n", ` / `)); err != nil {
		return "", err
	}
	if len(k.typed) == 0 {
		k.advance(k.now + q.Limit)
		return "", sys.ErrTimeout
	}
	answer := k.typed[0]
	k.typed = k.typed[1:]
	return answer, nil
}
