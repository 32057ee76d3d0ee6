package storm_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/fliplettest"
	"github.com/fliplet/fliplet-chat-go/internal/storm"
	"github.com/fliplet/fliplet-chat-go/storage"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
)

const (
	faulty   = 0.3 // of the requests
	parallel = 4   // functions of the consumer at the same time

	// patience is for what will happen, on a machine that does much else.
	patience = time.Minute
	// soon is less than what a request takes that nobody answers.
	soon = 20 * time.Second
)

// people: Jane's process dies again and again, and sends through an outbox; Bob sends what
// failed once more, and has two streams; Eve has one, and changes and deletes what she said.
var people = []string{"jane", "bob", "eve"}

// sent is a message that somebody means to have said.
type sent struct {
	guid    string
	conv    int64
	by      string
	body    string // as it was changed last
	changed bool   // at least one change was tried
	open    bool   // the outcome of a change or deletion is not known
	deleted bool
}

// story is one seed.
type story struct {
	seed  uint64
	dir   string
	lasts time.Duration
	pace  time.Duration // between messages of one sender, on average

	srv      *fliplettest.Server
	contacts int64
	ids      map[string]int64
	nets     map[string]*storm.Proxy
	shared   storage.Store // Jane's, nil if she has a file
	calm     chan struct{} // closed when the storm is over
	end      chan struct{} // closed when everything has arrived, or has had the time to

	mu     sync.Mutex
	convs  []int64
	sents  []*sent
	byGUID map[string]*sent
	views  []*view
	kills  int
	stops  int
	bad    []string // what went wrong beside rows and deliveries
	posts  sync.WaitGroup
}

// draw returns a source of chance for one part of the story.
func (s *story) draw(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(s.seed, h.Sum64()))
}

func (s *story) wrong(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad = append(s.bad, fmt.Sprintf(format, args...))
}

// play tells the story of a seed.
func play(dir string, seed uint64, lasts time.Duration) *result {
	s := &story{
		seed: seed, dir: dir, lasts: lasts, pace: 100 * time.Millisecond, ids: map[string]int64{}, nets: map[string]*storm.Proxy{},
		calm: make(chan struct{}), end: make(chan struct{}), byGUID: map[string]*sent{},
	}
	if lasts > 20*time.Second {
		s.pace = 800 * time.Millisecond
	}
	if seed%3 == 0 {
		s.shared = storage.NewMemory()
	}
	began := time.Now()
	if err := s.prepare(); err != nil {
		s.wrong("before the storm: %v", err)
		return s.judge(began)
	}
	var lives sync.WaitGroup
	lives.Go(s.jane)
	lives.Go(s.bob)
	lives.Go(s.eve)
	time.Sleep(lasts)
	s.wait(s.killed) // a machine that does much else may not have begun yet
	for _, proxy := range s.nets {
		proxy.Calm()
	}
	close(s.calm)
	s.posts.Wait()
	s.settle()
	r := s.judge(began)
	close(s.end)
	lives.Wait()
	for _, proxy := range s.nets {
		if n := proxy.Leaks(); n > 0 {
			s.wrong("%d requests reached another host with a token or a body", n)
		}
		proxy.Close()
	}
	if err := s.srv.Close(); err != nil {
		s.wrong("the server: %v", err)
	}
	r.other = s.bad
	return r
}

// prepare starts the server, and has three conversations begun in good weather.
func (s *story) prepare() (err error) {
	if s.srv, err = fliplettest.Start(); err != nil {
		return err
	}
	var rows []datasource.M
	for _, name := range append(people, "zoe", "max") {
		rows = append(rows, datasource.M{"Email": name + "@example.org", "Full name": name})
	}
	var ids []int64
	s.contacts, ids = s.srv.AddContacts(rows...)
	for i, row := range rows {
		s.ids[strings.TrimSuffix(row["Email"].(string), "@example.org")] = ids[i]
	}
	for _, name := range people {
		if s.nets[name], err = storm.New(strings.TrimPrefix(s.srv.URL, "http://"), s.seed<<8^uint64(s.ids[name]), faulty); err != nil {
			return err
		}
	}
	ctx := context.Background()
	c, err := chat.Connect(ctx, s.options(s.srv.Client(), storage.NewMemory()))
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err = c.Login(ctx, chat.M{"Email": "eve@example.org"}); err != nil {
		return err
	}
	for i, with := range [][]int64{{s.ids["jane"], s.ids["bob"]}, {s.ids["jane"], s.ids["bob"], s.ids["zoe"]}, {s.ids["jane"], s.ids["bob"], s.ids["max"]}} {
		conv, err := c.Create(ctx, chat.NewConversation{Name: fmt.Sprint("Talk ", i), Participants: with})
		if err != nil {
			return err
		}
		s.convs = append(s.convs, conv.ID)
		for n := range 5 {
			m := s.mean("eve", conv.ID, fmt.Sprintf("old-%d-%d", i, n))
			if _, err := c.Message(ctx, conv.ID, chat.Draft{Body: m.body, GUID: m.guid}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *story) options(client *datasource.Client, store storage.Store) chat.Options {
	return chat.Options{
		Client: client, DataSourceID: s.contacts, AppID: s.srv.AppID, PrimaryKey: "Email", EncryptMessages: true, Storage: store,
		LivePollInterval: 300 * time.Millisecond, PollInterval: time.Second, MaxPollInterval: time.Second,
	}
}

// mean notes that somebody means to say something.
func (s *story) mean(by string, conv int64, guid string) *sent {
	m := &sent{guid: guid, conv: conv, by: by, body: "what " + guid + " says"}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sents, s.byGUID[guid] = append(s.sents, m), m
	return m
}

// somewhere draws a conversation.
func (s *story) somewhere(rnd *rand.Rand) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.convs[rnd.IntN(len(s.convs))]
}

// nap waits for about the pace. It reports whether the storm goes on.
func (s *story) nap(rnd *rand.Rand) bool {
	select {
	case <-s.calm:
		return false
	case <-time.After(s.pace/2 + time.Duration(rnd.Int64N(int64(s.pace)))):
		return true
	}
}

// try repeats something until it succeeds, or the story ends.
func (s *story) try(what string, do func(context.Context) error) bool {
	for attempt := 1; ; attempt++ {
		ctx, cancel := context.WithTimeout(context.Background(), 12*time.Second)
		err := do(ctx)
		cancel()
		if err == nil {
			return true
		}
		select {
		case <-time.After(time.Second):
		case <-s.end:
			s.wrong("%s: not done after %d attempts: %v", what, attempt, err)
			return false
		}
	}
}

// machine is where a Chat runs: its network, its disk, and whether it has power.
type machine struct {
	net  *storm.Proxy
	pool *http.Transport

	mu   sync.Mutex
	dead bool
}

func (s *story) machine(name string) *machine {
	m := &machine{net: s.nets[name]}
	m.pool = &http.Transport{DialContext: m.dial, MaxIdleConnsPerHost: 8}
	return m
}

// dial connects to the network, while there is power.
func (m *machine) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := m.net.Dial(ctx, network, addr)
	if err == nil && m.off() {
		nc.Close()
		return nil, errPower
	}
	return nc, err
}

func (m *machine) client(s *story) *datasource.Client {
	client, err := datasource.NewClient(datasource.Config{
		Token: s.srv.Token, BaseURL: s.srv.URL, HTTPClient: &http.Client{Transport: m.pool}, Limiter: datasource.Unlimited(),
		Retry: datasource.RetryPolicy{BaseDelay: 50 * time.Millisecond},
	})
	if err != nil {
		s.wrong("the client: %v", err)
	}
	return client
}

// boot returns a Chat of a user who has logged in through the storm.
func (s *story) boot(ctx context.Context, name string, m *machine, store storage.Store, outbox *chat.OutboxOptions) *chat.Chat {
	opts := s.options(m.client(s), store)
	opts.Outbox = outbox
	c, err := chat.Connect(ctx, opts)
	if err != nil {
		s.wrong("connecting %s: %v", name, err)
		return nil
	}
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, 12*time.Second)
		_, err = c.Login(short, chat.M{"Email": name + "@example.org"})
		cancel()
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
	return c
}

// leave ends a Chat in good order, in good weather.
func (s *story) leave(name string, c *chat.Chat, m *machine) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Shutdown(ctx); err != nil {
		s.wrong("%s: Shutdown in good weather took %v: %v", name, time.Since(began), err)
	}
	m.pool.CloseIdleConnections()
}

// watch opens a stream whose deliveries are kept.
func (s *story) watch(c *chat.Chat, name string, from chat.From) {
	v := newView(s, name)
	s.mu.Lock()
	s.views = append(s.views, v)
	s.mu.Unlock()
	s.try(name+" opens its stream", func(context.Context) error {
		_, err := c.Stream(context.Background(), v.take, chat.StartAt(from), chat.OnError(func(error) {}))
		return err
	})
}

// post says something and, if it failed, says it again under the same GUID.
func (s *story) post(c *chat.Chat, by string, conv int64, guid string) (id int64) {
	m := s.mean(by, conv, guid)
	s.try(guid+" is sent", func(ctx context.Context) error {
		got, err := c.Message(ctx, conv, chat.Draft{Body: m.body, GUID: guid})
		if err == nil {
			id = got.ID
		}
		return err
	})
	return id
}

func (s *story) bob() {
	m := s.machine("bob")
	c := s.boot(context.Background(), "bob", m, storage.NewMemory(), nil)
	defer s.leave("bob", c, m)
	s.watch(c, "bob's stream from the newest", chat.FromNewest)
	s.watch(c, "bob's stream from the beginning", chat.FromBeginning)
	for worker := range 2 {
		s.talk(fmt.Sprint("bob-", worker), func(rnd *rand.Rand, guid string) {
			s.post(c, "bob", s.somewhere(rnd), guid)
		})
	}
	select {
	case <-time.After(s.lasts / 3):
	case <-s.calm:
	}
	s.try("a conversation is created", func(ctx context.Context) error {
		conv, err := c.Create(ctx, chat.NewConversation{
			Name: "In the storm", Participants: []int64{s.ids["jane"], s.ids["eve"], s.ids["zoe"], s.ids["max"]},
		})
		if err == nil {
			s.mu.Lock()
			s.convs = append(s.convs, conv.ID)
			s.mu.Unlock()
		}
		return err
	})
	<-s.end
}

// talk says one thing after the other while the storm lasts. The story waits for it.
func (s *story) talk(name string, say func(rnd *rand.Rand, guid string)) {
	s.posts.Go(func() {
		rnd := s.draw(name)
		for n := 0; s.nap(rnd); n++ {
			say(rnd, fmt.Sprintf("%s-%d", name, n))
		}
	})
}

func (s *story) eve() {
	m := s.machine("eve")
	c := s.boot(context.Background(), "eve", m, storage.NewMemory(), nil)
	defer s.leave("eve", c, m)
	s.watch(c, "eve's stream from the beginning", chat.FromBeginning)
	for worker := range 2 {
		s.talk(fmt.Sprint("eve-", worker), func(rnd *rand.Rand, guid string) {
			conv := s.somewhere(rnd)
			id := s.post(c, "eve", conv, guid)
			switch p := rnd.Float64(); {
			case id == 0:
			case p < 0.25:
				s.change(c, conv, id, guid)
			case p < 0.35:
				s.remove(c, conv, id, guid)
			}
		})
	}
	<-s.end
}

// change replaces the body of a message.
func (s *story) change(c *chat.Chat, conv, id int64, guid string) {
	body := "what " + guid + " says now"
	s.mu.Lock()
	m := s.byGUID[guid]
	m.changed, m.open = true, true
	s.mu.Unlock()
	done := s.try(guid+" is changed", func(ctx context.Context) error {
		_, err := c.UpdateMessage(ctx, conv, id, chat.M{"body": body, "isEdited": true})
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if done {
		m.body, m.open = body, false
	}
}

// remove deletes a message. That it is not there is true when it is said often enough.
func (s *story) remove(c *chat.Chat, conv, id int64, guid string) {
	s.mu.Lock()
	m := s.byGUID[guid]
	m.open = true
	s.mu.Unlock()
	absent := 0
	done := s.try(guid+" is deleted", func(ctx context.Context) error {
		err := c.DeleteMessage(ctx, conv, id)
		if errors.Is(err, chat.ErrNotFound) {
			if absent++; absent == 4 {
				return nil
			}
		}
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if done {
		m.deleted, m.open = true, false
	}
}

// open opens the store of Jane's process: a file, or, with every third seed, something in
// memory that stands for a store that several processes share. There, what a dead process
// has claimed has to expire.
func (s *story) open() (_ storage.Store, closes func() error, err error) {
	if s.shared != nil {
		return s.shared, func() error { return nil }, nil
	}
	file, err := boltstore.Open(filepath.Join(s.dir, "jane.db"))
	return file, file.Close, err
}
