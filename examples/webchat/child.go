package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// child keeps one process with the chats running. Killing it is no way to end it: another
// one is started.
type child struct {
	ctx    context.Context
	end    func()
	world  *world
	log    *slog.Logger
	errs   io.Writer
	failed error // of the first start; set before up is

	mu       sync.Mutex
	address  *url.URL // nil while it is down
	process  *exec.Cmd
	restarts int
	changed  chan struct{} // closed at the next change
}

// startChild starts the process, and waits until it listens.
func startChild(ctx context.Context, w *world, log *slog.Logger, errs io.Writer) (*child, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &child{ctx: ctx, world: w, log: log, errs: errs, changed: make(chan struct{})}
	ended := make(chan struct{})
	c.end = func() { cancel(); <-ended }
	go func() { defer close(ended); c.keep() }()
	if err := c.await(30*time.Second, func() bool { return c.address != nil || c.failed != nil }); err != nil || c.failed != nil {
		c.end()
		return nil, errors.Join(err, c.failed)
	}
	return c, nil
}

// keep starts the process again whenever it has ended.
func (c *child) keep() {
	for n := 0; c.ctx.Err() == nil; n++ {
		err := c.once()
		c.change(func() {
			if c.address == nil && n == 0 && c.ctx.Err() == nil {
				c.failed = fmt.Errorf("the server process: %w", err)
			}
			c.address, c.process = nil, nil
			c.restarts++
		})
		if c.ctx.Err() == nil {
			c.log.Warn("the server process has ended", "error", err)
			time.Sleep(300 * time.Millisecond) // long enough to be seen
		}
	}
}

// once runs the process until it ends.
func (c *child) once() error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(c.world.config)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(c.ctx, path) //nolint:gosec // this very program
	cmd.Env = append(os.Environ(), serverVariable+"=1")
	cmd.Stderr = c.errs
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	// The pipe stays open: when this process ends, however it ends, the other one sees it.
	_, _ = in.Write(append(text, '\n'))
	line, _ := bufio.NewReader(out).ReadString('\n')
	if address := strings.TrimSpace(line); address != "" {
		c.change(func() { c.address, c.process = &url.URL{Scheme: "http", Host: address}, cmd })
	}
	_, _ = io.Copy(io.Discard, out)
	return cmd.Wait()
}

// change makes a change and tells those who wait for one.
func (c *child) change(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn()
	close(c.changed)
	c.changed = make(chan struct{})
}

// await waits until ok holds. ok is called with mu held.
func (c *child) await(longest time.Duration, ok func() bool) error {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	for {
		c.mu.Lock()
		good, changed := ok(), c.changed
		c.mu.Unlock()
		if good {
			return nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return errors.New("the server process does not start")
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
	}
}

// kill ends the process as a power cut would, and waits for the next one.
func (c *child) kill() error {
	c.mu.Lock()
	cmd, before := c.process, c.restarts
	c.mu.Unlock()
	if cmd != nil {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	return c.await(30*time.Second, func() bool { return c.address != nil && (c.restarts > before || cmd == nil) })
}

// state is where the process listens, nil while it is down, and how often it was started again.
func (c *child) state() (address *url.URL, restarts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.address, c.restarts
}
