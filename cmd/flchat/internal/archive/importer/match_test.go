package importer_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive"
	"github.com/fliplet/fliplet-chat-go/cmd/flchat/internal/archive/importer"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/internal/wire"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// private is an app with conversations of Jane and Bob, with three messages each.
func private(t *testing.T, talks int) (a *app, ids []int64) {
	a = newApp(t, "Email", "jane", "bob", "eve")
	people := a.userIDs("jane", "bob")
	for i := range talks {
		id := a.talk(people)
		ids = append(ids, id)
		for n := range 3 {
			a.server.AddRows(id, datasource.M{"body": fmt.Sprintf("%d of %d", n, i), "fromUserId": people[n%2], "readBy": []any{people[n%2]}, "guid": fmt.Sprintf("g-%d-%d", i, n)})
		}
	}
	return a, ids
}

func (a *app) userIDs(names ...string) (ids []string) {
	for _, name := range names {
		ids = append(ids, a.login(name).User().UserID)
	}
	return ids
}

func (a *app) talk(people []string, more ...datasource.M) int64 {
	definition := datasource.M{"participants": people, "encryptionKey": "a key"}
	for _, m := range more {
		for k, v := range m {
			definition[k] = v
		}
	}
	return a.server.AddDataSource(datasource.M{"name": "a talk", "type": "conversation", "appId": a.server.AppID, "definition": definition})
}

// members changes who is in a conversation.
func (a *app) members(id int64, people ...string) {
	a.t.Helper()
	ds, err := a.server.Client().DataSource(a.t.Context(), id)
	require.NoError(a.t, err)
	def := wire.ParseDefinition(ds.Definition)
	require.NoError(a.t, def.Set(wire.Participants, people))
	_, err = a.server.Client().UpdateDataSource(a.t.Context(), id, datasource.SourcePatch{Definition: def.JSON()})
	require.NoError(a.t, err)
}

// export writes the archive of Jane, or brings it up to date.
func (a *app) export(path string) *archive.Archive {
	a.t.Helper()
	_, err := archive.Export(a.t.Context(), archive.Options{
		Path: path, API: a.server.URL, Contacts: a.contacts, PrimaryKey: "Email",
		Connect: func(ctx context.Context, store storage.Store) (*chat.Chat, error) {
			return a.connect(ctx, "jane", store)
		},
	})
	require.NoError(a.t, err)
	open, err := archive.Open(a.t.Context(), path)
	require.NoError(a.t, err)
	a.t.Cleanup(func() { _ = open.Close() })
	return open
}

func (a *app) run(from *archive.Archive, change ...func(*importer.Options)) (*importer.Plan, importer.Result) {
	a.t.Helper()
	plan, err := a.prepare(from, change...)
	require.NoError(a.t, err)
	r, err := plan.Run(a.t.Context())
	require.NoError(a.t, err)
	return plan, r
}

func file(t *testing.T) string { return filepath.Join(t.TempDir(), "chat.flchat") }

func TestAPlantedConversationReceivesNothing(t *testing.T) {
	t.Parallel()
	a, talks := private(t, 1)
	from := a.export(file(t))
	said := datasource.M{"metadata": datasource.M{"importedFrom": fmt.Sprintf("%s %d", a.server.URL, talks[0])}}
	for name, who := range map[string][]string{
		"by a stranger": {"mallory"}, "by a member alone": {"bob"}, "by a member with a stranger": {"bob", "mallory"}, "with all members": {"jane", "bob", "mallory"},
	} {
		for _, public := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", public: ", public), func(t *testing.T) {
				to := newApp(t, "Email", "jane", "bob", "mallory")
				planted := to.talk(to.userIDs(who...), said, datasource.M{"group": datasource.M{"public": public}})
				_, r := to.run(from)
				assert.Equal(t, importer.Result{Made: 1, Written: 3}, r)
				assert.Empty(t, to.server.Rows(planted))
				_, r = to.run(from)
				assert.Equal(t, importer.Result{There: 3}, r)
			})
		}
	}
}

func TestAnotherContactsSourceOfTheSameAppIsAnotherImport(t *testing.T) {
	t.Parallel()
	a, _ := private(t, 1)
	from := a.export(file(t))
	to := newApp(t, "Email", "jane", "bob")
	_, r := to.run(from)
	require.Equal(t, importer.Result{Made: 1, Written: 3}, r)
	other := *to
	other.contacts, _ = to.server.AddContacts(datasource.M{"Email": "jane@example.org"}, datasource.M{"Email": "bob@example.org"})
	other.userIDs("jane", "bob")
	_, r = other.run(from)
	assert.Equal(t, importer.Result{Made: 1, Written: 3}, r, "its people are not in the other one")
	_, r = other.run(from)
	assert.Equal(t, importer.Result{There: 3}, r)
}

func TestAnImportIsRecognisedAfterThePeopleThereHaveChanged(t *testing.T) {
	t.Parallel()
	for name, now := range map[string][]string{"somebody joined": {"jane", "bob", "eve"}, "somebody left": {"jane"}, "both": {"jane", "zoe"}} {
		for _, existing := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", in one that was there: ", existing), func(t *testing.T) {
				t.Parallel()
				a, talks := private(t, 1)
				path := file(t)
				from := a.export(path)
				to := newApp(t, "Email", "jane", "bob", "eve", "zoe")
				people := to.userIDs("jane", "bob")
				if existing {
					to.talk(people)
				}
				plan, r := to.run(from)
				require.EqualValues(t, 3, r.Written)
				into := plan.Conversations[0].Into
				to.members(into, to.userIDs(now...)...)
				before := to.rows()
				plan, r = to.run(from)
				assert.Equal(t, importer.Result{There: 3}, r)
				assert.Equal(t, before, to.rows())
				assert.Contains(t, fmt.Sprint(plan.Notes), "other people now")

				// What was said since is not for those who joined.
				a.server.AddRows(talks[0], datasource.M{"body": "later", "fromUserId": a.userIDs("bob")[0], "guid": "later"})
				from = a.export(path)
				_, err := to.prepare(from)
				var usage *archive.UsageError
				require.ErrorAs(t, err, &usage)
				assert.Contains(t, usage.Text, fmt.Sprintf("1 messages of %q are not in conversation %d", "a talk", into))
				assert.Equal(t, before, to.rows())
				to.members(into, people...)
				_, r = to.run(from)
				assert.Equal(t, importer.Result{Written: 1, There: 3}, r)
			})
		}
	}
}

func TestWhatWasImportedForItselfStaysWhereItIs(t *testing.T) {
	t.Parallel()
	a, talks := private(t, 3)
	from := a.export(file(t))
	to := newApp(t, "Email", "jane", "bob")
	there := to.talk(to.userIDs("jane", "bob"))
	only := func(id int64) func(*importer.Options) {
		return func(o *importer.Options) { o.Conversations = []int64{id} }
	}
	plan, _ := to.run(from, only(talks[1]))
	require.Equal(t, there, plan.Conversations[0].Into)
	_, r := to.run(from, only(talks[2]))
	assert.Equal(t, importer.Result{Made: 1, Written: 3}, r, "the one there is another's by now")
	_, r = to.run(from)
	assert.Equal(t, importer.Result{Made: 1, Written: 3, There: 6}, r)
	assert.Len(t, to.rows(), 9)
	_, r = to.run(from)
	assert.Equal(t, importer.Result{There: 9}, r)
}

func TestSomebodyWhoJoinsBetweenThePlanAndTheWritingSeesNothing(t *testing.T) {
	t.Parallel()
	a, _ := private(t, 1)
	from := a.export(file(t))
	to := newApp(t, "Email", "jane", "bob", "eve")
	there := to.talk(to.userIDs("jane", "bob"))
	plan, err := to.prepare(from)
	require.NoError(t, err)
	to.members(there, to.userIDs("jane", "bob", "eve")...)
	_, err = plan.Run(t.Context())
	var usage *archive.UsageError
	require.ErrorAs(t, err, &usage)
	assert.Contains(t, usage.Text, "other people now")
	assert.Empty(t, to.rows())
}

func TestTwoImportsAtOnceAreOne(t *testing.T) {
	t.Parallel()
	from := exported(t)
	for _, way := range []string{"one after the other", "together"} {
		t.Run(way, func(t *testing.T) {
			to := newApp(t, "Email", "jane", "bob", "eve")
			var plans [2]*importer.Plan
			for i := range plans {
				var err error
				plans[i], err = to.prepare(from)
				require.NoError(t, err)
			}
			var results [2]importer.Result
			var errs [2]error
			var both sync.WaitGroup
			for i := range plans {
				both.Go(func() { results[i], errs[i] = plans[i].Run(t.Context()) })
				if way == "one after the other" {
					both.Wait()
				}
			}
			both.Wait()
			require.NoError(t, errs[0])
			require.NoError(t, errs[1])
			assert.Len(t, to.rows(), 251)
			assert.EqualValues(t, 2, results[0].Made+results[1].Made)
			assert.EqualValues(t, 251, results[0].Written+results[1].Written)
			assert.EqualValues(t, 251, results[0].There+results[1].There)
			_, r := to.run(from)
			assert.Equal(t, importer.Result{There: 251}, r)
		})
	}
}

func TestTwoPeopleWhoseKeysDifferInCaseOnlyDoNotBecomeOne(t *testing.T) {
	t.Parallel()
	with := func(names ...string) *app {
		a := newApp(t, "Email")
		var rows []datasource.M
		for _, name := range names {
			rows = append(rows, datasource.M{"Email": name + "@example.org", "flUserId": "id of " + name})
		}
		a.contacts, a.ids = a.server.AddContacts(rows...)
		return a
	}
	a := with("jane", "shared", "Shared")
	a.talk([]string{"id of jane", "id of shared", "id of Shared"})
	from := a.export(file(t))
	_, err := with("jane", "shared").prepare(from)
	var usage *archive.UsageError
	require.ErrorAs(t, err, &usage)
	assert.Contains(t, usage.Text, "differ in case only")
	plan, err := with("jane", "Shared", "shared").prepare(from)
	require.NoError(t, err)
	assert.Equal(t, 3, plan.Conversations[0].People)
}

func TestAnImportSaysWhatIsAGapInTheArchive(t *testing.T) {
	t.Parallel()
	a, talks := private(t, 1)
	deep := any("bottom")
	for range 2000 {
		deep = []any{deep}
	}
	a.server.AddRows(talks[0], datasource.M{"body": "deep", "fromUserId": "x", "deep": deep})
	from := a.export(file(t))
	to := newApp(t, "Email", "jane", "bob")
	to.userIDs("jane", "bob")
	plan, err := to.prepare(from)
	require.NoError(t, err)
	assert.Contains(t, fmt.Sprint(plan.Notes), "1 messages of \"a talk\" are left out: they could not be read when they were exported")
}

func TestMessagesOfNobodyAreLeftOutAndCounted(t *testing.T) {
	t.Parallel()
	a, talks := private(t, 1)
	a.server.AddRows(talks[0], datasource.M{"body": "nobody's"}, datasource.M{"body": "of a list", "fromUserId": []any{"x"}})
	from := a.export(file(t))
	to := newApp(t, "Email", "jane", "bob")
	to.userIDs("jane", "bob")
	plan, err := to.prepare(from)
	require.NoError(t, err)
	assert.Contains(t, fmt.Sprint(plan.Notes), "2 messages of \"a talk\" are left out: they do not say who has written them")
	r, err := plan.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, plan.Conversations[0].Messages, r.Written)
	plan, err = to.prepare(from)
	require.NoError(t, err)
	again, err := plan.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, importer.Result{There: r.Written}, again)
}
