package chat

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// Reencryption is the progress of [Chat.Reencrypt].
type Reencryption struct {
	// Seen counts the messages read, over all passes.
	Seen int
	// Moved counts the bodies written in the new format, including those of earlier,
	// interrupted calls.
	Moved int
	// Unreadable counts the bodies that this pass did not change because no key opens
	// them or Options.MinProtection refuses them.
	Unreadable int
	// Pass begins at 1. Passes end with one that finds nothing to move, at most the
	// fifth.
	Pass int
	// MessageID is the last message read.
	MessageID int64
}

// Reencrypt moves the bodies of a conversation to the format that this Chat writes:
// to the key that is the Cipher's writer, or without one from plain text to the
// passphrase format. It changes nothing else in the rows, and no body that has the
// format already. progress, which may be nil, is called after each page and each
// write; it must not block.
//
// Reencrypt may be interrupted at any point, even by the end of the process. Its
// progress is kept in Storage, and the next call resumes there. No body is encrypted
// twice. Each of the passes, at least two, makes one request per 200 messages and one
// per body that it moves.
//
// Members can go on writing. The server replaces a body only if it is still the one
// that was read; a message that is edited meanwhile is read again. Further passes
// look for bodies that programs with older options have written meanwhile; change
// the options of those programs first.
//
// For members each move is an edit: streams deliver the message as an update. A body
// that was not authenticated may have been changed by others, and Reencrypt cannot
// detect that. Check such bodies first, or set Options.MinProtection to skip them.
//
// Concurrent calls for one conversation are safe, but repeat each other's requests.
// Reencrypt needs no login.
//
// Errors: [ErrInvalid] when this Chat does not encrypt; [ErrNotFound];
// [ErrKeyUnavailable]; [ErrClosed]; the server's error. The result is valid also
// with an error.
func (c *Chat) Reencrypt(ctx context.Context, conversationID int64, progress func(Reencryption)) (_ Reencryption, err error) {
	defer wrap("reencrypt", &err)
	if conversationID <= 0 {
		return Reencryption{}, invalid("conversationID: %d is not the id of a conversation", conversationID)
	}
	if err := c.made(); err != nil {
		return Reencryption{}, err
	}
	if c.writes() == Plain {
		return Reencryption{}, invalid("Options.EncryptMessages: not set, so there is nothing to move bodies to")
	}
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return Reencryption{}, err
	}
	defer end()
	m, err := c.mover(ctx, conversationID, progress)
	if err != nil {
		return Reencryption{}, err
	}
	err = m.run(ctx)
	return m.Reencryption, err
}

// maxPasses bounds the passes while programs with older options keep writing.
const maxPasses = 5

// mover moves the bodies of one conversation.
type mover struct {
	Reencryption
	chat         *Chat
	conversation int64
	progress     func(Reencryption)
	key          string // in Storage
	target       string
}

// savedPass is the progress of the first pass, kept in Storage.
type savedPass struct {
	Target string `json:"target"`
	After  int64  `json:"after"`
	Moved  int    `json:"moved"`
}

func (c *Chat) mover(ctx context.Context, conversationID int64, progress func(Reencryption)) (*mover, error) {
	m := &mover{chat: c, conversation: conversationID, progress: progress, target: c.target()}
	m.Pass = 1
	host := c.client.BaseURL()
	if u, err := url.Parse(host); err == nil && u.Host != "" {
		host = u.Host
	}
	m.key = fmt.Sprintf("fl-chat-reencrypt/%s/%d", host, conversationID)
	raw, err := c.store.Get(ctx, m.key)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, fmt.Errorf("storage: %w", err)
	}
	var saved savedPass
	if err == nil && json.Unmarshal(raw, &saved) == nil && saved.Target == m.target {
		m.MessageID, m.Moved = saved.After, saved.Moved
	}
	return m, nil
}

// target names the format that this Chat writes. Saved progress is valid only for
// the same one.
func (c *Chat) target() string {
	if c.writes() == Authenticated {
		return "key " + c.opts.Cipher.Writer()
	}
	return "passphrase"
}

// run makes passes until one moves nothing.
func (m *mover) run(ctx context.Context) error {
	for {
		before := m.Moved
		if err := m.pass(ctx); err != nil {
			return err
		}
		if m.Pass > 1 && m.Moved == before || m.Pass == maxPasses {
			return m.forget(ctx)
		}
		m.Pass++
		m.MessageID, m.Unreadable = 0, 0
	}
}

// pass reads every message once, by ascending id.
func (m *mover) pass(ctx context.Context) error {
	for {
		rows, err := m.page(ctx)
		if err != nil || len(rows) == 0 {
			return err
		}
		for i := range rows {
			if err := m.move(ctx, &rows[i]); err != nil {
				return err
			}
			m.MessageID = rows[i].ID
			m.Seen++
		}
		if err := m.save(ctx); err != nil {
			return err
		}
		m.report()
	}
}

func (m *mover) report() {
	if m.progress != nil {
		m.progress(m.Reencryption)
	}
}

// page reads the messages after the last one.
func (m *mover) page(ctx context.Context) ([]datasource.Entry, error) {
	rows, err := m.chat.client.Find(ctx, m.conversation, datasource.Query{
		Type: "select", ID: M{"$gt": m.MessageID}, Limit: batchSize,
		Order: []datasource.Order{{Column: "id", Direction: datasource.Asc}},
	})
	if err != nil {
		return nil, missing(err, "conversation", m.conversation)
	}
	full := len(rows) >= batchSize
	rows = slices.DeleteFunc(rows, func(e datasource.Entry) bool { return e.ID <= m.MessageID })
	if full && len(rows) == 0 {
		return nil, errors.New("the server does not page by id")
	}
	slices.SortFunc(rows, func(a, b datasource.Entry) int { return cmp.Compare(a.ID, b.ID) })
	return rows, nil
}

// save keeps the position of the first pass; later ones begin anew.
func (m *mover) save(ctx context.Context) error {
	if m.Pass > 1 {
		return nil
	}
	raw, err := json.Marshal(savedPass{Target: m.target, After: m.MessageID, Moved: m.Moved})
	if err == nil {
		err = m.chat.store.Set(ctx, m.key, raw)
	}
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

func (m *mover) forget(ctx context.Context) error {
	if err := m.chat.store.Delete(ctx, m.key); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// move writes one row in the new format. If the row was changed meanwhile, or the
// outcome of the write is unknown, it reads the row again.
func (m *mover) move(ctx context.Context, row *datasource.Entry) error {
	for range changeAttempts {
		stored := wire.Text(row.Data[wire.Body])
		if stored == "" || deleted(*row) || m.chat.target() != m.target {
			return m.sameTarget()
		}
		row.DataSourceID = m.conversation
		sealed, err := m.reseal(ctx, row, stored)
		if errors.Is(err, ErrKeyUnavailable) {
			return err // the key may be available later
		}
		if errors.Is(err, ErrUnreadable) {
			m.Unreadable++
			m.chat.log.Warn("a body was left as it is", "conversation", m.conversation, "message", row.ID, "error", err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("message %d: %w", row.ID, err)
		}
		if sealed == "" {
			return nil
		}
		done, err := m.replace(ctx, row, stored, sealed)
		if err != nil && !datasource.Doubtful(err) {
			return missing(err, "conversation", m.conversation)
		}
		if done {
			m.Moved++
			m.report()
			return nil
		}
		fresh, err := m.chat.client.FindByID(ctx, m.conversation, row.ID)
		if errors.Is(err, datasource.ErrNotFound) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		if wire.Text(fresh.Data[wire.Body]) == sealed { // written, but the answer was lost
			m.Moved++
			m.report()
			return nil
		}
		row = fresh
	}
	return fmt.Errorf("message %d keeps changing", row.ID)
}

// sameTarget returns an error if the Cipher's writer was changed meanwhile.
func (m *mover) sameTarget() error {
	if m.chat.target() != m.target {
		return errors.New("the Cipher's writer was changed meanwhile; call again")
	}
	return nil
}

// reseal returns a row's body in the new format, "" if it has that already.
func (m *mover) reseal(ctx context.Context, row *datasource.Entry, stored string) (string, error) {
	c, at := m.chat, binding(row)
	body, err := c.open(ctx, at, stored)
	if err != nil {
		return "", err
	}
	_, had, err := c.decrypt(ctx, at, stored)
	if err != nil || body == "" || m.upToDate(stored, had) {
		return "", err
	}
	sealed, err := c.seal(ctx, at, body)
	if err != nil {
		return "", err
	}
	// A body that cannot be opened must not replace one that can.
	if again, err := c.open(ctx, at, sealed); err != nil || again != body {
		return "", errors.Join(errors.New("the sealed body cannot be read back"), err)
	}
	return sealed, nil
}

// upToDate reports whether a readable body has the new format.
func (m *mover) upToDate(stored string, had Protection) bool {
	if m.chat.writes() == Authenticated {
		id, ok := envelope.KeyID(stored)
		return ok && "key "+id == m.target
	}
	return had >= Encrypted
}

// replace writes a body if the stored one is still the one that was read. The server
// compares and writes in one step.
func (m *mover) replace(ctx context.Context, row *datasource.Entry, stored, sealed string) (bool, error) {
	where := M{wire.Body: M{"$eq": stored}}
	if guid := wire.Text(row.Data[wire.GUID]); guid != "" {
		where[wire.GUID] = guid
	}
	rows, err := m.chat.client.UpdateWhere(ctx, m.conversation, datasource.Query{ID: row.ID, Where: where}, M{wire.Body: sealed})
	if err != nil {
		return false, err
	}
	for i := range rows {
		if rows[i].ID != row.ID {
			return false, fmt.Errorf("the server changed message %d instead of %d", rows[i].ID, row.ID)
		}
	}
	return len(rows) == 1 && wire.Text(rows[0].Data[wire.Body]) == sealed, nil
}
