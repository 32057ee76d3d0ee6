package outbox

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// Keys lists what waits in the outboxes of a Store: the keys of the messages by the
// Config.Key of their outbox, which ends in "/outbox". It reads no message.
func Keys(ctx context.Context, store storage.Lister, prefix string) (map[string][]string, error) {
	out := map[string][]string{}
	for key, err := range store.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("storage: %w", wait.Because(ctx, err))
		}
		if box, ok := boxOf(key); ok {
			out[box] = append(out[box], key)
		}
	}
	return out, nil
}

// boxOf is the outbox that a key belongs to, if it is the key of a message.
func boxOf(key string) (string, bool) {
	const name = "/outbox"
	i := strings.LastIndex(key, name+"/")
	if i < 0 {
		return "", false
	}
	segment, slot, ok := strings.Cut(key[i+len(name)+1:], "/")
	if _, err := strconv.ParseUint(slot, 10, 64); !ok || err != nil || segment == claims {
		return "", false
	}
	return key[:i+len(name)], true
}

// Sender reads who sent a message that waits.
func Sender(ctx context.Context, store storage.Store, key string) (string, error) {
	raw, err := store.Get(ctx, key)
	if err != nil {
		return "", fmt.Errorf("storage: %w", wait.Because(ctx, err))
	}
	rec, err := parseRecord(raw)
	if err != nil {
		return "", fmt.Errorf("storage: the message under %q cannot be read: %w", key, errUnreadable)
	}
	return wire.Text(rec.Data[wire.From]), nil
}
