package privicore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/privicore/privicore-go/internal/atomicfile"
)

// ErrInsecureCache means that the file of a FileTokenCache does not belong to the user
// of the process alone. Another user may have read or written the tokens in it.
var ErrInsecureCache = errors.New("the token cache can be used by other users")

const (
	// lockPoll is how often a process looks whether the lock is free.
	lockPoll = 10 * time.Millisecond
	// maxCacheFile bounds the file that is read.
	maxCacheFile = 16 << 20
	// cacheVersion is the layout of the file.
	cacheVersion = 1
)

// FileTokenCache returns a TokenCache in the file at path. Processes of one user on one
// machine can share it. A directory that does not exist is made, with mode 0700. The
// file has mode 0600. Beside it is an empty file with ".lock" behind its name, which
// stays. The tokens are not encrypted.
//
// An Update replaces the file as a whole, so that it is good after a process was killed
// while writing. A file that cannot be read as a cache counts as empty, and the next
// Update replaces it. Tokens that have expired are removed.
//
// A file that the group or others may read or write, that belongs to another user, or
// that is not a regular file is neither used nor changed. The error matches
// ErrInsecureCache. A client then works without the cache. Windows has no such modes,
// so access rights are those that the directory gives.
//
// There is one lock for the file, so one process authenticates at a time. Use a file
// for each profile if many profiles authenticate at the same time. There are no locks
// in a browser (js/wasm), where every Update is an error.
func FileTokenCache(path string) TokenCache { return &fileTokenCache{path} }

type fileTokenCache struct{ path string }

// Format writes the path for every verb.
func (c *fileTokenCache) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "FileTokenCache "+c.path)
}

// cacheFile is the file as JSON.
type cacheFile struct {
	Version int                   `json:"version"`
	Tokens  map[string]cacheEntry `json:"tokens"`
}

// cacheEntry is a CachedToken that encoding/json writes.
type cacheEntry struct {
	Token        string    `json:"token,omitempty"`
	RefreshToken string    `json:"refreshToken,omitempty"`
	ExpiresAt    time.Time `json:"expiresAt,omitzero"`
	ObtainedAt   time.Time `json:"obtainedAt,omitzero"`
}

func newCacheEntry(t CachedToken) cacheEntry {
	// UTC also drops the monotonic clock, so that entries can be compared.
	return cacheEntry{t.Token.Reveal(), t.RefreshToken.Reveal(), t.ExpiresAt.UTC().Round(0), t.ObtainedAt.UTC().Round(0)}
}

func (e cacheEntry) cached() CachedToken {
	return CachedToken{NewSecret(e.Token), NewSecret(e.RefreshToken), e.ExpiresAt, e.ObtainedAt}
}

// expired reports whether nothing can be done any more with the token. One that had
// expired when it came was measured by clocks that differ.
func (e cacheEntry) expired() bool {
	return e.RefreshToken == "" && e.ExpiresAt.After(e.ObtainedAt) && time.Now().After(e.ExpiresAt)
}

// Update implements TokenCache.
func (c *fileTokenCache) Update(ctx context.Context, key string, change func(old CachedToken) (CachedToken, error)) error {
	if err := os.MkdirAll(filepath.Dir(c.path), 0o700); err != nil {
		return err
	}
	// The lock is on a file of its own, because the cache is replaced by a new file.
	lock := flock.New(c.path + ".lock")
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return fmt.Errorf("lock %s.lock: %w", c.path, err)
	}
	defer func() { _ = lock.Unlock() }() // closing the file unlocks it in any case
	tokens, err := c.read()
	if err != nil {
		return err
	}
	old := tokens[key]
	changed, err := change(old.cached())
	if err != nil {
		return err
	}
	entry := newCacheEntry(changed)
	if entry == old {
		return nil
	}
	if tokens[key] = entry; changed.IsZero() {
		delete(tokens, key)
	}
	return c.write(tokens)
}

// read returns the tokens in the file. There are none if the file does not exist or is
// no cache.
func (c *fileTokenCache) read() (map[string]cacheEntry, error) {
	none := make(map[string]cacheEntry)
	// It looks before it opens, because opening a pipe may block for ever.
	info, err := os.Stat(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err == nil {
		err = c.refuse(info)
	}
	if err != nil {
		return nil, err
	}
	file, err := os.Open(c.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err = file.Stat(); err == nil {
		err = c.refuse(info) // the file that was opened may be another one
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxCacheFile))
	if err != nil {
		return nil, err
	}
	var content cacheFile
	if json.Unmarshal(data, &content) != nil || content.Version != cacheVersion || content.Tokens == nil {
		return none, nil
	}
	return content.Tokens, nil
}

// refuse returns an error if others may have read or written the file.
func (c *fileTokenCache) refuse(info fs.FileInfo) error {
	var problem string
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		problem = "is not a regular file"
	case mode.Perm()&0o077 != 0 && hasModes:
		problem = fmt.Sprintf("has mode %#o, not 0600", mode.Perm())
	case !isOwn(info):
		problem = "belongs to another user"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s %s", ErrInsecureCache, c.path, problem)
}

// write replaces the file.
func (c *fileTokenCache) write(tokens map[string]cacheEntry) error {
	for key, entry := range tokens {
		if entry.expired() {
			delete(tokens, key)
		}
	}
	data, err := json.Marshal(cacheFile{cacheVersion, tokens})
	if err != nil {
		return err
	}
	file, err := atomicfile.CreateLocked(c.path)
	if err != nil {
		return err
	}
	defer file.Discard()
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Commit()
}
