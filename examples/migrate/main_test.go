package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestMigrateShowsADryRunAndTheRun(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, `dry run: true
not copied: files (their URLs are), read marks, who has muted what, invite codes; of channels all but the name, the people and the messages
"Lunch": 2 people, 3 messages
"Launch": 3 people, 3 messages
the target was written to: false
dry run: false
"Lunch": 2 people, 3 messages
"Launch": 3 people, 3 messages
the target was written to: true
Jane@example.org: Pizza?
bob@example.org: Soup.
Jane@example.org: Soup it is.
bob@example.org: Ready?
EVE@example.org: Nearly.
Jane@example.org: Go!
`, out.String())
}

// apps runs a test in virtual time with two apps and two conversations, one of them long.
func apps(t *testing.T, test func(t *testing.T, target *fliplettest.Server, from, to chat.Options, texts []string)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source, target := fliplettest.New(t, fliplettest.InProcess()), fliplettest.New(t, fliplettest.InProcess())
		from := app(source, "jane@example.org", "bob@example.org", "eve@example.org")
		to := app(target, "eve@example.org", "jane@example.org", "bob@example.org")
		source.FreezeClock() // rows of one timestamp keep their order, too
		var lines [][2]string
		var texts []string
		for i := range 450 {
			text := fmt.Sprintf("%s says %d", []string{"jane", "bob"}[i%2], i)
			lines, texts = append(lines, [2]string{[]string{"jane", "bob"}[i%2] + "@example.org", text}), append(texts, text)
		}
		require.NoError(t, talk(t.Context(), from, "Long", lines...))
		source.ThawClock()
		test(t, target, from, to, texts)
	})
}

// came are the messages that Bob has in the target, with their authors.
func came(t *testing.T, to chat.Options) (texts []string) {
	t.Helper()
	w := &writers{opts: to, chats: map[string]*chat.Chat{}}
	defer w.close()
	bob, err := w.login(t.Context(), person{key: "bob@example.org"})
	require.NoError(t, err)
	conversations, err := bob.Conversations(t.Context())
	require.NoError(t, err)
	require.Len(t, conversations, 1)
	for m, err := range bob.History(t.Context(), conversations[0].ID) {
		require.NoError(t, err)
		who, err := bob.ContactByUserID(t.Context(), m.FromUserID)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(who.Data["Email"].(string), strings.Fields(m.Body)[0]), "the author of %q", m.Body)
		require.NotEmpty(t, m.Data["sentAt"])
		require.Equal(t, chat.Encrypted, m.Protection)
		texts = append([]string{m.Body}, texts...)
	}
	return texts
}

func TestADryRunWritesNothingAndTheRunKeepsAuthorsAndOrder(t *testing.T) {
	apps(t, func(t *testing.T, target *fliplettest.Server, from, to chat.Options, texts []string) {
		require.NoError(t, (&migration{from: from, to: to, dryRun: true, out: io.Discard}).run(t.Context()))
		for _, r := range target.Requests() {
			assert.NotContains(t, []string{"PUT", "DELETE"}, r.Method, "%s", r.Path)
		}
		assert.Zero(t, target.Count(fliplettest.AnyWrite))
		assert.Len(t, target.Sources(), 1, "the contacts alone")
		require.NoError(t, (&migration{from: from, to: to, out: io.Discard}).run(t.Context()))
		assert.Equal(t, texts, came(t, to))
	})
}

func TestAMigrationThatWasInterruptedIsRunAgain(t *testing.T) {
	apps(t, func(t *testing.T, target *fliplettest.Server, from, to chat.Options, texts []string) {
		ctx, stop := context.WithCancel(t.Context())
		target.After(100, 1, fliplettest.Insert, fliplettest.LoseAnswer())
		cut := target.After(101, 1, fliplettest.Insert, fliplettest.Status(500))
		err := (&migration{from: from, to: to, out: io.Discard}).run(ctx)
		require.Error(t, err)
		require.Positive(t, cut.Hits())
		stop()
		require.NoError(t, (&migration{from: from, to: to, out: io.Discard}).run(t.Context()))
		assert.Equal(t, texts, came(t, to))
	})
}

func TestNothingBeginsWhenAnAuthorIsMissing(t *testing.T) {
	apps(t, func(t *testing.T, target *fliplettest.Server, from, _ chat.Options, _ []string) {
		var out strings.Builder
		to := app(target, "jane@example.org")
		err := (&migration{from: from, to: to, out: &out}).run(t.Context())
		require.ErrorContains(t, err, "is not in the target")
		assert.Contains(t, out.String(), "is not in the target")
		assert.Zero(t, target.Count(fliplettest.AnyWrite))
	})
}

// pair runs a test in virtual time with two apps and Jane, Bob and Eve logged in to the
// first one.
func pair(t *testing.T, test func(t *testing.T, p *pairOfApps)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pairOfApps{source: fliplettest.New(t, fliplettest.InProcess()), target: fliplettest.New(t, fliplettest.InProcess()), ids: map[string]int64{}, chats: map[string]*chat.Chat{}}
		people := []string{"jane@example.org", "bob@example.org", "eve@example.org"}
		p.from, p.to = app(p.source, people...), app(p.target, people...)
		w := &writers{opts: p.from, chats: map[string]*chat.Chat{}}
		defer w.close()
		for _, email := range people {
			c, err := w.login(t.Context(), person{key: email})
			require.NoError(t, err)
			name, _, _ := strings.Cut(email, "@")
			p.chats[name], p.ids[name] = c, c.User().ID
		}
		test(t, p)
	})
}

type pairOfApps struct {
	source, target *fliplettest.Server
	from, to       chat.Options
	ids            map[string]int64 // in the source
	chats          map[string]*chat.Chat
}

func (p *pairOfApps) create(t *testing.T, n chat.NewConversation, others ...string) *chat.Conversation {
	t.Helper()
	for _, name := range others {
		n.Participants = append(n.Participants, p.ids[name])
	}
	conv, err := p.chats["jane"].Create(t.Context(), n)
	require.NoError(t, err)
	require.True(t, conv.IsNew)
	return conv
}

func (p *pairOfApps) say(t *testing.T, who string, id int64, text string, data chat.M) {
	t.Helper()
	_, err := p.chats[who].Message(t.Context(), id, chat.Draft{Body: text, Data: data})
	require.NoError(t, err)
}

func (p *pairOfApps) migrate(t *testing.T, dry bool) (string, error) {
	t.Helper()
	var out strings.Builder
	err := (&migration{from: p.from, to: p.to, dryRun: dry, out: &out}).run(t.Context())
	return out.String(), err
}

// arrived are the conversations of somebody in the target, by name, and what was said.
func (p *pairOfApps) arrived(t *testing.T, who string) (map[string]*chat.Conversation, map[string][]*chat.Message) {
	t.Helper()
	w := &writers{opts: p.to, chats: map[string]*chat.Chat{}}
	defer w.close()
	c, err := w.login(t.Context(), person{key: who + "@example.org"})
	require.NoError(t, err)
	list, err := c.Conversations(t.Context())
	require.NoError(t, err)
	byName, said := map[string]*chat.Conversation{}, map[string][]*chat.Message{}
	for _, conv := range list {
		require.NotContains(t, byName, conv.Name)
		byName[conv.Name] = conv
		for m, err := range c.History(t.Context(), conv.ID) {
			require.NoError(t, err)
			said[conv.Name] = append([]*chat.Message{m}, said[conv.Name]...)
		}
	}
	return byName, said
}

func bodies(messages []*chat.Message) (texts []string) {
	for _, m := range messages {
		texts = append(texts, m.Body)
	}
	return texts
}

func TestWhoHasLeftKeepsTheirMessagesAndLeavesInTheTarget(t *testing.T) {
	pair(t, func(t *testing.T, p *pairOfApps) {
		all := p.create(t, chat.NewConversation{Name: "all"}, "bob", "eve")
		p.say(t, "eve", all.ID, "hello all", nil)
		two := p.create(t, chat.NewConversation{Name: "two"}, "bob")
		p.say(t, "jane", two.ID, "hello Bob", nil)
		// Comes later, and is neither the conversation of all nor that of the two who are left.
		var everybody []string
		for _, c := range p.chats {
			everybody = append(everybody, c.User().UserID)
		}
		shrunk := p.source.AddDataSource(datasource.M{"name": "shrunk", "type": "conversation", "definition": datasource.M{"participants": everybody}})
		p.say(t, "jane", shrunk, "before", nil)
		p.say(t, "eve", shrunk, "bye", nil)
		eves, err := p.chats["eve"].Conversation(t.Context(), shrunk)
		require.NoError(t, err)
		require.NoError(t, eves.Participants().Remove(t.Context(), p.ids["eve"]))
		p.say(t, "bob", shrunk, "after", nil)

		out, err := p.migrate(t, true)
		require.NoError(t, err)
		assert.Contains(t, out, "\"shrunk\": 2 people and 1 who left, 3 messages\n")
		assert.Zero(t, p.target.Count(fliplettest.AnyWrite))
		p.target.Next(1, fliplettest.UpdateSource, fliplettest.Status(400)) // before she leaves
		_, err = p.migrate(t, false)
		require.Error(t, err)
		for range 2 { // on with it, and once more when all is done
			_, err = p.migrate(t, false)
			require.NoError(t, err)
			byName, said := p.arrived(t, "jane")
			require.Len(t, byName, 3)
			assert.Equal(t, []string{"before", "bye", "after"}, bodies(said["shrunk"]))
			assert.Len(t, byName["shrunk"].Participants().IDs(), 2)
			assert.Equal(t, []string{"hello all"}, bodies(said["all"]))
			assert.Equal(t, []string{"hello Bob"}, bodies(said["two"]))
			hers, _ := p.arrived(t, "eve")
			require.Len(t, hers, 1)
			assert.Contains(t, hers, "all")
		}
	})
}

func TestColumnsGroupAndMetadataAreCopied(t *testing.T) {
	pair(t, func(t *testing.T, p *pairOfApps) {
		conv := p.create(t, chat.NewConversation{
			Name: "team", Group: chat.M{"type": "team", "readOnly": true}, Metadata: chat.M{"topic": "x", "big": json.Number("9007199254740993")},
		}, "bob")
		p.say(t, "jane", conv.ID, "hello", chat.M{"priority": 3, "replyTo": "g", "big": json.Number("9007199254740993"), "none": nil})
		p.source.AddRows(conv.ID, datasource.M{"body": "no guid", "fromUserId": p.chats["bob"].User().UserID, "sentAt": "2001-02-03T04:05:06Z", "isEdited": true})
		for range 2 {
			_, err := p.migrate(t, false)
			require.NoError(t, err)
			byName, said := p.arrived(t, "bob")
			assert.Equal(t, chat.M{"type": "team", "readOnly": true}, byName["team"].Definition.Group)
			metadata := byName["team"].Definition.Metadata
			assert.Equal(t, "x", metadata["topic"])
			assert.Equal(t, json.Number("9007199254740993"), metadata["big"])
			require.Equal(t, []string{"hello", "no guid"}, bodies(said["team"]))
			first, second := said["team"][0].Data, said["team"][1].Data
			assert.Equal(t, json.Number("3"), first["priority"])
			assert.Equal(t, "g", first["replyTo"])
			assert.Equal(t, json.Number("9007199254740993"), first["big"])
			assert.NotEmpty(t, first["sentAt"])
			assert.Equal(t, "2001-02-03T04:05:06Z", second["sentAt"], "of an earlier migration")
			assert.Equal(t, true, second["isEdited"])
		}
	})
}

func TestAChannelBecomesAChannel(t *testing.T) {
	pair(t, func(t *testing.T, p *pairOfApps) {
		private := p.create(t, chat.NewConversation{Name: "private"}, "bob")
		p.say(t, "jane", private.ID, "psst", nil)
		for _, name := range []string{"news", "deserted", "quiet"} {
			channel, err := p.chats["jane"].Channels().Create(t.Context(), name)
			require.NoError(t, err)
			for i, who := range map[string][]string{"news": {"jane", "bob", "eve"}, "deserted": {"eve"}}[name] {
				conv, err := p.chats[who].Channels().Join(t.Context(), channel.ID)
				require.NoError(t, err)
				p.say(t, who, channel.ID, fmt.Sprint(name, i), nil)
				if who == "eve" {
					require.NoError(t, conv.Participants().Remove(t.Context(), p.ids["eve"]))
				}
			}
		}
		out, err := p.migrate(t, true)
		require.NoError(t, err)
		assert.Contains(t, out, "\"news\": a channel, 2 people and 1 who left, 3 messages\n")
		assert.Contains(t, out, "\"deserted\": a channel, 0 people and 1 who left, 1 messages\n")
		assert.Contains(t, out, "\"quiet\" is left out")
		assert.Zero(t, p.target.Count(fliplettest.AnyWrite))
		for range 2 {
			_, err = p.migrate(t, false)
			require.NoError(t, err)
			byName, said := p.arrived(t, "bob")
			require.Len(t, byName, 2)
			assert.Equal(t, true, byName["news"].Definition.Group["public"])
			assert.Len(t, byName["news"].Participants().IDs(), 2)
			assert.Equal(t, []string{"news0", "news1", "news2"}, bodies(said["news"]))
			assert.Equal(t, []string{"psst"}, bodies(said["private"]))
			hers, _ := p.arrived(t, "eve")
			assert.Empty(t, hers)
		}
		for _, source := range p.target.Sources() {
			if source.Name == "deserted" {
				assert.Equal(t, 1, source.Live)
			}
		}
		assert.Len(t, p.target.Sources(), 1+3, "contacts, a conversation, two channels")
	})
}

func TestTheDryRunFindsWhatTheRunWouldFailAt(t *testing.T) {
	t.Parallel()
	for says, prepare := range map[string]func(t *testing.T, p *pairOfApps){
		`"odd": message 5`: func(t *testing.T, p *pairOfApps) {
			conv := p.create(t, chat.NewConversation{Name: "odd"}, "bob")
			p.source.AddRows(conv.ID, datasource.M{"body": "x", "Body": "y", "fromUserId": p.chats["bob"].User().UserID})
		},
		"too few of its people": func(t *testing.T, p *pairOfApps) {
			id := p.source.AddDataSource(datasource.M{"name": "alone", "type": "conversation", "definition": datasource.M{"participants": []string{p.chats["jane"].User().UserID}}})
			p.source.AddRows(id, datasource.M{"body": "x", "fromUserId": p.chats["jane"].User().UserID})
		},
		"two channels of this name": func(t *testing.T, p *pairOfApps) {
			for range 2 {
				channel, err := p.chats["jane"].Channels().Create(t.Context(), "news")
				require.NoError(t, err)
				_, err = p.chats["jane"].Channels().Join(t.Context(), channel.ID)
				require.NoError(t, err)
			}
		},
		"somebody has left it": func(t *testing.T, p *pairOfApps) {
			require.NoError(t, talk(t.Context(), p.to, "there", [2]string{"jane@example.org", "1"}, [2]string{"bob@example.org", "2"}, [2]string{"eve@example.org", "3"}))
			conv := p.create(t, chat.NewConversation{Name: "shrunk"}, "bob", "eve")
			require.NoError(t, conv.Participants().Remove(t.Context(), p.ids["eve"]))
		},
	} {
		t.Run(says, func(t *testing.T) {
			pair(t, func(t *testing.T, p *pairOfApps) {
				prepare(t, p)
				before := p.target.Count(fliplettest.AnyWrite)
				for _, dry := range []bool{true, false} {
					_, err := p.migrate(t, dry)
					require.ErrorContains(t, err, says)
				}
				assert.Equal(t, before, p.target.Count(fliplettest.AnyWrite), "nothing has begun")
			})
		})
	}
}
