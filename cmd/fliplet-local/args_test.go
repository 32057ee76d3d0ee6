package main

import (
	"bytes"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestArgumentsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"flag provided but not defined: -port": {"-port", "1"},
		`"serve" is no flag`:                   {"serve"},
		"-token: give a region":                {"-token", "local"},
		"without spaces":                       {"-token", "eu--a b"},
	} {
		var out, errs bytes.Buffer
		assert.Equal(t, 2, run(t.Context(), args, &out, &errs), want)
		assert.Contains(t, errs.String(), want)
		assert.Contains(t, errs.String(), "-seed-demo", "the flags are listed")
		assert.Empty(t, out.String())
	}
	var out, errs bytes.Buffer
	assert.Zero(t, run(t.Context(), []string{"-h"}, &out, &errs))
	assert.Contains(t, errs.String(), "127.0.0.1:8899")
}

func TestAddressesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, addr := range []string{taken.Addr().String(), "127.0.0.1:99999", "nowhere"} {
		var out, errs bytes.Buffer
		assert.Equal(t, 1, run(t.Context(), []string{"-addr", addr, "-seed-demo"}, &out, &errs), addr)
		assert.Contains(t, errs.String(), "fliplet-local: -addr: ")
		assert.Empty(t, out.String())
	}
}

func TestAddressIsOneThatThisMachineReaches(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"127.0.0.1": "http://127.0.0.1:80", "0.0.0.0": "http://127.0.0.1:80", "::": "http://127.0.0.1:80", "::1": "http://[::1]:80",
	} {
		assert.Equal(t, want, address(&net.TCPAddr{IP: net.ParseIP(ip), Port: 80}))
	}
}
