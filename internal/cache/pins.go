package cache

import (
	"context"
	"errors"
	"fmt"

	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// pins is what is stored of the keys of conversations that a user has seen.
const pins = "pins"

// PinsKey is the key that pins are stored under.
func (u *User) PinsKey() string { return u.cache.Key(u.id(), pins) }

// Pins returns what EditPins stored last, nil if there is nothing.
func (u *User) Pins(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	raw, err := u.cache.cfg.Store.Get(ctx, u.PinsKey())
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("storage: %w", wait.Because(ctx, err))
	}
	return raw, nil
}

// editAttempts bounds the attempts while other processes edit the pins.
const editAttempts = 12

// EditPins replaces what is stored by what edit makes of it, also beside other
// processes. After a logout it stores nothing. edit may be called several times.
func (u *User) EditPins(ctx context.Context, edit func(old []byte) ([]byte, error)) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err := u.change(ctx, &u.account.pinning, func(ctx context.Context) error {
		for range editAttempts {
			old, err := u.Pins(ctx)
			if err != nil {
				return err
			}
			edited, err := edit(old)
			if err != nil {
				return err
			}
			if done, err := u.cache.cfg.Store.CompareAndSwap(ctx, u.PinsKey(), old, edited); err != nil || done {
				return err
			}
		}
		return errors.New("the pins keep changing")
	})
	if err != nil {
		return fmt.Errorf("storage: %w", wait.Because(ctx, err))
	}
	return nil
}
