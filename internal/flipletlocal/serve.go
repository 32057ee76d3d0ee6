package flipletlocal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd"
	"github.com/fliplet/fliplet-chat-go/internal/flipletd/boltjournal"
)

// The program has one app in one organisation.
const (
	appID          = 1
	organizationID = 1
)

// grace is how long requests in progress may take after a signal.
const grace = 5 * time.Second

// usageError is what has to be changed before the next start.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// serve runs the server until ctx ends.
func serve(ctx context.Context, cfg config, stdout io.Writer, logger *slog.Logger) (err error) {
	settings := flipletd.Config{Token: cfg.token, Seed: cfg.seed, AppID: appID, OrganizationID: organizationID, Logger: logger, HookHosts: cfg.hookHosts}
	if cfg.rateLimit {
		settings.Limits = flipletd.DocumentedLimits()
	}
	settings.Limits = append(settings.Limits[:len(settings.Limits):len(settings.Limits)], cfg.limits...) // the last of a kind counts
	if cfg.data != "" {
		journal, err := boltjournal.Open(cfg.data)
		if errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("-data: %w", err)
		}
		if err != nil {
			return &usageError{explain(err)}
		}
		defer func() {
			if closed := journal.Close(); closed != nil {
				err = errors.Join(err, fmt.Errorf("-data: %w", closed))
			}
		}()
		settings.Journal = journal
	}
	core, err := flipletd.New(settings)
	switch {
	case errors.Is(err, boltjournal.ErrDamaged):
		return &usageError{explain(fmt.Errorf("%s: %w", cfg.data, err))}
	case err != nil && cfg.data != "":
		return explain(fmt.Errorf("%s: %w", cfg.data, err))
	case err != nil:
		return err
	}
	defer core.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.addr)
	if err != nil {
		return &usageError{fmt.Errorf("-addr: %w; give an address of this machine and a port that nobody uses; port 0 takes one", err)}
	}
	extra, err := populate(core, cfg)
	if err != nil {
		listener.Close()
		return err
	}
	if name, _ := splitHost(cfg.addr); name != "" && net.ParseIP(name) == nil {
		cfg.hosts = append(cfg.hosts, name)
	}
	url := address(listener.Addr())
	server := &http.Server{
		Handler: newGuard(newPage(core, url), cfg.hosts, logger), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if _, err := fmt.Fprintf(stdout, "fliplet-local: %s token %s app %d organization %d%s\n", url, core.Token(), appID, organizationID, extra); err != nil {
		server.Close()
		<-served //nolint:errcheck // it says that the server was closed
		return err
	}
	logger.Info("open the address in a browser to see what is stored", "address", url, "data", cfg.data)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	logger.Info("stopping")
	core.Close()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		logger.Warn("requests in progress were cut off", "after", grace)
		server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// populate adds what flags ask for. It returns what the line at the start says of it.
func populate(core *flipletd.Server, cfg config) (line string, err error) {
	if cfg.seedDemo {
		contacts, err := seed(core)
		if err != nil {
			return "", fmt.Errorf("-seed-demo: %w", err)
		}
		line += fmt.Sprintf(" contacts %d", contacts)
	}
	if cfg.studioUser != "" {
		password := core.Secret()
		token, _, err := core.AddUser(cfg.studioUser, "Studio", "User", password)
		if err != nil {
			return "", fmt.Errorf("-studio-user: %w", err)
		}
		line += fmt.Sprintf(" studio-user %s password %s studio-token %s", cfg.studioUser, password, token)
	}
	return line, nil
}

// explain says what to do about a file that cannot be used.
func explain(err error) error {
	switch {
	case errors.Is(err, boltjournal.ErrLocked):
		return fmt.Errorf("-data: %w: stop the other fliplet-local, or use another file", err)
	case errors.Is(err, boltjournal.ErrDamaged):
		return fmt.Errorf("-data: %w: move it away to start anew; nothing in it was changed", err)
	}
	return fmt.Errorf("-data: %w", err)
}

// address is the URL at which this machine reaches the server.
func address(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return "http://" + net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + a.String()
}
