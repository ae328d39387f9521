package qemu

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// keepStale is how long an asset of another recipe stays after its last use: a
// second checkout, on another branch, may live from it.
const keepStale = 24 * time.Hour

// Cache keeps what takes long to make, one directory for each kind and recipe.
type Cache struct {
	Dir      string
	Progress *Progress
}

// UserCache is the cache in the user's cache directory, which all checkouts
// share.
func UserCache(p *Progress) (*Cache, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("cannot find the user's cache directory (set HOME or XDG_CACHE_HOME): %w", err)
	}
	return &Cache{Dir: filepath.Join(dir, "minos-init"), Progress: p}, nil
}

// Get returns the directory of an asset. When it is not there, fill makes its
// content in an empty directory, which gets its final name only when fill
// succeeded. The recipe is the text that the content follows from: another
// recipe is another asset. Two processes never make the same asset at once; the
// second waits for the first.
func (c *Cache) Get(kind, recipe string, fill func(dir string) error) (string, error) {
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(recipe)))
	name := kind + "-" + hash[:12]
	dir := filepath.Join(c.Dir, name)
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the cache directory: %w", err)
	}
	unlock, err := c.lock(name)
	if err != nil {
		return "", err
	}
	defer unlock()

	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	// The lock is ours, so a left-over is that of a process that was killed.
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return "", fmt.Errorf("cannot remove what an interrupted run left: %w", err)
	}
	if err := os.Mkdir(partial, 0o755); err != nil {
		return "", fmt.Errorf("cannot make a directory in the cache: %w", err)
	}
	if err := fill(partial); err != nil {
		return "", errors.Join(err, os.RemoveAll(partial))
	}
	if err := os.Rename(partial, dir); err != nil {
		return "", fmt.Errorf("cannot put the new %s in its place: %w", kind, err)
	}
	c.removeStale(kind, name)
	return dir, nil
}

// lock takes the lock of one asset. Its file's time is that of the last use.
func (c *Cache) lock(name string) (unlock func(), err error) {
	path := filepath.Join(c.Dir, name+".lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock of the asset %s: %w", name, err)
	}
	err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = c.Progress.Step("waiting for another run that makes "+name, func() error { return flock(f, unix.LOCK_EX) })
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot note the use of the asset %s: %w", name, err)
	}
	return func() { f.Close() }, nil
}

// flock repeats what a signal interrupted; the Go runtime sends itself many.
func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

// removeStale removes the assets of the same kind that other recipes made and
// that nobody has used for long. That it fails costs only space.
func (c *Cache) removeStale(kind, current string) {
	locks, _ := filepath.Glob(filepath.Join(c.Dir, kind+"-*.lock"))
	for _, path := range locks {
		name := strings.TrimSuffix(filepath.Base(path), ".lock")
		info, err := os.Stat(path)
		if name == current || err != nil || time.Since(info.ModTime()) < keepStale {
			continue
		}
		c.removeUnlocked(path, name)
	}
}

func (c *Cache) removeUnlocked(lock, name string) {
	f, err := os.OpenFile(lock, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if flock(f, unix.LOCK_EX|unix.LOCK_NB) != nil {
		return // somebody makes it at this moment
	}
	// The lock file itself stays, empty: if it were removed, a process that has
	// it open would lock a file that the next one no longer finds.
	_ = os.RemoveAll(filepath.Join(c.Dir, name))
	_ = os.RemoveAll(filepath.Join(c.Dir, name+".partial"))
}

// exists tells whether path is there. Any other trouble is left to the one who
// opens it.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
