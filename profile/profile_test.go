package profile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/datasource"
	"github.com/fliplet/fliplet-chat-go/profile"
)

func TestAProfileIsReadAsItWasWritten(t *testing.T) {
	for _, p := range []profile.Profile{
		{},
		{CrossSource: profile.Avoid},
		{AuditLog: profile.Avoid},
		{Joins: profile.Avoid, ListTimes: profile.Avoid, Overlap: 8500 * time.Millisecond, MaxJoins: 60, Requests: 500, Window: 20 * time.Second},
	} {
		got, err := profile.Parse(p.JSON())
		require.NoError(t, err, string(p.JSON()))
		assert.Equal(t, p, got)
	}
}

func TestAnErrorNamesTheFieldAndSaysWhatItMayHold(t *testing.T) {
	for text, want := range map[string]string{
		``:                             "profile: no JSON, at byte 0",
		`[]`:                           "profile: not an object",
		`{}`:                           `profile: profile: format 0; this version reads format 1`,
		`{"profile":2}`:                `profile: profile: format 2; this version reads format 1`,
		`{"profile":1} x`:              "profile: there is something behind the object",
		`{"profile":1}{"profile":1}`:   "profile: there is something behind the object",
		`{"profile":1,"overlap":5}`:    "profile: overlap: there is no such field; there are limits, overlapSeconds, profile, strategies",
		`{"profile":1,"profile":1}`:    "profile: profile: it is there twice",
		`{"profile":1,"strategies":`:   "profile: strategies: no JSON, at byte 26",
		`{"profile":1,"strategies":3}`: "profile: strategies: not an object",
		`{"profile":1,"strategies":{"joins":"always"}}`:  `profile: strategies.joins: it has to be "try" or "avoid"`,
		`{"profile":1,"strategies":{"Joins":"avoid"}}`:   "profile: strategies.Joins: there is no such field; there are auditLog, crossSource, joins, listTimes",
		`{"profile":1,"overlapSeconds":"5"}`:             "profile: overlapSeconds: not a positive number",
		`{"profile":1,"overlapSeconds":null}`:            "profile: overlapSeconds: not a positive number",
		`{"profile":1,"overlapSeconds":-5}`:              "profile: overlapSeconds: not a positive number",
		`{"profile":1,"overlapSeconds":2}`:               "profile: overlapSeconds: 2; use 5 to 600",
		`{"profile":1,"overlapSeconds":1e300}`:           "profile: overlapSeconds: 1e+09; use 5 to 600",
		`{"profile":1,"overlapSeconds":1e999}`:           "profile: overlapSeconds: not a positive number",
		`{"profile":1,"limits":{"joins":2}}`:             "profile: limits.joins: 2; use 3 to 1000",
		`{"profile":1,"limits":{"joins":3.5}}`:           "profile: limits.joins: not a whole number",
		`{"profile":1,"limits":{"requests":1000000}}`:    "profile: limits.requests: 1000000; use 1 to 100000",
		`{"profile":1,"limits":{"requests":9e99}}`:       "profile: limits.requests: not a whole number",
		`{"profile":1,"limits":{"requests":9}}`:          "profile: limits: requests without windowSeconds",
		`{"profile":1,"limits":{"windowSeconds":0.5}}`:   "profile: limits.windowSeconds: 0.5; use 1 to 3600",
		`{"profile":1,"limits":{"joins":[[[[[[9]]]]]]}}`: "profile: limits.joins: not a positive number",
	} {
		_, err := profile.Parse([]byte(text))
		assert.ErrorContains(t, err, want, text)
	}
	_, err := profile.Parse(make([]byte, 1<<20))
	assert.ErrorContains(t, err, "more than 65536 bytes")
}

func TestAProfileOfAProgramIsCheckedAsOneOfAFile(t *testing.T) {
	for want, p := range map[string]profile.Profile{
		"strategies.joins":       {Joins: "use"},
		"strategies.crossSource": {CrossSource: "never"},
		"overlapSeconds":         {Overlap: time.Second},
		"limits.joins":           {MaxJoins: -1},
		"limits.requests":        {Requests: -1, Window: time.Minute},
		"limits: requests":       {Window: time.Minute},
	} {
		assert.ErrorContains(t, p.Check(), want)
		assert.Panics(t, func() { p.Limiter() })
	}
	assert.NoError(t, profile.Profile{}.Check())
}

func TestReadNamesTheFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "profile.json")
	_, err := profile.Read(name)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(name, []byte(`{"profile":1,"limits":{"joins":40}}`), 0o600))
	p, err := profile.Read(name)
	require.NoError(t, err)
	assert.Equal(t, profile.Profile{MaxJoins: 40}, p)
	require.NoError(t, os.WriteFile(name, []byte(`{"profile":1,"limit":{}}`), 0o600))
	_, err = profile.Read(name)
	assert.ErrorContains(t, err, name+": profile: limit: there is no such field")
}

func TestTheLimiterAllowsWhatTheAccountDoes(t *testing.T) {
	_, of, _ := profile.Profile{}.Limiter().Load()
	assert.Equal(t, 200, of)
	_, of, _ = profile.Profile{Requests: 500, Window: 20 * time.Second}.Limiter().Load()
	assert.Equal(t, 500, of)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"profile":1,"strategies":{"joins":"avoid"},"overlapSeconds":8,"limits":{"joins":9,"requests":9,"windowSeconds":9}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := profile.Parse(text)
		if err != nil {
			return
		}
		again, err := profile.Parse(p.JSON())
		if err != nil || again != p {
			t.Fatalf("%q is %+v, and again %+v, %v", text, p, again, err)
		}
	})
}

// The profile of an account whose conversations do not move with their messages, and whose limit
// its owner has had raised.
func ExampleParse() {
	p, err := profile.Parse([]byte(`{
		"profile": 1,
		"strategies": {"listTimes": "avoid"},
		"limits": {"requests": 500, "windowSeconds": 10}
	}`))
	if err != nil {
		panic(err)
	}
	client, err := datasource.NewClient(datasource.Config{Token: "eu--token", Limiter: p.Limiter()})
	if err != nil {
		panic(err)
	}
	// chat.Options{Client: client, Profile: p, …}
	fmt.Println(client, p.ListTimes)
	// Output: datasource.Client(https://api.fliplet.com) avoid
}

// A program that runs with the defaults where nobody has made a profile.
func ExampleRead() {
	p, err := profile.Read("no/such/profile.json")
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	fmt.Println(p == profile.Profile{}, err)
	// Output: true <nil>
}

func ExampleProfile_Check() {
	p := profile.Profile{Overlap: time.Second}
	fmt.Println(p.Check())
	// Output: profile: overlapSeconds: 1; use 5 to 600, or leave it out for 5
}

func ExampleProfile_Limiter() {
	used, of, waiting := profile.Profile{Requests: 500, Window: 10 * time.Second}.Limiter().Load()
	fmt.Println(used, of, waiting)
	// Output: 0 500 0
}

func ExampleProfile_JSON() {
	fmt.Printf("%s", profile.Profile{Joins: profile.Avoid}.JSON())
	// Output:
	// {
	//   "profile": 1,
	//   "strategies": {
	//     "crossSource": "try",
	//     "joins": "avoid",
	//     "listTimes": "try"
	//   },
	//   "limits": {}
	// }
}
