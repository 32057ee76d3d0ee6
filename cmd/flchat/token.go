package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"
)

// token finds the token, the nearest place first. It is never a flag.
func (a *app) token(ctx context.Context) (string, error) {
	if a.localToken != "" {
		a.tokenFrom = "the local Fliplet"
		return a.localToken, nil
	}
	switch {
	case a.TokenFile != "":
		return a.tokenOf(a.TokenFile, "--token-file")
	case os.Getenv("FLIPLET_TOKEN") != "":
		a.tokenFrom = "FLIPLET_TOKEN"
		return strings.TrimSpace(os.Getenv("FLIPLET_TOKEN")), nil
	case a.config != nil && a.config.values["token-file"] != "":
		path := a.config.values["token-file"]
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(a.config.path), path)
		}
		return a.tokenOf(path, a.config.path+": token-file")
	case a.config != nil && a.config.values["token"] != "":
		a.tokenFrom = a.config.path
		return strings.TrimSpace(a.config.values["token"]), nil
	}
	if f, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) { //nolint:gosec // a descriptor
		return a.askToken(ctx, f)
	}
	return "", usagef("no token: put it into FLIPLET_TOKEN, or into a file (chmod 600) and name that with --token-file; API tokens are made in Fliplet Studio")
}

func (a *app) tokenOf(path, where string) (string, error) {
	text, err := readSmallFile(path, a.errs)
	if err != nil {
		return "", usagef("%s: %s", where, err)
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return "", usagef("%s: %s is empty; write the token into it", where, path)
	}
	a.tokenFrom = path
	return string(text), nil
}

// askToken reads the token without showing it. Ctrl-C ends the question.
func (a *app) askToken(ctx context.Context, terminal *os.File) (string, error) {
	fd := int(terminal.Fd()) //nolint:gosec // a descriptor
	before, err := term.GetState(fd)
	if err != nil {
		return "", usagef("no token: put it into FLIPLET_TOKEN, or into a file and name that with --token-file")
	}
	a.errs.Printf("API token (it is not shown): ")
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		a.errs.Printf("\n")
		text := bytes.TrimSpace(l.text)
		if l.err != nil || len(text) == 0 {
			return "", usagef("no token was typed: make an API token in Fliplet Studio and paste it here, or put it into FLIPLET_TOKEN")
		}
		a.tokenFrom = "the question"
		return string(text), nil
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		a.errs.Printf("\n")
		return "", ctx.Err()
	}
}
