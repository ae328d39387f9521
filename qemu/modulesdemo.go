package qemu

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
)

// DemoModules returns the modules of the demo's set by their names, and makes
// first those that are missing: the demo's Debian is the core, and two small
// modules lie on it.
func (c *Cache) DemoModules() (map[string]string, error) {
	core, err := c.DemoImage(DemoVersion)
	if err != nil {
		return nil, err
	}
	small := map[string]Tree{
		"05-motd.sb":        Tree{}.With(Dir("etc"), Text("etc/motd", "This is the demo of the layout modules: minosctl status, ls /run/initramfs/memory\n")),
		"modules/10-tip.sb": Tree{}.With(Dir("etc"), Text("etc/motd.tip", "Put modules of your own into minios/modules.\n")),
	}
	dir, err := c.Get("demo-modules", fmt.Sprintf("1 %+v", small), func(dir string) error {
		for name, tree := range small {
			if err := (SquashFS{Compressor: "lz4", Tree: tree}).Make(filepath.Join(dir, filepath.Base(name)), 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot make the demo's modules: %w", err)
	}
	modules := map[string]string{"00-core.sb": core}
	for name := range small {
		modules[name] = filepath.Join(dir, filepath.Base(name))
	}
	return modules, nil
}

// DemoModulesDisk is the recipe of a stick with a set of modules, and room for
// sessions.
func DemoModulesDisk(modules map[string]string) ImageDisk {
	tree := Tree{}.With(Dir("minios"), Dir("minios/modules"))
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		tree = tree.With(File{Name: "minios/" + name, Mode: 0o644, From: modules[name]})
	}
	return ImageDisk{ID: 0x6d6f6475, Img: Partition{MiB: 512, Content: Ext4{Label: "MINIOS", UUID: "6d696e6f-7300-4000-8000-00000000000c", Tree: tree}}}
}
