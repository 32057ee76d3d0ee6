package chat

import (
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/rows"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

// QueryOption is [Query].
type QueryOption struct{ q datasource.Query }

func (o QueryOption) applyContacts(c *callOptions) { c.query = &o.q }

func (o QueryOption) applyFetch(c *callOptions) { c.query = &o.q }

// Query gives [Chat.Contacts] and [ConversationMessages.Fetch] every option of a query of
// one data source: attributes, filters by id, createdAt and updatedAt, distinct, views,
// joins, aggregates. An option beside it, such as [Limit], takes the place of its field.
//
//   - Attributes: the columns that contacts and messages are made of come, too, and those
//     of Where, Order and Distinct.
//   - Join: what is joined is in Extra["joins"].
//   - Aggregate: each result has its fields in Extra, and no ID. Bodies are ciphertext
//     there if the conversation's are.
//   - Limit and Offset are the server's to apply with Distinct, Join and Aggregate.
//   - IncludePagination: see [Total].
//
// Tokens and keys are taken out of what is joined. A query with a column flUserToken in
// Join, Aggregate, Distinct or Attributes is refused.
func Query(q datasource.Query) QueryOption { return QueryOption{q} }

// TotalOption is [Total].
type TotalOption struct{ n *int }

func (o TotalOption) applyContacts(c *callOptions) { c.total, c.counts = o.n, true }

func (o TotalOption) applyFetch(c *callOptions) { c.total, c.counts = o.n, true }

// Total stores in n how many rows match, before limit and offset: IncludePagination of
// the JavaScript API. It is -1 when the server does not say, or says it of a query that it
// has ignored. It serves [Chat.Contacts] and [ConversationMessages.Fetch].
func Total(n *int) TotalOption { return TotalOption{n} }

// find is the query of the options of a call.
func (o *callOptions) find() (q datasource.Query, err error) {
	if err := o.check(); err != nil {
		return q, err
	}
	if o.query != nil {
		q = *o.query
	}
	if o.where != nil {
		q.Where = o.where
	}
	if o.limit != nil {
		q.Limit, q.NoLimit = *o.limit, false
	}
	if o.skips {
		q.Offset = o.offset
	}
	if len(o.order) > 0 {
		q.Order = o.order
	}
	o.where, o.order = q.Where, q.Order
	if o.counts && o.total == nil {
		return q, invalid("Total: nil; give where to store the number")
	}
	q.IncludePagination = q.IncludePagination || o.counts
	q.Order = rows.Total(q.Order)
	for field, v := range map[string]any{"Join": q.Join, "Aggregate": q.Aggregate, "Distinct": q.Distinct, "Attributes": q.Attributes} {
		if wire.Mentions(v, wire.UserToken) {
			return q, invalid("Query.%s: %s is a credential; leave it out", field, wire.UserToken)
		}
	}
	if err := q.Check(); err != nil {
		return q, invalid("%v", err)
	}
	return q, nil
}

// complete reports whether the options ask for all contacts, with all columns.
func (o *callOptions) complete() bool {
	return o.query == nil && o.where == nil && o.limit == nil && o.offset == 0
}

// tell stores the total for the caller.
func (o *callOptions) tell(total *int) {
	switch {
	case o.total == nil:
	case total == nil:
		*o.total = -1
	default:
		*o.total = *total
	}
}

// shown are further fields of a row, without credentials.
func shown(extra M) M {
	wire.Hide(extra)
	return extra
}
