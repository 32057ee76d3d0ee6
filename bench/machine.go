package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// Machine is where a result comes from.
type Machine struct {
	Model      string            `json:"model"`
	CPUs       int               `json:"cpus"`
	Go         string            `json:"go"`
	OS         string            `json:"os"`
	Arch       string            `json:"arch"`
	Date       string            `json:"date"`
	LoadBefore string            `json:"loadBefore"`
	LoadAfter  string            `json:"loadAfter"`
	Stolen     string            `json:"stolen"` // the share of time that the host took
	Versions   map[string]string `json:"versions"`

	stat [2]float64 // stolen and all time, at the beginning
}

// look describes the machine, before anything is measured.
func look() Machine {
	m := Machine{
		Model: "model unknown", CPUs: runtime.NumCPU(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Date: time.Now().UTC().Format(time.DateOnly), LoadBefore: load(), stat: stat(), Versions: map[string]string{},
	}
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(raw), "model name"); ok {
			name, _, _ := strings.Cut(rest, "\n")
			m.Model = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		m.Versions = versions(info)
	}
	return m
}

// versions are those of the modules. This repository's own are replaced by a folder, or have
// no version in a workspace.
func versions(info *debug.BuildInfo) map[string]string {
	out := map[string]string{}
	for _, d := range info.Deps {
		out[d.Path] = d.Version
		if d.Replace != nil || d.Version == "(devel)" {
			out[d.Path] = "this one"
		}
	}
	return out
}

// done adds what has happened meanwhile.
func (m *Machine) done() {
	m.LoadAfter = load()
	now := stat()
	m.Stolen = "an unknown share"
	if all := now[1] - m.stat[1]; all > 0 {
		m.Stolen = fmt.Sprintf("%.0f %%", 100*(now[0]-m.stat[0])/all)
	}
}

// load is the load average of a minute.
func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(raw))[0]
}

// stat is the time that was stolen, and all of it, since the machine began.
func stat() (out [2]float64) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return out
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	for i, f := range strings.Fields(line) {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil || i > 8 {
			continue // the name of the line, and times that others contain
		}
		out[1] += v
		if i == 8 {
			out[0] = v
		}
	}
	return out
}
