package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// maxSmallFile is how much of a configuration or of a file with a token is read.
const maxSmallFile = 64 << 10

// config is the file of configuration: names of flags and their values.
type config struct {
	path   string
	values map[string]string
}

// notInConfig are flags that say where the configuration is, or what this one call does.
var notInConfig = []string{"config", "local", "help"}

// readConfig reads the file. One that nobody has named need not be there.
func readConfig(named string, errs *printer) (*config, error) {
	path := named
	if path == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return &config{}, nil //nolint:nilerr // there is no home, so there is no configuration
		}
		path = filepath.Join(dir, "flchat", "config.json")
	}
	text, err := readSmallFile(path, errs)
	switch {
	case errors.Is(err, fs.ErrNotExist) && named == "":
		return &config{}, nil
	case err != nil:
		return nil, usagef("--config: %s", err)
	}
	c := &config{path: path, values: map[string]string{}}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var fields map[string]any
	if err := d.Decode(&fields); err != nil {
		return nil, usagef(`%s: %s; write a JSON object such as {"contacts": 123, "as": "Email=jane@example.org"}`, path, jsonError(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, usagef("%s: there is something behind the object, at byte %d; take it out", path, d.InputOffset())
	}
	if fields == nil {
		return nil, usagef(`%s: it is null; write a JSON object such as {"contacts": 123, "as": "Email=jane@example.org"}`, path)
	}
	for name, v := range fields {
		switch v := v.(type) {
		case string:
			c.values[name] = v
		case bool:
			c.values[name] = strconv.FormatBool(v)
		case json.Number:
			c.values[name] = v.String()
		default:
			return nil, usagef("%s: %q has to be a text, a number, true or false", path, name)
		}
	}
	return c, nil
}

// jsonError tells what is wrong with a file, and not what is in it: that may be a token.
func jsonError(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("it is no JSON at byte %d", syntax.Offset)
	}
	return "it is no JSON object"
}

// check names what is in the file and no flag.
func (c *config) check(flags []*kong.Flag) error {
	known := []string{"token"}
	for _, f := range flags {
		if !slices.Contains(notInConfig, f.Name) {
			known = append(known, f.Name)
		}
	}
	for name := range c.values {
		if !slices.Contains(known, name) {
			slices.Sort(known)
			return usagef("%s: there is no setting %q; there are %s", c.path, name, strings.Join(known, ", "))
		}
	}
	return nil
}

// readSmallFile reads a file that may hold a token, and warns when others can read it, too.
func readSmallFile(path string, errs *printer) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the user names it
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		errs.Printf("%s %s can be read or changed by others: chmod 600 %s\n", errs.Paint(yellow, "flchat: warning:"), safe(path), safe(path))
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSmallFile+1))
	if err == nil && len(text) > maxSmallFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxSmallFile)
	}
	return text, err
}

// BeforeResolve looks for what the command line does not say: first in the environment, then in the
// file of configuration.
func (g *globals) BeforeResolve(ctx *kong.Context, a *app) error {
	named, local := os.Getenv("FLCHAT_CONFIG"), false
	for _, f := range ctx.Model.Flags {
		switch v := ctx.FlagValue(f).(type) {
		case string:
			if f.Name == "config" && v != "" {
				named = v
			}
		case bool:
			local = local || f.Name == "local" && v
		}
	}
	c, err := readConfig(named, a.errs)
	if err != nil {
		return err
	}
	if err := c.check(ctx.Model.Flags); err != nil {
		return err
	}
	a.config = c
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if local && flag.Name != "output" { // the rest is about an account, which a local Fliplet does not know
			return nil, nil //nolint:nilnil // kong's word for "not here"
		}
		if name := flag.Tag.Get("from"); name != "" {
			if v := os.Getenv(name); v != "" {
				return v, checkNumber(name, v, flag)
			}
		}
		v, ok := c.values[flag.Name]
		if !ok || flag.Name == "token-file" || slices.Contains(notInConfig, flag.Name) {
			return nil, nil //nolint:nilnil // kong's word for "not here"
		}
		return v, checkNumber(c.path+": "+flag.Name, v, flag)
	}))
	return nil
}

func checkNumber(where, value string, flag *kong.Flag) error {
	if flag.Target.Kind() != reflect.Int64 || flag.Target.Type() != reflect.TypeFor[int64]() {
		return nil
	}
	if _, err := strconv.ParseInt(value, 10, 64); err != nil {
		return fmt.Errorf("%s: give a number", where)
	}
	return nil
}
