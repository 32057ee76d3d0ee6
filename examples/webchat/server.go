package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	chat "github.com/fliplet/fliplet-chat-go"
	"github.com/fliplet/fliplet-chat-go/chathttp"
	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/storage/boltstore"
)

// This is the process that can be killed at any moment: it serves the chats of all people
// over HTTP. What it has to remember is in a file, and with the pages themselves.

// config is what the process is told, on its standard input, where nobody else sees it.
type config struct {
	URL, Token, PrimaryKey string
	Contacts, App          int64
	People                 []person
	Bot                    string // how the bot logs in; empty for none
	File                   string // of its storage
	Knock                  string // what requests have to know
	Local                  bool   // quick polls and no limit: nobody else uses that Fliplet
	Verbose                bool
}

// person is somebody whose page there is.
type person struct {
	As    string // in the address of the page
	Name  string
	Login string // the value of the primary key
}

// knockHeader carries config.Knock.
const knockHeader = "X-Webchat-Knock"

// serve runs the process until ctx ends, or the input, which is held open by the one that
// has started it.
func serve(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	decoder := json.NewDecoder(in)
	var c config
	if err := decoder.Decode(&c); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	store, err := boltstore.Open(c.File, boltstore.Timeout(10*time.Second)) // the one before may still be ending
	if err != nil {
		return err
	}
	defer store.Close()
	log := slog.New(slog.DiscardHandler)
	if c.Verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	cfg := datasource.Config{Token: c.Token, BaseURL: c.URL}
	opts := chat.Options{DataSourceID: c.Contacts, AppID: c.App, PrimaryKey: c.PrimaryKey, EncryptMessages: true, Storage: store, Logger: log}
	if c.Local {
		cfg.Limiter = datasource.Unlimited()
		cfg.Retry = datasource.RetryPolicy{BaseDelay: 50 * time.Millisecond, MaxDelay: time.Second}
		opts.LivePollInterval, opts.PollInterval, opts.MaxPollInterval = 150*time.Millisecond, 400*time.Millisecond, 400*time.Millisecond
	}
	client, err := datasource.NewClient(cfg)
	if err != nil {
		return err
	}
	defer client.CloseIdle()
	opts.Client = client

	people := &people{ctx: ctx, opts: opts, config: c, chats: map[string]*login{}}
	defer people.close()
	handler, err := chathttp.New(people.of, chathttp.Options{Logger: log, Calls: 3000})
	if err != nil {
		return err
	}
	defer handler.Close()
	if c.Bot != "" {
		go people.bot(ctx, log)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/chat/{as}/", func(w http.ResponseWriter, r *http.Request) {
		if !slices.ContainsFunc(c.People, func(p person) bool { return p.As == r.PathValue("as") }) {
			refuse(w, http.StatusNotFound, errors.New("there is nobody of this name"))
			return
		}
		http.StripPrefix("/chat/"+r.PathValue("as"), handler).ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), asKey{}, r.PathValue("as"))))
	})
	server := &http.Server{Handler: knows(c.Knock, mux), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	fmt.Fprintln(out, listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// knows lets nobody in but the front.
func knows(secret string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(knockHeader)), []byte(secret)) != 1 {
			http.Error(w, "not for you", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// asKey is where a request's person is in its context.
type asKey struct{}

// people has a Chat for everybody whose page was asked for.
type people struct {
	ctx    context.Context
	opts   chat.Options
	config config

	mu    sync.Mutex
	chats map[string]*login
}

// login is a Chat that is logged in, or will be.
type login struct {
	chat  *chat.Chat
	ready chan struct{}
	err   error // set when ready, if the login was refused
}

// of is who asks.
func (p *people) of(r *http.Request) (*chat.Chat, error) {
	as, _ := r.Context().Value(asKey{}).(string)
	for _, one := range p.config.People {
		if one.As == as {
			return p.login(r.Context(), as, one.Login)
		}
	}
	return nil, fmt.Errorf("there is no page for %q: %w", as, chat.ErrContactNotFound)
}

// login waits for the one login of somebody.
func (p *people) login(ctx context.Context, as, value string) (*chat.Chat, error) {
	p.mu.Lock()
	l := p.chats[as]
	if l == nil {
		l = &login{ready: make(chan struct{})}
		p.chats[as] = l
		go p.try(l, as, value)
	}
	p.mu.Unlock()
	select {
	case <-l.ready:
		return l.chat, l.err
	case <-time.After(10 * time.Second):
		return nil, fmt.Errorf("the login of %s takes long: %w", as, chat.ErrOffline)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// try logs in until that is possible.
func (p *people) try(l *login, as, value string) {
	defer close(l.ready)
	l.chat, l.err = chat.Connect(p.ctx, p.opts)
	if l.err != nil {
		return
	}
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		_, l.err = l.chat.Login(p.ctx, chat.M{p.opts.PrimaryKey: chat.M{"$iLike": value}})
		if l.err == nil || p.ctx.Err() != nil {
			return
		}
		if errors.Is(l.err, chat.ErrContactNotFound) || errors.Is(l.err, chat.ErrUnauthorized) {
			p.mu.Lock()
			delete(p.chats, as) // the next request asks again
			p.mu.Unlock()
			l.chat.Close()
			return
		}
		select {
		case <-time.After(pause):
		case <-p.ctx.Done():
			return
		}
	}
}

func (p *people) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.chats {
		select {
		case <-l.ready:
			if l.chat != nil {
				l.chat.Close()
			}
		default: // it ends with its context
		}
	}
}

// bot logs the bot in and lets it answer.
func (p *people) bot(ctx context.Context, log *slog.Logger) {
	for ctx.Err() == nil {
		c, err := p.login(ctx, "bot", p.config.Bot)
		if err == nil {
			err = (&bot{chat: c}).serve(ctx)
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("the bot begins again", "error", strings.TrimSpace(err.Error()))
			time.Sleep(time.Second)
		}
	}
}
