package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"8G": 8 << 30, "1T": 1 << 40, "700M": 700 << 20,
		"8": 0, "": 0, "G": 0, "-1G": 0, "8GB": 0, "8g": 0, "0G": 0, "99999999999G": 0,
	} {
		got, err := parseSize(text)
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestEnlarge(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(disk, make([]byte, 3<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := enlarge(disk, "2M"); err == nil || !strings.Contains(err.Error(), "FRESH=1") {
		t.Errorf("a smaller disk: %v", err)
	}
	if err := enlarge(disk, "4M"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(disk); err != nil || info.Size() != 4<<20 {
		t.Errorf("it has %v, %v", info.Size(), err)
	}
}

func TestInboxFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"wpa_supplicant.conf": "network={}\n", "credentials/network.dns": "192.0.2.1"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := inboxFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	if got, want := strings.Join(names, " "), "config config/credentials config/credentials/network.dns config/wpa_supplicant.conf"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := os.Symlink("there", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := inboxFiles(dir); err == nil {
		t.Error("a link is taken")
	}
}
