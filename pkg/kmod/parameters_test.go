package kmod

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParameters(t *testing.T) {
	for _, test := range []struct {
		name  string
		words []string
		want  map[string]string
	}{
		{"none", []string{"quiet", "root=/dev/a.b", "rauc.slot"}, map[string]string{"rauc": "slot"}},
		{"a value", []string{"overlay.index=Y"}, map[string]string{"overlay": "index=Y"}},
		{"no value", []string{"loop.nothing"}, map[string]string{"loop": "nothing"}},
		{"in order", []string{"usb.a=1", "x.b=2", "usb.a=3"}, map[string]string{"usb": "a=1 a=3", "x": "b=2"}},
		{"dashes are underscores in the name only", []string{"usb-storage.delay-use=1-2", "usb_storage.quirks=a"},
			map[string]string{"usb_storage": "delay-use=1-2 quirks=a"}},
		{"a dot in the value", []string{"dm_mod.create=a.b=c"}, map[string]string{"dm_mod": "create=a.b=c"}},
		{"a quoted value", []string{`x.y="a b"`}, map[string]string{"x": `y="a b"`}},
		{"a quoted word", []string{`"x.y=a b"`}, map[string]string{"x": `"y=a b"`}},
		{"no module", []string{".x=1"}, map[string]string{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, parameters(test.words)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestModulesGetTheirParameters(t *testing.T) {
	k := newKernel(sample)
	l, err := New(k, libDir, []string{"sd-mod.x=1", "quiet", "scsi_common.y=2"})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Device("scsi:t-0x00"); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"sd_mod.ko": "x=1", "scsi_common.ko": "y=2", "scsi_mod.ko": ""} {
		if got := k.params[file]; got != want {
			t.Errorf("%s got the parameters %q, want %q", file, got, want)
		}
	}
}

// A value that the kernel refuses is told with the words, for whoever wrote
// them.
func TestWrongParameters(t *testing.T) {
	k := newKernel(sample)
	k.refuse["scsi_common.ko"] = syscall.EINVAL
	l, err := New(k, libDir, []string{"scsi_common.y=two"})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, l.Device("scsi:t-0x00"),
		"kernel module scsi_common, which sd_mod needs, does not load with the parameters y=two of the command line: ", "invalid argument")
}
