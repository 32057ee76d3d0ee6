package storage

import "context"

// encryptedUpdater gives an encrypted Store the transactions of its inner Store.
type encryptedUpdater struct {
	sealed *encrypted
	inner  Transactional
}

// Update is [Transactional.Update].
func (u encryptedUpdater) Update(ctx context.Context, fn func(context.Context, Store) error) error {
	if fn == nil {
		return errNoFunction
	}
	return u.inner.Update(ctx, func(ctx context.Context, tx Store) error {
		e := &encrypted{inner: tx, names: u.sealed.names, values: u.sealed.values}
		// What the transaction itself finds out about the key may be undone.
		e.matches.Store(u.sealed.matches.Load())
		return fn(ctx, e.able())
	})
}
