package roster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/wait"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// ChangeAttempts bounds the attempts at a change that other clients overwrite.
const ChangeAttempts = 12

// Change is an edit of a conversation's definition on the server. All fields but Member
// and First are required.
type Change struct {
	Conversation int64
	// Member is the user who must be a member before the edit: one who was removed keeps
	// the handles of before. Otherwise the error matches NotFound. "" is for joining.
	Member   string
	NotFound error
	// First is the definition if it was read just now, at the time Since at the
	// earliest. It spares the first Read.
	First *wire.Definition
	Since time.Time
	// Read reads the definition, and Write replaces it and returns it as stored.
	Read  func(ctx context.Context) (wire.Definition, error)
	Write func(ctx context.Context, d wire.Definition) (wire.Definition, error)
	// Edit reports whether it changed anything, and Kept whether a definition has the
	// change.
	Edit, Kept func(wire.Definition) bool
}

// Make makes the change and returns the definition with it: it reads, edits and writes
// the definition, and reads it again.
//
// The server replaces definitions whole and has no conditional write: a client that
// read before our write and writes after it undoes ours. So Make reads again until
// every such write must have happened.
func (c Change) Make(ctx context.Context) (wire.Definition, error) {
	for attempt := range ChangeAttempts {
		began, def, err := c.begin(ctx, attempt)
		if err != nil {
			return def, err
		}
		if c.Member != "" && !def.Has(c.Member) {
			return def, notMember(c.Conversation, c.NotFound)
		}
		def = def.Clone()
		if !c.Edit(def) {
			return def, nil
		}
		if def, err = c.Write(ctx, def); err != nil {
			return def, err
		}
		def, ok, err := c.settled(ctx, began, def)
		if err != nil || ok {
			return def, err
		}
	}
	return wire.Definition{}, fmt.Errorf("conversation %d: other clients kept overwriting the change", c.Conversation)
}

// begin is the definition that an attempt edits, and since when that is known.
func (c Change) begin(ctx context.Context, attempt int) (time.Time, wire.Definition, error) {
	if attempt == 0 && c.First != nil {
		return c.Since, *c.First, nil
	}
	began := time.Now()
	def, err := c.Read(ctx)
	return began, def, err
}

// settled reads the definition until a concurrent change, if it takes about as long
// as our own, must have ended. It reports whether the change is still there.
//
// Each read is a request of a budget that is scarce, so there are two, the first for a
// change that is about to end, and the second when nine times as long has passed as our
// own change took, at least.
func (c Change) settled(ctx context.Context, began time.Time, def wire.Definition) (wire.Definition, bool, error) {
	for range 2 {
		if !c.Kept(def) {
			return def, false, nil
		}
		if err := pause(ctx, began, 2); err != nil {
			return def, false, err
		}
		var err error
		if def, err = c.Read(ctx); err != nil {
			return def, false, err
		}
	}
	return def, c.Kept(def), nil
}

// ShortestPause is what a pause lasts at least. Examples, which run on real time,
// shorten it.
var ShortestPause = 40 * time.Millisecond

// Pause waits one to two times as long as has passed since began: at least
// ShortestPause and less than 2 s.
func Pause(ctx context.Context, began time.Time) error { return pause(ctx, began, 1) }

// pause is Pause with times as long a wait before the random part.
func pause(ctx context.Context, began time.Time, times int) error {
	d := min(max(time.Since(began), ShortestPause), time.Second)
	return wait.Sleep(ctx, time.Duration(times)*d+rand.N(d))
}
