package fliplettest

import (
	"net/http"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// Fault is one thing that a lever does to a request. Faults are values: they
// can be kept, shared and combined.
type Fault struct{ apply flipletd.Fault }

// fault is the common case of one field set.
func fault(set func(*flipletd.Effects)) Fault { return Fault{set} }

// Status answers with a status instead of serving the request, which is not
// applied. The body is the documented one of 401, 403 and 429, and a plain
// message otherwise.
// The body of one from 400 to 499 has a code, as errors of Fliplet alone have.
func Status(code int) Fault {
	return fault(func(fx *flipletd.Effects) { fx.Status = code })
}

// Answer answers with a status and a body instead of serving the request.
func Answer(code int, body string) Fault {
	return fault(func(fx *flipletd.Effects) { fx.Status, fx.Body = code, body })
}

// TooMany answers 429 with a nextValidRequestDate that lies d ahead on the
// server's clock.
func TooMany(d time.Duration) Fault {
	return fault(func(fx *flipletd.Effects) { fx.Status, fx.RetryIn = http.StatusTooManyRequests, d })
}

// Header adds a header to the answer, such as Retry-After.
func Header(name, value string) Fault {
	return fault(func(fx *flipletd.Effects) {
		if fx.Header == nil {
			fx.Header = make(http.Header)
		}
		fx.Header.Set(name, value)
	})
}

// Delay waits before the request is looked at. The wait ends early when the
// client gives up, and the request is then not applied.
func Delay(d time.Duration) Fault {
	return fault(func(fx *flipletd.Effects) { fx.Delay = d })
}

// DelayAnswer waits after the request was applied: a client that times out
// meanwhile cannot know that it was.
func DelayAnswer(d time.Duration) Fault {
	return fault(func(fx *flipletd.Effects) { fx.AnswerDelay = d })
}

// LoseRequest drops the connection before the request is applied.
func LoseRequest() Fault {
	return fault(func(fx *flipletd.Effects) { fx.LoseRequest = true })
}

// LoseAnswer applies the request and drops the connection instead of
// answering.
func LoseAnswer() Fault {
	return fault(func(fx *flipletd.Effects) { fx.LoseAnswer = true })
}

// Cut applies the request and drops the connection half-way through the
// answer.
func Cut() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Cut = true })
}

// Drip sends the answer in pieces of n bytes, with a pause before each: an answer
// that never seems to end. A pause of hours stands for one that stops half-way.
func Drip(n int, pause time.Duration) Fault {
	return fault(func(fx *flipletd.Effects) { fx.DripBytes, fx.DripEvery = n, pause })
}

// Twice applies the request two times and answers once, as when something on
// the way repeats it.
func Twice() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Twice = true })
}

// Partial keeps the first n entries of a bulk import or commit and answers
// 500: batches are documented not to be atomic.
func Partial(n int) Fault {
	return fault(func(fx *flipletd.Effects) { fx.Partial, fx.PartialBatch = true, n })
}

// RefuseToken treats the Auth-token as unknown: 401.
func RefuseToken() Fault {
	return fault(func(fx *flipletd.Effects) { fx.RefuseToken = true })
}

// RefuseChatToken treats a flUserToken as dead: 403.
func RefuseChatToken() Fault {
	return fault(func(fx *flipletd.Effects) { fx.RefuseChatToken = true })
}

// SecondFactor answers a login with the right password 428, until it comes with this code
// as twofactor, which is where public clients send it.
func SecondFactor(code string) Fault {
	return fault(func(fx *flipletd.Effects) { fx.SecondFactor = code })
}

// VisibleAfter lets readers see a write only d later, although its rows carry
// the time at which it was made: a transaction that commits late. The writer's
// answer shows the row at once, and further writes build on it.
func VisibleAfter(d time.Duration) Fault {
	return fault(func(fx *flipletd.Effects) { fx.VisibleAfter = d })
}

// Backdate stamps a write d earlier than it is made.
func Backdate(d time.Duration) Fault {
	return fault(func(fx *flipletd.Effects) { fx.Backdate = d })
}

// MaxJoins refuses a query of more than n joins with 400. How many Fliplet allows is not
// documented. With 0 none is allowed.
func MaxJoins(n int) Fault {
	return fault(func(fx *flipletd.Effects) { fx.MaxJoins = &n })
}

// MostRows gives at most n rows in an answer, whatever was asked for, and does not say that
// there are more: a gateway on the way, or a setting of the server. It acts on [CrossSource],
// [Query] and [ListEntries].
func MostRows(n int) Fault {
	return fault(func(fx *flipletd.Effects) { fx.MostRows = n })
}

// MostBytes is MostRows for the bytes of the columns of all rows. There is at least one row.
func MostBytes(n int) Fault {
	return fault(func(fx *flipletd.Effects) { fx.MostBytes = n })
}

// Everybody answers a cross-source query with the rows of everybody's conversations, as
// if access were not checked.
func Everybody() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Everybody = true })
}

// Lag serves a read from a replica that is d behind. Of rows that changed
// before the lever was pulled only the newest state is known.
func Lag(d time.Duration) Fault {
	return fault(func(fx *flipletd.Effects) { fx.Lag = d })
}

// LogLag lets the audit log have a change only d after it was written, by the clock that
// [Lag] goes by. It acts on [GetLogs] and [Logs], as the next two do.
func LogLag(d time.Duration) Fault {
	return fault(func(fx *flipletd.Effects) { fx.LogLag = d })
}

// LogWithoutChats leaves the changes of rows of conversations out of the audit log: whether
// Fliplet logs messages is not published. The data sources themselves stay in it.
func LogWithoutChats() Fault {
	return fault(func(fx *flipletd.Effects) { fx.LogWithoutChats = true })
}

// LogWithoutRows leaves the single rows of a commit, an import, a restored version and a
// new data source out of the audit log, which then has only the change as a whole.
func LogWithoutRows() Fault {
	return fault(func(fx *flipletd.Effects) { fx.LogWithoutRows = true })
}

// Ignore serves the request as if these parameters had not been sent, neither
// in the query string nor at the top level of a JSON body: order, limit,
// offset, where, includeDeleted, definition, type, attributes, count,
// dataSourceIds, ….
func Ignore(parameters ...string) Fault {
	return fault(func(fx *flipletd.Effects) {
		if fx.Ignore == nil {
			fx.Ignore = make(map[string]bool)
		}
		for _, p := range parameters {
			fx.Ignore[p] = true
		}
	})
}

// Reverse returns result rows in reverse.
func Reverse() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Reverse = true })
}

// Shuffle returns result rows in a random order.
func Shuffle() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shuffle = true })
}

// DuplicateRow returns one result row twice.
func DuplicateRow() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Duplicate = true })
}

// Shapes: where documents disagree or deployments differ, the other answer.

// Host lets v1/user name another base of the API, as the service does for users of another
// region: public clients switch to it.
func Host(base string) Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.Host = base })
}

// CDN gives media objects the address that Fliplet's CDN would have: the base, a slash and
// their path, where this server then has them for everybody, apart from private ones.
// Without it their url is the documented one of the API, which takes a token.
func CDN() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.CDN = true })
}

// OmitFields leaves fields out of entries and data sources: deletedAt, order,
// definition, ….
func OmitFields(names ...string) Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.Omit = add(fx.Shape.Omit, names) })
}

// NullFields sends fields of entries and data sources as null. NullFields("organizationId")
// is what data sources of an app can be like: their appId is there.
func NullFields(names ...string) Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.Null = add(fx.Shape.Null, names) })
}

func add(set map[string]bool, names []string) map[string]bool {
	if set == nil {
		set = make(map[string]bool, len(names))
	}
	for _, n := range names {
		set[n] = true
	}
	return set
}

// OmitDeletedAt leaves out deletedAt of live entries where it is usually null.
func OmitDeletedAt() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.DeletedAt = "never" })
}

// ShowDeletedAt sends deletedAt:null for live entries where it is usually left
// out.
func ShowDeletedAt() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.DeletedAt = "always" })
}

// KeepTombstoneData reports deleted entries with their columns instead of {}.
func KeepTombstoneData() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.KeepTombstones = true })
}

// IDsAsStrings sends ids as texts.
func IDsAsStrings() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.IDsAsStrings = true })
}

// UnknownFields adds a field that nobody knows to entries and data sources.
func UnknownFields() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.UnknownFields = true })
}

// NullLists sends null instead of an empty list.
func NullLists() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.NullLists = true })
}

// EmptyBody answers a success without a body, as one page documents for bulk
// imports.
func EmptyBody() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.EmptyBody = true })
}

// WrapEntry sends a single entry as {"entry":…} instead of bare.
func WrapEntry() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.WrapEntry = true })
}

// WrapBulk answers a bulk import with {"entries":…} instead of an array.
func WrapBulk() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.Bulk = "wrapped" })
}

// CreatedOnInsert answers an insert with 201.
func CreatedOnInsert() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.InsertCreated = true })
}

// CountInEntries answers a cross-source count with {"entries":n} only.
func CountInEntries() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.Count = "entries" })
}

// CountInCount answers a cross-source count with {"count":n} only.
func CountInCount() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.Count = "count" })
}

// CountAsRows answers a cross-source count with the rows themselves.
func CountAsRows() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.Count = "array" })
}

// DeletedCountOnly answers a delete query with {"deletedCount":n} only.
func DeletedCountOnly() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.Deleted = "count" })
}

// DeletedIDsOnly answers a delete query with {"entries":[],"deleted":[…]}.
func DeletedIDsOnly() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.Deleted = "ids" })
}

// DenyWith401 lets access rules refuse single inserts and updates with 401, as
// some deployments do, instead of 400.
func DenyWith401() Fault {
	return fault(func(fx *flipletd.Effects) { fx.Shape.Denied401 = true })
}
