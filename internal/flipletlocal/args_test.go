package flipletlocal

import (
	"bytes"
	"io"
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
		"such as eu--local":                    {"-token", ""},
		"-studio-user: give an e-mail address": {"-studio-user", ""},
		"-seed: give a number above 0":         {"-seed", "0"},
		`invalid value "x" for flag -seed`:     {"-seed", "x"},
		`invalid value "http://a.test"`:        {"-host", "http://a.test"},
		`invalid value "a.test/x"`:             {"-host", "a.test/x"},
		`invalid value "*.test"`:               {"-host", "*.test"},
		`invalid value ""`:                     {"-host", ""},
		`invalid value "http://b.test"`:        {"-hook-hosts", "http://b.test"},
		`invalid value "b.test,"`:              {"-hook-hosts", "b.test,"},
		`invalid value "b.test:0"`:             {"-hook-hosts", "b.test:0"},
		"such as hooks.example.org":            {"-hook-hosts", "u@b.test"},
		`invalid value "app"`:                  {"-limit", "app"},
		"give a scope, a number":               {"-limit", "app=many/10s"},
		`invalid value "app=1/second"`:         {"-limit", "app=1/second"},
		"there are [token user app":            {"-limit", "galaxy=1/1s"},
		"there are [data-sources logs":         {"-limit", "tea:app=1/1s"},
		"a millisecond or more":                {"-limit", "app=1/0s"},
	} {
		var out, errs bytes.Buffer
		assert.Equal(t, 2, Run(t.Context(), args, &out, &errs), want)
		assert.Contains(t, errs.String(), want)
		assert.Contains(t, errs.String(), "-seed-demo", "the flags are listed")
		assert.Empty(t, out.String())
	}
	var out, errs bytes.Buffer
	assert.Zero(t, Run(t.Context(), []string{"-h"}, &out, &errs))
	assert.Contains(t, errs.String(), "127.0.0.1:8899")
}

func TestTokenIsRandomUnlessGiven(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 10 {
		cfg, err := parse([]string{"-host", "a.test", "-host", "b.test:1"}, io.Discard)
		require.NoError(t, err)
		assert.Regexp(t, `^eu--[A-Z2-7]{26,}$`, cfg.token)
		assert.Equal(t, []string{"a.test", "b.test:1"}, cfg.hosts)
		seen[cfg.token] = true
	}
	assert.Len(t, seen, 10)
	cfg, err := parse([]string{"-token", "eu--local"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, "eu--local", cfg.token)
}

func TestAddressesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, addr := range []string{taken.Addr().String(), "127.0.0.1:99999", "nowhere"} {
		var out, errs bytes.Buffer
		assert.Equal(t, 2, Run(t.Context(), []string{"-addr", addr, "-seed-demo"}, &out, &errs), addr)
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
