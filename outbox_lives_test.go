package chat_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/storage"
)

// exclusiveMachine is a machine whose disk is exclusive.
type exclusiveMachine struct{ *machine }

func (exclusiveMachine) Exclusive() bool { return true }

// Processes that live for ten seconds send what they and those before them have accepted:
// at once where no other process can be at work, or else with what little each of them
// can find out about the one before.
func TestACrashLoopSendsWhatItHasAccepted(t *testing.T) {
	for _, tt := range []struct {
		lives     time.Duration
		exclusive bool
	}{{10 * time.Second, false}, {10 * time.Second, true}, {7 * time.Second, true}, {8 * time.Second, false}, {4 * time.Second, false}, {15 * time.Second, false}} {
		t.Run(fmt.Sprintf("lives of %v, exclusive %v", tt.lives, tt.exclusive), func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, conv int64) {
				const lives, each = 15, 5
				disk := storage.NewMemory()
				var want []string
				live := func(n int) {
					m := &machine{disk: disk, network: w.Transport()}
					c := m.boot(w, func(o *chat.Options) {
						if tt.exclusive {
							o.Storage = exclusiveMachine{m}
						}
					})
					_, err := c.Login(t.Context(), chat.M{"Email": "jane@example.org"})
					require.NoError(t, err)
					for i := range each {
						name := fmt.Sprintf("%02d/%d", n, i)
						queue(t, c, conv, name)
						want = append(want, name)
					}
					time.Sleep(tt.lives)
					m.dead.Store(true)
					require.NoError(t, c.Close())
				}
				down := w.Always(fliplettest.Insert, fliplettest.LoseRequest())
				live(0)
				down.Off()
				for n := range lives - 1 {
					live(n + 1)
				}
				got := guids(w, conv)
				t.Logf("%d of %d are stored", len(got), len(want))
				// The claim of a dead process is watched for 25 s in all.
				least := len(want) - each*(2+int(30*time.Second/(tt.lives-3*time.Second/2)))
				if tt.exclusive {
					least = len(want) - each
				}
				assert.GreaterOrEqual(t, len(got), least)
				assert.Equal(t, want[:len(got)], got, "in order, and none twice")
			})
		})
	}
}

// Two processes share a Store, and are suspended again and again, one beside the other.
// Each message is stored once, and those that a process has accepted for a conversation in
// their order.
func TestProcessesThatAreSuspendedSendNothingTwiceAndInOrder(t *testing.T) {
	for seed := range uint64(1) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inOutbox(t, func(t *testing.T, w *world, _ int64) {
				const suspensions = 40
				disk := storage.NewMemory()
				convs := []int64{w.addTalk("one"), w.addTalk("two")}
				var processes []*sleeper
				var chats []*chat.Chat
				for i := range 2 {
					p := newSleeper(disk, w.Transport(), seed*2+uint64(i))
					p.careful = true
					processes = append(processes, p)
					chats = append(chats, p.boot(w, "jane", func(o *chat.Options) { o.Outbox = &chat.OutboxOptions{Limit: 100_000} }))
				}
				random := rand.New(rand.NewPCG(seed, 7))
				accepted := map[string][]string{} // by process and conversation
				total := 0
				add := func(p int) {
					conv := convs[random.IntN(2)]
					line := fmt.Sprint(p, "/", conv, "/")
					guid := fmt.Sprintf("%s%05d", line, total)
					_, err := chats[p].Outbox().Add(context.Background(), conv, chat.Draft{Body: "x", GUID: guid})
					require.NoError(t, err)
					accepted[line] = append(accepted[line], guid)
					total++
				}
				for n := range suspensions {
					for range 20 {
						add(random.IntN(2))
					}
					time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
					var nap sync.WaitGroup
					seconds := 10 + random.IntN(40)
					nap.Go(func() { processes[n%2].nap(time.Duration(seconds) * time.Second) })
					for range seconds - 1 {
						time.Sleep(time.Second)
						add(1 - n%2)
					}
					nap.Wait()
				}
				for _, c := range chats {
					require.NoError(t, c.Outbox().Flush(t.Context()))
				}
				stored, seen := 0, map[string]int{}
				for _, conv := range convs {
					got := guids(w, conv)
					stored += len(got)
					for _, guid := range got {
						seen[guid]++
					}
					for line, want := range accepted {
						if strings.Contains(line, fmt.Sprint("/", conv, "/")) {
							own := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return !strings.HasPrefix(s, line) })
							assert.Equal(t, want, own)
						}
					}
				}
				t.Logf("%d messages, %d rows, %d suspensions", total, stored, suspensions)
				assert.Len(t, seen, total)
				for _, c := range chats {
					require.NoError(t, c.Close())
				}
				time.Sleep(time.Minute) // what they do to the Store takes its time
			})
		})
	}
}
