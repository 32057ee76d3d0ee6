package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
)

const (
	sampleContacts = 1000 // rows that are looked at for keys
	sampleTalks    = 3    // conversations that are looked into
	sampleRows     = 50   // messages of each
	wrongClock     = 5 * time.Second
)

// account is who the token belongs to. Nothing else of the answer is read: it repeats the token.
type account struct {
	ID       int64  `json:"id"`
	Type     string `json:"type"`
	FullName string `json:"fullName"`
}

func (d *doctor) checkToken(ctx context.Context) finding {
	client, err := d.a.Client(ctx)
	if err != nil {
		d.broken = "not checked, there is no usable token"
		return failed(err, "")
	}
	d.client = client
	if err := client.Ping(ctx); err != nil {
		d.broken = "not checked, since the token was not taken"
		f := failed(err, "The answer is not one of Fliplet: check --url and --region.")
		if status(err) == exitOther { // a success that makes no sense, as of a portal
			f.err = errors.Join(exitError(exitService), err)
		}
		f.Text = "from " + d.a.tokenFrom + ", to " + client.BaseURL() + ": " + f.Text
		return f
	}
	var answer struct {
		User account `json:"user"`
	}
	if err := client.Call(ctx, http.MethodGet, "v1/user", nil, nil, &answer); err != nil {
		return look("Who the token belongs to is not known; the rest works without.", "it is taken (from %s), but %s", d.a.tokenFrom, err)
	}
	d.account = answer.User
	return fine("it is taken (from %s): %s %s", d.a.tokenFrom, kindOfToken(answer.User.Type), line(answer.User.FullName))
}

func kindOfToken(t string) string {
	switch t {
	case "user":
		return "a person in Studio,"
	case "appToken":
		return "an API token of an app,"
	case "integrationToken":
		return "a token of an organization,"
	}
	return "a token,"
}

func (d *doctor) checkRegion(context.Context) finding {
	base := d.client.BaseURL()
	for name, api := range apis {
		if api == base {
			return fine("%s, %s", name, base)
		}
	}
	host := base
	if u, err := url.Parse(base); err == nil {
		host = u.Host
	}
	return fine("%s, which is no region of Fliplet's own", host)
}

func (d *doctor) checkClock(context.Context) finding {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	if !d.watch.dated {
		return look("Nothing depends on it but --since.", "the server does not say what time it is")
	}
	off := d.watch.skew.Abs()
	if off <= max(wrongClock, 2*d.watch.margin) {
		return fine("this machine and the server agree")
	}
	direction := "behind"
	if d.watch.skew < 0 {
		direction = "ahead of"
	}
	return look("Set the clock of this machine. --since counts by it; messages have the server's times.", "this machine is %s %s the server", off.Round(time.Second), direction)
}

func (d *doctor) checkContacts(ctx context.Context) finding {
	if d.a.Contacts <= 0 {
		d.broken = "not checked, since the contacts are not known"
		return fail(usagef("no contacts"), "Give the id of the data source with --contacts, or set FLIPLET_CONTACTS. Studio shows it in the settings of the chat.", "nobody has said which data source they are in")
	}
	source, err := d.client.DataSource(ctx, d.a.Contacts)
	if err != nil {
		d.broken = "not checked, since the contacts cannot be read"
		if errors.Is(err, datasource.ErrNotFound) {
			return fail(err, "Check the id: --contacts, FLIPLET_CONTACTS or the configuration.", "there is no data source %d, or the token does not see it", d.a.Contacts)
		}
		return failed(err, "Check --contacts, and that the token may read this data source.")
	}
	d.source = source
	if source.Type == "conversation" {
		d.broken = "not checked, since these are not the contacts"
		return fail(usagef("not the contacts"), "Check --contacts: people are in an ordinary data source.", "%q (%d) is a conversation", line(source.Name), source.ID)
	}
	return fine("%q (%d), %d columns", line(source.Name), source.ID, len(source.Columns))
}

func (d *doctor) checkKey(ctx context.Context) finding {
	key, columns := d.a.keyColumn(), []string{wire.UserID}
	if key != "" {
		columns = append(columns, key)
	}
	result, err := d.client.Select(ctx, d.a.Contacts, datasource.Query{Attributes: columns, Limit: sampleContacts, IncludePagination: true})
	if err != nil {
		return failed(err, "Check that the token may read the contacts.")
	}
	seen, empty, twice, chatted := map[string]bool{}, 0, 0, 0
	users, shared := map[string]int64{}, [][2]int64{}
	for _, e := range result.Entries {
		v := strings.ToLower(cell(e.Data, key))
		switch {
		case v == "":
			empty++
		case seen[v]:
			twice++
		}
		seen[v] = true
		if user := cell(e.Data, wire.UserID); user != "" {
			chatted++
			if first := users[user]; first != 0 {
				shared = append(shared, [2]int64{first, e.ID})
			}
			users[user] = e.ID
		}
	}
	n := len(result.Entries)
	of := fmt.Sprintf("%d contacts", n)
	if result.Total != nil && *result.Total > n {
		of = fmt.Sprintf("the %d newest of %d contacts", n, *result.Total)
	}
	if result.Total != nil && n < min(*result.Total, sampleContacts) { // it may count what the token does not see
		more, err := d.client.Select(ctx, d.a.Contacts, datasource.Query{Attributes: columns, Limit: sampleContacts, Offset: n})
		if err == nil && unseen(result.Entries, more.Entries) > 0 {
			return short(n, min(*result.Total, sampleContacts))
		}
	}
	switch {
	case len(shared) > 0:
		return look("They are one and the same in every conversation, and read each other's: empty flUserId and flUserToken of one of them, and the next login gives it an id of its own, if their keys differ.", "%d of %s have the flUserId of another one, such as rows %d and %d", len(shared), of, shared[0][1], shared[0][0])
	case key == "":
		return look("Give the column that the app identifies people by, with --primary-key.", "nobody has said which column it is, so a first login gets a random id")
	case n == 0:
		return look("Add contacts in Studio.", "there are no contacts")
	case empty == n && !slices.Contains(d.source.Columns, key):
		return fail(usagef("no such column"), "Check --primary-key; the columns are: "+columnsOf(d.source.Columns), "no contact has a column %q", line(key))
	case twice > 0:
		return look("Two people with the same key get the same id, and so the same conversations: make the values different.", "%q: %d of %s have a value that another one has", line(key), twice, of)
	case empty > 0:
		return look("Fill in the column: people without a key cannot be told apart.", "%q: %d of %s have none", line(key), empty, of)
	}
	return fine("%q: all of %s have one of their own, %d have chatted", line(key), of, chatted)
}

// columnsOf lists columns, without those that hold credentials.
func columnsOf(names []string) string {
	var out []string
	for _, name := range names {
		if !strings.HasPrefix(strings.ToLower(name), "fl") && !strings.Contains(strings.ToLower(name), "password") {
			out = append(out, line(name))
		}
	}
	return cmp.Or(strings.Join(out[:min(len(out), 20)], ", "), "none")
}

func (d *doctor) checkLogin(ctx context.Context) finding {
	if d.a.As == "" {
		return look("Give --as, such as --as Email=jane@example.org: what follows is then checked for that person.", "nobody has said who you are")
	}
	query, err := d.a.login()
	if err != nil {
		return failed(err, "")
	}
	column, _, _ := strings.Cut(d.a.As, "=")
	found, err := d.client.Find(ctx, d.a.Contacts, datasource.Query{Where: query, Limit: 10})
	switch {
	case err != nil:
		return failed(err, "Check that the token may read the contacts.")
	case len(found) == 0 && !slices.Contains(d.source.Columns, strings.TrimSpace(column)):
		return fail(chat.ErrContactNotFound, "Check --as; the columns are: "+columnsOf(d.source.Columns), "no contact has a column %q", line(column))
	case len(found) == 0:
		return fail(chat.ErrContactNotFound, "Check --as; flchat contacts lists the people.", "nobody in the contacts matches --as")
	}
	d.me = &found[len(found)-1] // the oldest
	who := fmt.Sprintf("%s (row %d)", cmp.Or(contactName(d.me.Data), "a contact without a name"), d.me.ID)
	switch {
	case len(found) > 1:
		return look("Give a column that only one person has this value in.", "%d contacts match --as; the oldest one counts: %s", len(found), who)
	case cell(d.me.Data, wire.UserID) == "":
		return look("The first login, by any command but this one, writes an id and a token into the row.", "%s has never chatted", who)
	}
	return fine("%s", who)
}

func (d *doctor) checkConversations(ctx context.Context) finding {
	filter := datasource.SourceFilter{Type: "conversation", AppID: d.a.App, Order: "updatedAt", Direction: datasource.Desc}
	whose := "the token sees"
	me := ""
	if d.me != nil && cell(d.me.Data, wire.UserID) != "" {
		me = cell(d.me.Data, wire.UserID)
		filter.Definition = datasource.M{"participants": []string{me}}
		whose = "you are in"
	}
	found, err := d.client.DataSources(ctx, filter)
	if err != nil {
		return failed(err, "Check that the token may list the data sources of the app.")
	}
	for _, s := range found {
		if s.Type == "conversation" && s.DeletedAt == nil && (me == "" || slices.Contains(participants(s), me)) {
			d.talks = append(d.talks, s)
		}
	}
	switch {
	case len(d.talks) == 0 && d.me != nil && me == "":
		return fine("none yet, since you have never chatted")
	case len(d.talks) == 0:
		return look("If there should be some: check --app, and that the token is one of the app's published version.", "%s none", whose)
	}
	return fine("%s %d", whose, len(d.talks))
}

func participants(s datasource.DataSource) []string {
	var definition struct {
		Participants []any `json:"participants"`
	}
	_ = json.Unmarshal(s.Definition, &definition) // what cannot be read has none
	var out []string
	for _, p := range definition.Participants {
		if id, ok := p.(string); ok {
			out = append(out, id)
		}
	}
	return out
}

func (d *doctor) checkEncryption(ctx context.Context) finding {
	kinds, unreadable, rows := map[string]int{}, 0, 0
	for _, s := range d.talks[:min(len(d.talks), sampleTalks)] {
		opener, err := chat.NewOpener(chat.OpenerOptions{Source: &s})
		if err != nil {
			return look("Others may have changed the definition of the conversation.", "conversation %d cannot be opened: %s", s.ID, err)
		}
		found, err := d.client.Find(ctx, s.ID, datasource.Query{Limit: sampleRows})
		if err != nil {
			return failed(err, "Check that the token may read conversations.")
		}
		for _, e := range found {
			switch m := opener.Message(ctx, e); {
			case m.Err != nil:
				unreadable++
			case m.Body != "":
				kinds[m.Protection.String()]++
			}
			rows++
		}
	}
	plain := kinds[chat.Plain.String()]
	sealed := -plain
	for _, n := range kinds {
		sealed += n
	}
	switch {
	case unreadable > 0:
		return look("Their key is not the one of their conversation. Apps with a keystore of their own need a program with Options.Keys.", "%d of the newest %d messages cannot be read", unreadable, rows)
	case plain+sealed == 0:
		return fine("there is no message yet to look at")
	case sealed > 0 && !d.a.Encrypt:
		return look("Give --encrypt, or set FLIPLET_ENCRYPT, so that what you send is encrypted, too.", "%d of %d messages are encrypted, and what you send would not be", sealed, plain+sealed)
	case sealed == 0 && d.a.Encrypt:
		return look("If the app does not encrypt, leave --encrypt out: all clients read both.", "none of %d messages is encrypted, and what you send would be", plain)
	}
	return fine("%d of %d messages are encrypted, and all can be read", sealed, plain+sealed)
}

func (d *doctor) checkAcross(ctx context.Context) finding {
	token := ""
	if d.me != nil {
		token, _ = d.me.Data[wire.UserToken].(string)
	}
	if token == "" {
		return look("Give --as somebody who has chatted.", "not checked: the search over all conversations takes the token of a login")
	}
	query := wire.Cross{Token: token, Order: [][2]string{{"updatedAt", "DESC"}}, Limit: page}
	result, err := d.selectAcross(ctx, query)
	var refused *datasource.Error
	switch {
	case err == nil && len(result.Entries) == 0 && len(d.talks) > 0:
		return look("It is either right, because nobody has written yet, or the server does not know this form of the search. Messages come in any case.", "the search over all conversations finds nothing")
	case err == nil && len(result.Entries) >= suspicious && len(result.Entries) < page:
		query.Offset = len(result.Entries)
		if more, err := d.selectAcross(ctx, query); err == nil && unseen(result.Entries, more.Entries) > 0 {
			return short(len(result.Entries), page)
		}
		return fine("one request finds the messages of all conversations")
	case err == nil:
		return fine("one request finds the messages of all conversations")
	case errors.Is(err, datasource.ErrForbidden):
		return look("The next login makes a new token; then try again.", "the server does not take the token of your last login")
	case errors.As(err, &refused) && !datasource.Temporary(err):
		return look(fmt.Sprintf("Nothing: conversations are then read one by one, which costs up to %d requests for every look.", max(len(d.talks), 1)), "the server does not have the search over all conversations (HTTP %d)", refused.StatusCode)
	}
	return failed(err, "")
}

// suspicious is how many messages there have to be for a second look at whether these are all.
const suspicious = 20

func (d *doctor) selectAcross(ctx context.Context, query wire.Cross) (*datasource.Result, error) {
	body, err := query.Body()
	if err != nil {
		return nil, err
	}
	return d.client.SelectAcross(ctx, body, nil)
}

// unseen is how many rows are not among others.
func unseen(had, found []datasource.Entry) (n int) {
	for i := range found {
		if !slices.ContainsFunc(had, func(e datasource.Entry) bool { return e.ID == found[i].ID }) {
			n++
		}
	}
	return n
}

// short is about a service that answers with fewer rows than it has and was asked for. That costs requests.
func short(got, wanted int) finding {
	return look("What stands between this machine and Fliplet may cut answers: check --url. Nothing is missed, since what is behind an answer that may have been cut is asked for; it costs requests.",
		"of %d rows that were asked for and are there, %d came", wanted, got)
}

func (d *doctor) checkLimits(context.Context) finding {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	w := d.watch
	if w.refused > 0 {
		return look("Something else uses the same token, user or app: see docs/service-accounts.md for what fits.", "%d of %d requests were refused because there had been too many", w.refused, w.requests)
	}
	return fine("%d requests, none refused; flchat keeps to 200 in 10 s", w.requests)
}
