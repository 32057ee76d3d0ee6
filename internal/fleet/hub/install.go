package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Edit changes the hooks of a conversation; changed is false if they are as they should be.
type Edit func(hooks json.RawMessage, conversation int64) (_ json.RawMessage, changed bool, err error)

const (
	// atOnce is how many conversations are changed at the same time.
	atOnce = 4
	// mostTries is how often the hooks of one are written, since others may write them, too.
	mostTries = 3
	// mostReasons is how many failures are named.
	mostReasons = 5
)

// ErrHooksUndone: the hooks were written, and are not there.
var ErrHooksUndone = errors.New("the hooks were written, and the server does not show them; somebody else may be writing them, too")

// CheckBell says what is wrong with the URL of a bell, or with the ids of conversations.
func CheckBell(endpoint string, conversations []int64) error {
	if err := wire.CheckBell(endpoint); err != nil {
		return fmt.Errorf("endpoint: it %w", err)
	}
	for _, id := range conversations {
		if id <= 0 {
			return fmt.Errorf("conversationIDs: %d is not the id of a conversation", id)
		}
	}
	return nil
}

// EditBells installs the bell of a URL in conversations, or removes it, as [Hub.EditHooks] edits
// hooks.
func (h *Hub) EditBells(ctx context.Context, endpoint string, conversations []int64, install bool) (changed int, err error) {
	edit := wire.WithoutBell
	if install {
		edit = wire.WithBell
	}
	return h.EditHooks(ctx, conversations, func(hooks json.RawMessage, id int64) (json.RawMessage, bool, error) {
		return edit(hooks, endpoint, id)
	})
}

// EditHooks edits the hooks of conversations, or of all of the app if there are none, and
// returns how many have become others. It goes on behind those that fail, unless ctx has ended
// or the server takes no request of this token.
func (h *Hub) EditHooks(ctx context.Context, conversations []int64, edit Edit) (changed int, err error) {
	ids := slices.Clone(conversations)
	if len(ids) == 0 {
		all, err := h.source.Conversations(ctx, true)
		if err != nil {
			return 0, err
		}
		for i := range all {
			// The list may have the hooks, and then tells those that need nothing.
			if _, wrong, err := edit(all[i].Hooks, all[i].ID); all[i].ID > 0 && all[i].Type == wire.TypeConversation && (wrong || err != nil || all[i].Hooks == nil) {
				ids = append(ids, all[i].ID)
			}
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	var mu sync.Mutex
	var reasons []error
	failed, over := 0, false
	_ = Each(atOnce, ids, func(id int64) error {
		mu.Lock()
		stop := over
		mu.Unlock()
		if stop {
			return nil
		}
		did, err := h.editHooks(ctx, id, edit)
		mu.Lock()
		defer mu.Unlock()
		if did {
			changed++
		}
		if err != nil {
			if failed++; len(reasons) < mostReasons {
				reasons = append(reasons, fmt.Errorf("conversation %d: %w", id, err))
			}
			over = over || ctx.Err() != nil || errors.Is(err, datasource.ErrUnauthorized)
		}
		return nil // the others go on
	})
	if ctx.Err() != nil {
		return changed, context.Cause(ctx)
	}
	if failed > 0 {
		return changed, fmt.Errorf("%d of %d conversations failed: %w", failed, len(ids), errors.Join(reasons...))
	}
	return changed, nil
}

// editHooks edits those of one conversation. The server replaces all of them, so they are read
// before, and looked at afterwards.
func (h *Hub) editHooks(ctx context.Context, id int64, edit Edit) (changed bool, err error) {
	for range mostTries {
		ds, err := h.cfg.Client.DataSource(ctx, id)
		if err != nil {
			return changed, err
		}
		if ds.Type != wire.TypeConversation {
			return changed, fmt.Errorf("it is %q, not a conversation", ds.Type)
		}
		hooks, wrong, err := edit(ds.Hooks, id)
		if err != nil || !wrong {
			return changed, err
		}
		if _, err := h.cfg.Client.UpdateDataSource(ctx, id, datasource.SourcePatch{Hooks: hooks}); err != nil {
			return changed, err
		}
		changed = true
	}
	return false, ErrHooksUndone
}
