package sqlitestore

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"penstock"
)

// cache keeps what List read last for as long as nothing was written: clients
// that wait for a status ask again and again, and reading a hundred documents
// takes a hundred times as long as copying them.
type cache struct {
	written atomic.Uint64 // counts transactions that may have changed something

	mu   sync.Mutex
	read uint64 // what written was before list was read, plus one; 0 for never
	list []penstock.Integration
}

// get returns a copy of what is kept, if it is what the file holds: no write
// that has returned is missing in it.
func (c *cache) get() ([]penstock.Integration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read != c.written.Load()+1 {
		return nil, false
	}
	return clones(c.list), true
}

// put keeps what was read after written had been that.
func (c *cache) put(written uint64, list []penstock.Integration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.list = written+1, clones(list)
}

// List implements penstock.Store.
func (s *Store) List(ctx context.Context) ([]penstock.Integration, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if all, ok := s.cache.get(); ok {
		return all, nil
	}
	written := s.cache.written.Load()
	all, err := list(ctx, s.db)
	if err == nil {
		s.cache.put(written, all)
	}
	return all, err
}

// clones returns copies that share nothing with the originals.
func clones(list []penstock.Integration) []penstock.Integration {
	copies := slices.Clone(list)
	for i, in := range copies {
		copies[i].WrappedKey = slices.Clone(in.WrappedKey)
		copies[i].EncryptionContext = maps.Clone(in.EncryptionContext)
		copies[i].Tags = slices.Clone(in.Tags)
		copies[i].Problems = slices.Clone(in.Problems)
		copies[i].Databases = slices.Clone(in.Databases)
	}
	return copies
}
