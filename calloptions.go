package chat

import (
	"strings"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// Options of single calls; a nil one is none. The compiler checks which call accepts which.
type (
	// LoginOption changes a [Chat.Login].
	LoginOption interface{ applyLogin(*callOptions) }
	// ContactsOption changes a [Chat.Contacts].
	ContactsOption interface{ applyContacts(*callOptions) }
	// ConversationsOption changes a [Chat.Conversations].
	ConversationsOption interface{ applyConversations(*callOptions) }
	// MessagesOption changes a [Chat.Messages].
	MessagesOption interface{ applyMessages(*callOptions) }
	// FetchOption changes a [ConversationMessages.Fetch].
	FetchOption interface{ applyFetch(*callOptions) }
	// StreamOption changes a [Chat.Stream].
	StreamOption interface{ applyStream(*callOptions) }
	// PollOption changes a [Chat.Poll].
	PollOption interface{ applyPoll(*callOptions) }
)

// callOptions are the options of one call together.
type callOptions struct {
	offline bool
	reset   bool
	where   M
	limit   *int
	offset  int
	skips   bool              // Offset was given
	query   *datasource.Query // of a call with Query
	counts  bool              // Total was given
	total   *int
	order   []datasource.Order
	in      []int64
	scoped  bool
	onGap   func(Gap)
	onError func(error)
	from    From
	noMarks bool
	filters []FilterOption

	overRows    bool // where is a condition over rows, not columns
	anyOperator bool // of a login
	withToken   bool
}

// chosen are the options of a call, over those that hold by default. A nil option chooses nothing.
func chosen[C any, O comparable](defaults C, opts []O, apply func(O, *C)) C {
	var none O
	for _, opt := range opts {
		if opt != none {
			apply(opt, &defaults)
		}
	}
	return defaults
}

// check reports what is wrong with the options of a call.
func (o *callOptions) check() error {
	if o.limit != nil && *o.limit <= 0 {
		return invalid("Limit: %d; give a positive number, or leave it out", *o.limit)
	}
	if o.offset < 0 {
		return invalid("Offset: %d is negative", o.offset)
	}
	for _, ord := range o.order {
		if strings.TrimSpace(ord.Column) == "" {
			return invalid("OrderBy: the column is empty")
		}
		if d := strings.ToUpper(string(ord.Direction)); d != "" && d != string(datasource.Asc) && d != string(datasource.Desc) {
			return invalid("OrderBy: direction %q; use datasource.Asc or datasource.Desc", ord.Direction)
		}
	}
	for _, id := range o.in {
		if id <= 0 {
			return invalid("In: %d is not the id of a conversation", id)
		}
	}
	return nil
}

// check refuses a value that is none of the constants.
func (f From) check() error {
	if f > FromBeginning {
		return invalid("StartAt: %d; use FromNewest, FromNow or FromBeginning", f)
	}
	return nil
}

// FindOption narrows what is returned; see [Limit], [Offset] and [OrderBy]. [Query] has
// the other options.
type FindOption struct{ apply func(*callOptions) }

func (o FindOption) applyContacts(c *callOptions) { o.use(c) }

func (o FindOption) applyMessages(c *callOptions) { o.use(c) }

func (o FindOption) applyFetch(c *callOptions) { o.use(c) }

func (o FindOption) use(c *callOptions) {
	if o.apply != nil {
		o.apply(c)
	}
}

// Where keeps the rows whose columns match a condition, such as
// M{"Email": M{"$iLike": "a@b"}}. It serves [Chat.Contacts] and
// [ConversationMessages.Fetch]; [Chat.Messages] has [WhereRow].
func Where(where M) WhereOption { return WhereOption{where} }

// WhereOption is [Where]. It is not a [FindOption], so that a condition over columns
// does not compile where one over rows is needed.
type WhereOption struct{ where M }

func (o WhereOption) applyContacts(c *callOptions) { c.where = o.where }

func (o WhereOption) applyFetch(c *callOptions) { c.where = o.where }

type whereRowOption M

func (o whereRowOption) applyMessages(c *callOptions) { c.where, c.overRows = M(o), true }

// WhereRow keeps the messages whose rows match a condition. Unlike in [Where], names
// are fields of the row, and columns are under data, as in
// M{"data": M{"$contains": M{"fromUserId": "…"}}} or M{"createdAt": M{"$lt": t}}.
// It serves [Chat.Messages].
func WhereRow(where M) MessagesOption { return whereRowOption(where) }

// Limit returns at most n rows, n > 0.
func Limit(n int) FindOption { return FindOption{func(c *callOptions) { c.limit = &n }} }

// Offset skips n rows, n ≥ 0.
func Offset(n int) FindOption {
	return FindOption{func(c *callOptions) { c.offset, c.skips = n, true }}
}

// OrderBy sorts by a field of the row (id, order, createdAt, updatedAt), or by a
// column, written "data.<column>". A further OrderBy decides among equal rows.
func OrderBy(column string, d datasource.Direction) FindOption {
	return FindOption{func(c *callOptions) {
		c.order = append(c.order, datasource.Order{Column: column, Direction: d})
	}}
}

type inOption []int64

func (o inOption) applyMessages(c *callOptions) { c.in, c.scoped = append(c.in, o...), true }

// In limits [Chat.Messages] to these conversations. In() without ids selects none.
func In(ids ...int64) MessagesOption { return inOption(ids) }

// OfflineOption is [Offline].
type OfflineOption struct{}

func (OfflineOption) applyLogin(c *callOptions) { c.offline = true }

func (OfflineOption) applyContacts(c *callOptions) { c.offline = true }

func (OfflineOption) applyConversations(c *callOptions) { c.offline = true }

func (OfflineOption) applyStream(c *callOptions) { c.offline = true }

// Offline answers from what an earlier session stored: Login prefers the cached
// contact, Contacts and Conversations read only the cache, which may be empty, and
// streams begin with the cached messages.
//
// Login by M{"flUserId": id} takes one read of the Store. A query of an earlier login, apart
// from case and $iLike, takes two, for the last 16 of each user. Any other reads one
// remembered user after the other until one matches.
func Offline() OfflineOption { return OfflineOption{} }

type resetOption struct{}

func (resetOption) applyPoll(c *callOptions) { c.reset = true }

// Reset makes [Chat.Poll] deliver the newest messages again, with IsReplay and without
// IsUpdate, to every listener of the Chat: one that began [FromNow] also gets what was
// there before, and a consumer what it has acknowledged. What is new in the same poll, or history of a conversation joined since the
// last one, does not come twice.
func Reset() PollOption { return resetOption{} }

// From is where a stream, or a consumer without a stored position, begins.
type From uint8

const (
	// FromNewest begins with the newest 200 messages. It is the default.
	FromNewest From = iota
	// FromNow begins with what happens after the start, or a second later: see docs/streaming.md.
	FromNow
	// FromBeginning begins with the oldest message.
	FromBeginning
)

func (f From) start() feed.Start {
	switch f {
	case FromNow:
		return feed.FromNow
	case FromBeginning:
		return feed.FromBeginning
	}
	return feed.FromNewest
}

// StartOption is [StartAt].
type StartOption struct{ from From }

func (o StartOption) applyStream(c *callOptions)     { c.from = o.from }
func (o StartOption) applyConsume(c *consumeOptions) { c.from = o.from }

// StartAt says where a [Chat.Stream], [Chat.Events] or [Chat.Consume] begins:
// [FromNewest], the default, [FromNow] or [FromBeginning]. A consumer that has a
// stored position resumes there instead.
//
// It also says what comes of a conversation that the user joins later: at most its
// newest 200 messages, nothing that was created before the join, or all of it. History
// has [Message.IsHistory] and comes in order, before newer messages of the
// conversation; what is left out is a [Gap]. When somebody else adds the user, a message
// from between the last poll before that and the join itself may come as new.
func StartAt(from From) StartOption { return StartOption{from} }

// GapOption is [OnGap].
type GapOption struct{ fn func(Gap) }

func (o GapOption) applyStream(c *callOptions)     { c.onGap = o.fn }
func (o GapOption) applyConsume(c *consumeOptions) { c.onGap = o.fn }

type readMarksOption struct{}

func (readMarksOption) applyStream(c *callOptions)     { c.noMarks = true }
func (readMarksOption) applyConsume(c *consumeOptions) { c.noMarks = true }

// WithoutReadMarks leaves out updates of which the [Message.Change] is nothing but
// [ChangedReaders]. Marks on messages whose version before is not remembered, such as
// those from before a restart, cannot be told from other changes, and come. It serves [Chat.Stream], [Chat.Events] and [Chat.Consume].
func WithoutReadMarks() ReadMarksOption { return readMarksOption{} }

// ReadMarksOption is [WithoutReadMarks].
type ReadMarksOption interface {
	StreamOption
	ConsumeOption
}

// OnGap makes a [Chat.Stream], [Chat.Events] or [Chat.Consume] call fn with what it
// could not deliver, in order with the messages. Without it gaps are logged, to
// slog.Default() if there is no Options.Logger.
func OnGap(fn func(Gap)) GapOption { return GapOption{fn} }

// ErrorOption is [OnError].
type ErrorOption struct{ fn func(error) }

func (o ErrorOption) applyStream(c *callOptions)     { c.onError = o.fn }
func (o ErrorOption) applyConsume(c *consumeOptions) { c.onError = o.fn }

// OnError makes a [Chat.Stream], [Chat.Events] or [Chat.Consume] tell fn what fails:
// polls, which are made again, the Storage of a consumer, and functions, with the function's own error or a
// [*PanicError] in the chain. Failed polls match [ErrOffline] while the server is
// down. What ends a stream for good is told, too, and is also its Err.
//
// fn is called with one error at a time, on a goroutine of its own, also while the
// stream's function runs; Shutdown waits for it. When it is slow, the oldest of more
// than 16 errors are left out. It is not called any more after Stop, or when Consume or
// the loop over Events has returned, except for a call that is just beginning. It may
// call anything of this package. A panic in it is logged.
func OnError(fn func(error)) ErrorOption { return ErrorOption{fn} }

type anyOperatorOption struct{}

func (anyOperatorOption) applyLogin(c *callOptions) { c.anyOperator = true }

// AnyOperator lets a [Chat.Login] use every operator of the server's query language,
// such as $in, $ne, $gt, $regex and $filters, in its query; without it the query is
// refused. $iLike still matches whole values only.
//
// The risk: where the SDK cannot evaluate an operator ($like, $regex, $where, most of
// $filters) the server alone decides who is logged in, and the first of several
// contacts is taken. Never build such a query from what a user has typed. Operators that
// compare single values, $in, $nin, $not, $nor and $exists are checked here, too, as is
// every other column of the query, and a row that contradicts them logs nobody in; nor
// does one that lacks a column whose value the query asks for.
func AnyOperator() LoginOption { return anyOperatorOption{} }

type withTokenOption struct{}

func (withTokenOption) applyLogin(c *callOptions) { c.withToken = true }

// WithToken puts flUserToken into the JSON of the contact that a [Chat.Login] returns, as
// the JavaScript API does. Without it no JSON has it. The token is a credential: whoever
// has it acts as this user. It is in the JSON of this one value only, not of
// [Chat.User] nor of what is read from that JSON.
func WithToken() LoginOption { return withTokenOption{} }
