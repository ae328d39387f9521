package qemu

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDebianProfiles is the layout profiles with the real thing: what is written
// in one profile is not in the other, what is written to /data is in both, and
// each is a machine of its own. The filesystem is whole afterwards.
func TestDebianProfiles(t *testing.T) {
	if os.Getenv("MINOS_TEST_ALL") == "" {
		t.Skip("takes long: make test-all has it (MINOS_TEST_ALL=1)")
	}
	card := profilesCard{filepath.Join(t.TempDir(), "disk.img"), DemoProfilesDisk(machines(t).debian, "")}
	if err := card.recipe.Write(card.file); err != nil {
		t.Fatal(err)
	}
	const id = "cat /etc/machine-id | tee -a /data/ids | sort -u | wc -l"
	for _, boot := range []struct {
		profile  string
		commands []said
	}{
		{"desk", []said{{"cat /etc/motd", "This is the profile desk."}, {"echo mine >/root/mine; echo ours >/data/ours; rm /etc/hosts; cat /root/mine", "mine"}, {id, "1"}}},
		{"router", []said{{"cat /etc/motd", "This is the profile router."}, {"ls /root/mine", ".*No such file or directory"}, {"cat /data/ours", "ours"}, {"grep -c localhost /etc/hosts", "2"}, {id, "1"}}},
		{"desk", []said{{"cat /root/mine", "mine"}, {"ls /etc/hosts", ".*No such file or directory"}, {id, "1"}, {"sort -u /data/ids | wc -l", "2"}}},
	} {
		common := []said{
			{"systemctl is-system-running --wait", "running"},
			{"systemctl --failed --no-legend --plain", ""},
			{"findmnt -rno FSTYPE /", "overlay"},
			{"findmnt -rno FSTYPE,FSROOT /data", "btrfs /@data"},
			{`grep -o '"degraded": [a-z]*' /run/minos/boot.json`, `"degraded": false`},
			{"dmesg -t --level=emerg,alert,crit,err,warn | grep -i -e '^minos' -e overlay -e btrfs", ""},
		}
		r := card.bootDebian(t, boot.profile, append(common, boot.commands...))
		shows(t, r.Console, "minos: OK layout=profiles profile="+boot.profile+" root=@base/"+DemoVersion+" upper=keep took=")
	}
	wholeBtrfs(t, card)
}

// bootDebian boots a profile to the login prompt, and to its end by way of
// systemd's.
func (c profilesCard) bootDebian(t *testing.T, profile string, commands []said) Result {
	t.Helper()
	initramfs, err := profilesInitramfs()
	if err != nil {
		t.Fatal(err)
	}
	r := boot(t, Case{
		Image: c.file, Append: []string{"minos.layout=profiles", "flipper.profile=" + profile, "panic=-1", "systemd.default_device_timeout_sec=900"}, Within: loginDeadline,
		Change: func(m *Machine) {
			keep(m)
			m.Initramfs = initramfs
		},
		Drive: asked(commands),
	})
	if r.Ending != PowerOff {
		t.Errorf("the machine ended with %s, want %s", r.Ending, PowerOff)
	}
	return r
}
