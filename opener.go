package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/bodies"
	"github.com/fliplet/fliplet-chat-go/internal/envelope"
	"github.com/fliplet/fliplet-chat-go/internal/pins"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// Opener turns rows into messages, for exporters and auditors that read rows with a
// [datasource.Client], from a file or from a data base. It needs no Chat and no login,
// and makes no request, unless its Keys do. Bodies are opened and judged as by a Chat:
// Message.Protection and Message.Err say the same.
//
// Of the rows of one conversation, sender and guid (without a guid: with the same sealed
// text) whose authenticated bodies this Opener has opened, the one with the lowest id
// counts, unless the Opener has read something else in it before; every other is
// [ErrTampered]. What was opened before a row with a lower id was returned as genuine, so
// open rows in the order of their ids. The last 4,096 such rows or more are known.
//
// Make one with [NewOpener] or [Conversation.Opener]. An Opener is safe for concurrent
// use.
type Opener struct {
	bodies *bodies.Bodies
	source int64 // of rows that do not say; 0 if it is not known
	userID string
	keys   bool // there are Keys, which may also open columns
}

// OpenerOptions say what an [Opener] opens with: at least one of Source, Keys and
// Cipher. Give the values that the Chat has which wrote the rows.
type OpenerOptions struct {
	// Source is the conversation's data source. Its definition holds the passphrase of
	// the conversation, if Keys is nil. With it, rows without a DataSourceID are rows of
	// this conversation.
	Source *datasource.DataSource
	// Keys gives the passphrases, instead of the definition. A [Keystore] reads the key of
	// Fliplet's sync agent, with two requests when it is first needed.
	Keys Keys
	// Cipher opens authenticated bodies.
	Cipher *Cipher
	// MinProtection withholds bodies that are less protected, as Options.MinProtection.
	MinProtection Protection
	// UserID is the flUserId that Message.IsReadByCurrentUser asks for. Default: nobody's.
	UserID string
}

// Format prints nothing of the options: keys are among them.
func (o OpenerOptions) Format(f fmt.State, _ rune) { fmt.Fprint(f, "chat.OpenerOptions(redacted)") }

// NewOpener returns an Opener for rows of one conversation, or, without a Source, of
// any.
//
// Errors: [ErrInvalid] when there is nothing to open with, and for an unusable option.
func NewOpener(opts OpenerOptions) (_ *Opener, err error) {
	defer wrap("new opener", &err)
	switch {
	case opts.Source == nil && opts.Keys == nil && opts.Cipher == nil:
		return nil, invalid("OpenerOptions: nothing to open with; give it a Source, Keys or a Cipher")
	case opts.Source != nil && opts.Source.ID <= 0:
		return nil, invalid("OpenerOptions.Source: %d is not the id of a data source", opts.Source.ID)
	case opts.MinProtection < Plain || opts.MinProtection > Authenticated:
		return nil, invalid("OpenerOptions.MinProtection: %d is none of Plain, Encrypted and Authenticated", int(opts.MinProtection))
	case opts.MinProtection == Authenticated && opts.Cipher == nil:
		return nil, invalid("OpenerOptions.MinProtection: Authenticated takes a Cipher")
	}
	keys := opts.Keys
	var source int64
	if ds := opts.Source; ds != nil {
		source = ds.ID
	}
	if keys == nil {
		keys = definitionKey{}
		if opts.Source != nil {
			keys = definitionKey{source, wire.ParseDefinition(opts.Source.Definition), false}
		}
	}
	return newOpener(source, keys, opts.Keys != nil, opts.Cipher, opts.MinProtection, opts.UserID), nil
}

func newOpener(source int64, keys Keys, own bool, cipher *Cipher, least Protection, userID string) *Opener {
	b := &bodies.Bodies{
		Least: bodies.Protection(least), Writer: bodies.Plain, Keys: keys,
	}
	if cipher != nil {
		b.Sealed, b.Unsealed = cipher.seal, cipher.open
	}
	return &Opener{bodies: b, source: source, userID: userID, keys: own}
}

// definitionKey are the Keys of one conversation: the passphrase in its definition, or
// the computed one where there is none.
type definitionKey struct {
	source  int64
	def     wire.Definition
	changed bool // another one was seen before
}

func (k definitionKey) Key(_ context.Context, conversationID int64) (string, error) {
	switch {
	case k.source == 0:
		return "", errors.New("the Opener has neither Keys nor a definition")
	case conversationID != k.source:
		return "", fmt.Errorf("the Opener has the key of conversation %d", k.source)
	case k.changed:
		return "", pins.ErrChanged
	case !k.def.BodyKeyIsText():
		return "", errors.New("the definition holds a key that is not text")
	}
	if key := k.def.BodyKey(); key != "" {
		return key, nil
	}
	return wire.FallbackBodyKey(k.source), nil
}

// Opener returns an Opener for rows of the conversation, with the keys and the
// MinProtection of the Chat that read it, and the conversation's own key as it was read.
// It goes on to work after a logout and after Close. It makes no request.
func (v *Conversation) Opener() *Opener {
	if v == nil {
		return newOpener(0, definitionKey{}, false, nil, Plain, "")
	}
	own := definitionKey{v.ID, v.current(), v.chat != nil && v.chat.pins.Refused(v.ID)}
	if v.chat == nil {
		return newOpener(v.ID, own, false, nil, Plain, v.userID)
	}
	o := v.chat.opts
	if o.Keys != nil {
		return newOpener(v.ID, o.Keys, true, o.Cipher, o.MinProtection, v.userID)
	}
	return newOpener(v.ID, own, false, o.Cipher, o.MinProtection, v.userID)
}

// Message returns the message of a row, which it does not change. Like a Chat it
// returns every message: why a body does not open is in Message.Err.
func (o *Opener) Message(ctx context.Context, row datasource.Entry) *Message {
	row.Data = wire.CloneMap(row.Data)
	row.DataSourceID = o.sourceOf(row)
	m := decode(ctx, o.bodies, &row, o.userID, false)
	if m.Err != nil && m.ConversationID <= 0 {
		m.Err = &Error{Op: "read body", Err: fmt.Errorf("%w: %w", m.Err, invalid("row.DataSourceID: 0; set it, or give the Opener a Source"))}
	}
	return m
}

func (o *Opener) sourceOf(row datasource.Entry) int64 {
	if row.DataSourceID == 0 {
		return o.source
	}
	return row.DataSourceID
}

// Columns returns the columns of a row with those opened that Fliplet's sync agent has
// encrypted (encrypt.fields of its configuration); the row is not changed. Name the
// columns; without names every text in the agent's format is opened. The key is that of
// the Opener's Keys, such as a [Keystore].
//
// The agent encrypts text and leaves empty values as they are, and so does Columns. Of
// the named columns MinProtection withholds those that are not encrypted. With an error
// all other columns are opened, and those that the error names are as stored.
//
// Errors: [ErrInvalid] without Keys; for each column [ErrUnreadable] and a reason, such as
// [ErrWrongKey], joined.
func (o *Opener) Columns(ctx context.Context, row datasource.Entry, names ...string) (_ M, err error) {
	defer wrap("open columns", &err)
	if !o.keys {
		return nil, invalid("OpenerOptions.Keys: nil; give it a Keystore, or Keys of your own")
	}
	if row.Err != nil {
		return nil, unreadable(&row)
	}
	data := wire.CloneMap(row.Data)
	if len(names) == 0 {
		for name, stored := range data {
			if text, ok := stored.(string); ok && envelope.LooksPassphrase(text) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
	}
	var errs []error
	for _, name := range names {
		text, isText := data[name].(string)
		switch {
		case data[name] == nil || isText && text == "":
			continue
		case !isText && o.bodies.Least == bodies.Plain:
			continue
		}
		opened, _, err := o.bodies.Open(ctx, envelope.Binding{ConversationID: o.sourceOf(row)}, data[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("column %q: %w", name, err))
		}
		data[name] = opened
	}
	return data, errors.Join(errs...)
}

// Format prints the kind of value and the conversation.
func (o *Opener) Format(f fmt.State, _ rune) {
	if o == nil || o.source == 0 {
		fmt.Fprint(f, "chat.Opener(redacted)")
		return
	}
	fmt.Fprintf(f, "chat.Opener(conversation %d, redacted)", o.source)
}
