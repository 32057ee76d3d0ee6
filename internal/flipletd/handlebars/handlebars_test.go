package handlebars_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fliplet/fliplet-chat-go/internal/flipletd/handlebars"
)

func row(t testing.TB, text string) map[string]any {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v map[string]any
	require.NoError(t, dec.Decode(&v))
	return v
}

const sample = `{"name":"Jo","astral":"é👍","Full name":"Jo March","html":"<b a='1' c=\"2\">&` + "`" + `=","n":12.50,"zero":0,"yes":true,"no":false,"nothing":null,"empty":"","none":[],
	"tags":["a","b"],"nested":[1,[2,null],{"x":1}],"who":{"first":"Amy","pets":["Rex"]},"a.b":"dotted","people":[{"n":"x"},{"n":"y"}],"Bob's":"his"}`

func TestTemplatesAreFilledAsHandlebarsDoes(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"":                                "",
		"plain } text":                    "plain } text",
		"Hi {{name}}, {{ name }}!":        "Hi Jo, Jo!",
		"{{missing}}{{nothing}}|":         "|",
		"{{html}}":                        "&lt;b a&#x3D;&#x27;1&#x27; c&#x3D;&quot;2&quot;&gt;&amp;&#x60;&#x3D;",
		"{{{html}}}":                      "<b a='1' c=\"2\">&`=",
		"{{&html}} {{& html}}":            "<b a='1' c=\"2\">&`= <b a='1' c=\"2\">&`=",
		"{{n}} {{zero}} {{yes}} {{no}}":   "12.50 0 true false",
		"{{tags}} {{nested}} {{who}}":     "a,b 1,2,,[object Object] [object Object]",
		"{{who.first}} {{who/first}}":     "Amy Amy",
		"{{who.pets.0}} {{who.pets.[0]}}": "Rex Rex",
		"{{tags.length}} {{tags.2}}":      "2 ",
		"{{name.length}} {{astral.length}} {{data.name.length}} {{empty.length}} {{n.length}}":                   "2 3 2 0 ",
		"{{#if name.length}}A{{/if}}{{#if empty.length}}B{{else}}C{{/if}}{{#each tags}}{{this.length}}{{/each}}": "AC11",
		"{{#with name}}{{length}}{{/with}} {{name.length.length}} {{name.size}}":                                 "2  ",
		"{{[Full name]}} {{this.name}} {{./name}} {{[Bob's]}}":                                                   "Jo March Jo Jo his",
		"{{a.b}} {{[a.b]}}": "dotted dotted",
		"{{data.name}} {{data.who.first}} {{data.[Full name]}}":                                                               "Jo Amy Jo March",
		"{{#if name}}A{{else}}B{{/if}}":                                                                                       "A",
		"{{#if zero}}A{{else}}B{{/if}}":                                                                                       "B",
		"{{#if none}}A{{^}}B{{/if}}":                                                                                          "B",
		"{{#if empty}}A{{/if}}{{#if who}}C{{/if}}":                                                                            "C",
		"{{#if no}}A{{else if name}}B{{else}}C{{/if}}!":                                                                       "B!",
		"{{#if no}}A{{else if empty}}B{{else if nothing}}D{{else}}C{{/if}}!":                                                  "C!",
		"{{#unless no}}A{{/unless}}{{#unless name}}B{{else}}C{{/unless}}":                                                     "AC",
		"{{#each tags}}{{@index}}{{this}}{{#unless @last}},{{/unless}}{{/each}}":                                              "0a,1b",
		"{{#each people}}{{n}}{{../name}}{{@root.name}}{{/each}}":                                                             "xJoJoyJoJo",
		"{{#each people}}{{#each @root.none}}{{else}}{{../name}}{{/each}}{{#with n}}{{../../name}}{{../n}}{{/with}}{{/each}}": "JoJoxJoJoy",
		"{{#each who}}{{@key}}={{.}};{{/each}}":                                                                               "first=Amy;pets=Rex;",
		"{{#each none}}A{{else}}B{{/each}}{{#each missing}}A{{/each}}":                                                        "B",
		"{{#each tags}}{{#if @first}}>{{/if}}{{.}}{{/each}}":                                                                  ">ab",
		"{{#with who}}{{first}} {{../name}}{{/with}}{{#with nothing}}A{{else}}B{{/with}}":                                     "Amy JoB",
		"a{{! nothing }}b{{!-- }} --}}c":                                                                                      "abc",
		"a {{~name~}} b {{~{name}~}} c":                                                                                       "aJobJoc",
		`\{{name}} \\{{name}}`:                                                                                                `{{name}} \Jo`,
		"x\n{{#if name}}\n  in\n{{/if}}\ny":                                                                                   "x\n  in\ny",
		"{{#each tags}}\n{{.}}\n{{/each}}\n":                                                                                  "a\nb\n",
		"x {{#if name}}\n in{{/if}}\n":                                                                                        "x \n in\n",
	} {
		tmpl, err := handlebars.Parse(template)
		require.NoError(t, err, template)
		got, err := tmpl.Render(row(t, sample), nil)
		require.NoError(t, err, template)
		assert.Equal(t, want, got, template)
	}
}

func TestTemplatesThatAreRefusedAreFilledAsFarAsTheyGo(t *testing.T) {
	t.Parallel()
	for template, want := range map[string][2]string{
		"Hi {{name}} {{":                         {"a {{ is not closed", "Hi Jo {{"},
		"{{Full name}}":                          {"{{[Full name]}}", "Jo March"},
		"{{upper name}}!":                        {"helpers are not known", "!"},
		"a{{> partial}}b":                        {"helpers, partials", "ab"},
		"{{}}":                                   {"is missing", ""},
		"{{a..b}}{{a.}}{{[a}}{{[a]b}}":           {"between two dots", ""},
		"{{#if name}}A":                          {"is not closed", "A"},
		"A{{/if}}B":                              {"closes nothing", "AB"},
		"{{#if name}}A{{/each}}B{{/if}}":         {"closes nothing", "AB"},
		"{{#list tags}}A{{/list}}":               {"is not known", ""},
		"{{else}}A":                              {"outside of a block", "A"},
		"{{#if no}}A{{else}}B{{else}}C{{/if}}":   {"outside of a block", "BC"},
		"{{@foo}}":                               {"{{@foo}} is not known", ""},
		`{{#if (eq a "b")}}A{{/if}}`:             {"no path", ""},
		strings.Repeat("{{#if name}}", 60) + "A": {"50 levels", ""},
		strings.Repeat("{{", 10_000):             {"is not closed", strings.Repeat("{{", 10_000)},
	} {
		_, err := handlebars.Parse(template)
		if assert.Error(t, err, template) {
			assert.Contains(t, err.Error(), want[0])
			assert.Less(t, len(err.Error()), 200)
		}
		got, err := handlebars.Fill(template, row(t, sample), nil)
		require.NoError(t, err, template)
		assert.Equal(t, want[1], got, template)
	}
}

func TestFillingATemplateEnds(t *testing.T) {
	t.Parallel()
	list := "[" + strings.Repeat("1,", 999) + "1]"
	for _, template := range []string{
		strings.Repeat("{{#each @root.a}}", 20) + "x" + strings.Repeat("{{/each}}", 20),
		"{{#each a}}{{#each @root.a}}{{@root.s}}{{/each}}{{/each}}",
	} {
		tmpl, err := handlebars.Parse(template)
		require.NoError(t, err)
		out, err := tmpl.Render(row(t, `{"a":`+list+`,"s":"`+strings.Repeat("s", 1000)+`"}`), nil)
		if !errors.Is(err, handlebars.ErrTooLarge) {
			require.ErrorIs(t, err, handlebars.ErrTooLong)
		}
		assert.LessOrEqual(t, len(out), 1<<20)
	}
}

// What a template looks at is counted, whether it writes anything or not.
func TestEveryStepOfATemplateIsCounted(t *testing.T) {
	t.Parallel()
	const n = 1000
	list := func(elem string) string { return "[" + strings.Repeat(elem+",", n-1) + elem + "]" }
	data := row(t, `{"l":`+list("1")+`,"deep":`+list(strings.Repeat("[", 200)+strings.Repeat("]", 200))+`,
		"long":"`+strings.Repeat("s", 64*n)+`"}`)
	for name, template := range map[string]string{
		"empty blocks":       "{{#each l}}{{#each @root.l}}{{/each}}{{/each}}",
		"empty ifs":          "{{#each l}}{{#if @root.l}}{{/if}}{{#each @root.l}}{{#if x}}{{/if}}{{/each}}{{/each}}",
		"nested lists":       "{{deep}}",
		"lengths":            "{{#each l}}{{#if @root.long.length}}{{/if}}{{/each}}",
		"ways out of blocks": "{{#each l}}{{#if " + strings.Repeat("../", 200) + "x}}{{/if}}{{/each}}",
		"parts of a path":    "{{#each l}}{{#if @root" + strings.Repeat(".a", 200) + "}}{{/if}}{{/each}}",
	} {
		tmpl, err := handlebars.Parse(template)
		require.NoError(t, err, name)
		b := &handlebars.Budget{Steps: 1 << 30}
		_, err = tmpl.Render(data, b)
		require.ErrorIs(t, err, handlebars.ErrTooLong, name)
		assert.Less(t, 1<<30-b.Steps, 110_000, name)
		_, err = tmpl.Render(data, nil)
		require.ErrorIs(t, err, handlebars.ErrTooLong, name)
	}
}

func TestTemplatesShareABudget(t *testing.T) {
	t.Parallel()
	data := row(t, `{"l":[1,2,3]}`)
	b := &handlebars.Budget{Steps: 20}
	out, err := handlebars.Fill("{{#each l}}{{this}}{{/each}}", data, b)
	require.NoError(t, err)
	assert.Equal(t, "123", out)
	out, err = handlebars.Fill("{{#each l}}{{this}}{{/each}}", data, b)
	require.ErrorIs(t, err, handlebars.ErrTooLong)
	assert.Equal(t, "1", out, "as far as it came")
	assert.True(t, b.Over())
	out, err = handlebars.Fill("{{l}}", data, b)
	require.ErrorIs(t, err, handlebars.ErrTooLong)
	assert.Empty(t, out)
	out, err = handlebars.Fill("plain", data, b)
	require.NoError(t, err)
	assert.Equal(t, "plain", out)
}

// ended is a context that ends when it has been asked so many times.
type ended struct {
	context.Context
	asked, after int
}

func (c *ended) Err() error {
	if c.asked++; c.asked > c.after {
		return context.Canceled
	}
	return nil
}

func TestAContextEndsTheFilling(t *testing.T) {
	t.Parallel()
	data := row(t, `{"l":[`+strings.Repeat("1,", 9_999)+`1]}`)
	tmpl, err := handlebars.Parse("{{#each l}}{{/each}}")
	require.NoError(t, err)
	_, err = tmpl.Render(data, &handlebars.Budget{Steps: 1 << 20, Ctx: t.Context()})
	require.NoError(t, err)
	b := &handlebars.Budget{Steps: 1 << 20, Ctx: &ended{Context: t.Context(), after: 2}}
	_, err = tmpl.Render(data, b)
	require.ErrorIs(t, err, context.Canceled)
	assert.Less(t, 1<<20-b.Steps, 3_000, "and not to its end")
}

func FuzzFill(f *testing.F) {
	for _, s := range []string{"{{a}}", "{{#each a}}{{@index}}{{else}}{{^}}{{/each}}", "{{~{a.[b]}~}}", `\{{a}}\\{{a}}`, "{{!-- x --~}}\n{{#if a}}\n{{else if b}}\n{{/if}}", "{{../../a}}{{@root.a}}"} {
		f.Add(s, `{"a":[1,{"b":null}],"b":"<"}`)
	}
	f.Fuzz(func(t *testing.T, template, data string) {
		var fields map[string]any
		dec := json.NewDecoder(strings.NewReader(data))
		dec.UseNumber()
		if dec.Decode(&fields) != nil {
			fields = nil
		}
		tmpl, err := handlebars.Parse(template)
		out, failed := tmpl.Render(fields, nil)
		if err == nil && failed == nil && !strings.Contains(template, "{{") && out != template {
			t.Fatalf("%q became %q", template, out)
		}
		if len(out) > 1<<20 {
			t.Fatal("too large")
		}
	})
}
