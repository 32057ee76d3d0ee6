package flipletlocal

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
)

// Demo is a local Fliplet in the process, with what -seed-demo adds. It has no page.
type Demo struct {
	URL, Token string
	Contacts   int64 // the data source of the contacts
	Close      func()
}

// StartDemo starts one on a free port of this machine. It ends with Close, not with ctx.
func StartDemo(ctx context.Context) (*Demo, error) {
	logger := slog.New(slog.DiscardHandler)
	core, err := flipletd.New(flipletd.Config{Token: "eu--" + rand.Text(), AppID: appID, OrganizationID: organizationID, Logger: logger})
	if err != nil {
		return nil, err
	}
	contacts, err := seed(core)
	if err != nil {
		core.Close()
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		core.Close()
		return nil, err
	}
	server := &http.Server{Handler: newGuard(core, nil, logger), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // until Close
	}()
	return &Demo{URL: address(listener.Addr()), Token: core.Token(), Contacts: contacts, Close: func() {
		core.Close()
		server.Close()
		<-served
	}}, nil
}
