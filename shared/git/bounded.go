package git

import (
	"errors"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage"
	"github.com/go-git/go-git/v5/storage/memory"
)

var errTooLarge = errors.New("the repository unpacks to too much")

// bounded keeps objects in memory, up to a limit: a small pack can unpack to much.
type bounded struct {
	*memory.Storage
	left int64
}

func newBounded(limit int64) *bounded { return &bounded{memory.NewStorage(), limit} }

// Module is for submodules, which are not read.
func (*bounded) Module(string) (storage.Storer, error) {
	return nil, errors.New("submodules are not read")
}

func (b *bounded) take(size int64) error {
	if b.left -= size; size < 0 || b.left < 0 {
		return errTooLarge
	}
	return nil
}

// LazyWriter takes an object as it is unpacked: what announces too much is refused before it is, what is more than it announced while it is.
func (b *bounded) LazyWriter() (io.WriteCloser, func(plumbing.ObjectType, int64) error, error) {
	w := &writer{of: b}
	return w, func(typ plumbing.ObjectType, size int64) error {
		w.object.SetType(typ)
		w.object.SetSize(size)
		w.left = size
		return b.take(size)
	}, nil
}

type writer struct {
	of     *bounded
	object plumbing.MemoryObject
	left   int64
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.left -= int64(len(p)); w.left < 0 {
		return 0, errTooLarge
	}
	return w.object.Write(p)
}

// Close keeps the object.
func (w *writer) Close() error {
	_, err := w.of.Storage.SetEncodedObject(&w.object)
	return err
}

// SetEncodedObject keeps an object that a delta was resolved to.
func (b *bounded) SetEncodedObject(o plumbing.EncodedObject) (plumbing.Hash, error) {
	if err := b.take(o.Size()); err != nil {
		return plumbing.ZeroHash, err
	}
	return b.Storage.SetEncodedObject(o)
}
