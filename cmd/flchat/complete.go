package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is the part of -h that says how to use it.
func (*completionCmd) Help() string {
	return `bash: source <(flchat completion bash), in ~/.bashrc
zsh: flchat completion zsh > "${fpath[1]}/_flchat"
fish: flchat completion fish > ~/.config/fish/completions/flchat.fish`
}

// Run prints a script for a shell. Everything in it is known beforehand, so that no key press waits
// for a program or for the network.
func (cmd *completionCmd) Run(a *app, k *kong.Kong) error {
	var script string
	switch commands, flags := shown(k.Model.Node), flagsOf(k.Model.Node); cmd.Shell {
	case "bash":
		script = bashScript(commands, flags)
	case "zsh":
		script = zshScript(commands, flags)
	case "fish":
		script = fishScript(commands, flags)
	}
	a.out.Printf("%s", script)
	return nil
}

// shown are the commands that help shows.
func shown(n *kong.Node) (out []*kong.Node) {
	for _, c := range n.Children {
		if c.Type == kong.CommandNode && !c.Hidden {
			out = append(out, c)
		}
	}
	return out
}

func flagsOf(n *kong.Node) (out []*kong.Flag) {
	for _, f := range n.Flags {
		if !f.Hidden {
			out = append(out, f)
		}
	}
	return out
}

// spellings are the ways to write a flag.
func spellings(f *kong.Flag) (out []string) {
	if f.Short != 0 {
		out = append(out, "-"+string(f.Short))
	}
	out = append(out, "--"+f.Name)
	if f.Tag.Negatable != "" {
		out = append(out, "--no-"+f.Name)
	}
	return out
}

// values are what a flag can be set to, where that is a list.
func values(f *kong.Flag) (out []string) {
	for v := range strings.SplitSeq(f.Enum, ",") {
		if v != "" {
			out = append(out, v)
		}
	}
	return out
}

func takesFile(f *kong.Flag) bool { return f.PlaceHolder == "FILE" || f.PlaceHolder == "DIR" }

// arguments are what a command's own argument can be, where that is a list.
func arguments(n *kong.Node) []string {
	if len(n.Positional) == 0 || n.Positional[0].Enum == "" {
		return nil
	}
	return strings.Split(n.Positional[0].Enum, ",")
}

// quote is text in single quotes of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func bashScript(commands []*kong.Node, global []*kong.Flag) string {
	var b, options strings.Builder
	var names, files, bare []string
	option := func(flags []*kong.Flag) (words []string) {
		for _, f := range flags {
			words = append(words, spellings(f)...)
			pattern := spellings(f)
			switch {
			case f.IsBool():
			case len(values(f)) > 0:
				fmt.Fprintf(&options, "\t%s) COMPREPLY=($(compgen -W %s -- \"$cur\")); return ;;\n", strings.Join(pattern, "|"), quote(strings.Join(values(f), " ")))
			case takesFile(f):
				files = append(files, pattern...)
			default:
				bare = append(bare, pattern...)
			}
		}
		return words
	}
	globals := option(global)
	var cases strings.Builder
	for _, c := range commands {
		names = append(names, c.Name)
		words := strings.Join(option(flagsOf(c)), " ")
		fmt.Fprintf(&cases, "\t%s) own=%s; arguments=%s ;;\n", c.Name, quote(words), quote(strings.Join(arguments(c), " ")))
	}
	fmt.Fprintf(&b, `# bash completion of flchat
_flchat() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= own= arguments= i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		%s) command=${COMP_WORDS[i]}; break ;;
		esac
	done
	COMPREPLY=()
	case $prev in
%s`, strings.Join(names, "|"), options.String())
	if len(files) > 0 {
		fmt.Fprintf(&b, "\t%s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", strings.Join(files, "|"))
	}
	if len(bare) > 0 {
		fmt.Fprintf(&b, "\t%s) return ;;\n", strings.Join(bare, "|"))
	}
	fmt.Fprintf(&b, `	esac
	case $command in
%s	esac
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W %s" $own" -- "$cur"))
	elif [[ -z $command ]]; then
		COMPREPLY=($(compgen -W %s -- "$cur"))
	elif [[ -n $arguments ]]; then
		COMPREPLY=($(compgen -W "$arguments" -- "$cur"))
	else
		COMPREPLY=($(compgen -f -- "$cur"))
	fi
}
complete -o filenames -F _flchat flchat
`, cases.String(), quote(strings.Join(globals, " ")), quote(strings.Join(names, " ")))
	return b.String()
}

func zshScript(commands []*kong.Node, global []*kong.Flag) string {
	specs := func(flags []*kong.Flag) (out []string) {
		text := strings.NewReplacer("[", "(", "]", ")", ":", `\:`, `\`, `\\`)
		for _, f := range flags {
			action := ""
			switch {
			case f.IsBool():
			case len(values(f)) > 0:
				action = ":" + f.Name + ":(" + strings.Join(values(f), " ") + ")"
			case takesFile(f):
				action = ":" + f.Name + ":_files"
			default:
				action = ":" + f.Name + ": "
			}
			for _, s := range spellings(f) {
				out = append(out, quote("*"+s+"["+text.Replace(f.Help)+"]"+action))
			}
		}
		return out
	}
	var b, list, cases strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&list, "\t\t%s\n", quote(c.Name+":"+strings.ReplaceAll(c.Help, ":", `\:`)))
		rest := quote("*:argument:_files")
		if args := arguments(c); len(args) > 0 {
			rest = quote("1:argument:(" + strings.Join(args, " ") + ")")
		}
		fmt.Fprintf(&cases, "\t%s) _arguments $global \\\n\t\t%s ;;\n", c.Name, strings.Join(append(specs(flagsOf(c)), rest), " \\\n\t\t"))
	}
	fmt.Fprintf(&b, `#compdef flchat
_flchat() {
	local -a global commands
	local state line
	global=(
		%s
	)
	commands=(
%s	)
	_arguments -C $global '1:command:->command' '*::argument:->argument'
	case $state in
	command) _describe command commands; return ;;
	argument) ;;
	*) return ;;
	esac
	case $line[1] in
%s	esac
}
if [[ $funcstack[1] == _flchat ]]; then _flchat "$@"; else compdef _flchat flchat; fi
`, strings.Join(specs(global), "\n\t\t"), list.String(), cases.String())
	return b.String()
}

func fishScript(commands []*kong.Node, global []*kong.Flag) string {
	var b strings.Builder
	b.WriteString("# fish completion of flchat\ncomplete -c flchat -f\n")
	flags := func(condition string, flags []*kong.Flag) {
		for _, f := range flags {
			fmt.Fprintf(&b, "complete -c flchat%s", condition)
			if f.Short != 0 {
				fmt.Fprintf(&b, " -s %c", f.Short)
			}
			fmt.Fprintf(&b, " -l %s", f.Name)
			switch {
			case f.IsBool():
			case len(values(f)) > 0:
				fmt.Fprintf(&b, " -x -a %s", fishQuote(strings.Join(values(f), " ")))
			case takesFile(f):
				b.WriteString(" -r -F")
			default:
				b.WriteString(" -x")
			}
			fmt.Fprintf(&b, " -d %s\n", fishQuote(f.Help))
			if f.Tag.Negatable != "" {
				fmt.Fprintf(&b, "complete -c flchat%s -l no-%s -d %s\n", condition, f.Name, fishQuote("not: "+f.Help))
			}
		}
	}
	flags("", global)
	for _, c := range commands {
		fmt.Fprintf(&b, "complete -c flchat -n __fish_use_subcommand -a %s -d %s\n", c.Name, fishQuote(c.Help))
		in := " -n '__fish_seen_subcommand_from " + c.Name + "'"
		flags(in, flagsOf(c))
		for _, arg := range arguments(c) {
			fmt.Fprintf(&b, "complete -c flchat%s -a %s\n", in, arg)
		}
	}
	return b.String()
}

// fishQuote is text in single quotes of fish, which has escapes in them.
func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
