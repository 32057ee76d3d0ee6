package main

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/fliplet/fliplet-chat-go/internal/feed"
)

// victim is the conversation that Options.FloodOne names.
const victim = int32(0)

// oracle compares what listeners got with what was written.
type oracle struct {
	w       *world
	got     map[[2]int32]*heard // by listener and conversation
	changed map[[2]int32]uint64 // the version that a listener has of a row that was changed
	delays  histogram
	victims histogram              // those of one conversation
	noticed map[[2]int32]feed.Time // when it was known that somebody has joined
	joins   histogram              // of messages that were written before that
	users   []histogram
	first   time.Duration // of the first message

	News, Updates, History, Gaps, Deleted int
	Lost, Twice, Disorder, Stale, Blank   int
	Undeleted                             int
	problems, lasting                     []string
}

// heard is what one listener got of one conversation.
type heard struct {
	last feed.Key
	bits []uint64 // by the place of a row in its conversation
}

func (h *heard) has(place int32) bool {
	return h != nil && int(place/64) < len(h.bits) && h.bits[place/64]&(1<<(place%64)) != 0
}

func (h *heard) add(place int32) {
	for int(place/64) >= len(h.bits) {
		h.bits = append(h.bits, 0)
	}
	h.bits[place/64] |= 1 << (place % 64)
}

func newOracle(w *world, listeners int) *oracle {
	return &oracle{w: w, got: map[[2]int32]*heard{}, changed: map[[2]int32]uint64{}, noticed: map[[2]int32]feed.Time{}, users: make([]histogram, listeners), first: -1}
}

func (o *oracle) problem(format string, args ...any) {
	if len(o.problems) < 10 {
		o.problems = append(o.problems, fmt.Sprintf(format, args...))
	}
}

// lasts is problem for what later messages do not mend.
func (o *oracle) lasts(format string, args ...any) {
	if len(o.lasting) < 10 {
		o.lasting = append(o.lasting, fmt.Sprintf(format, args...))
	}
}

// deliver takes an event of a listener.
func (o *oracle) deliver(now time.Time, listener int32, e *feed.Event) {
	if e.Gap != nil {
		o.Gaps++
		return
	}
	row := int32(e.Row.ID - 1)
	r := &o.w.rows[row]
	if r.edited {
		o.changed[[2]int32{listener, row}] = e.Row.Hash
	}
	switch {
	case e.Deleted:
		o.Deleted++
		return
	case e.Update:
		o.Updates++
		return
	case e.History:
		o.History++
	}
	if o.News++; e.Row.Payload == nil {
		o.Blank++
		o.lasts("listener %d got row %d without its content", listener, e.Row.ID)
	}
	h := o.got[[2]int32{listener, r.conv}]
	if h == nil {
		h = &heard{}
		o.got[[2]int32{listener, r.conv}] = h
	}
	k := feed.Key{Time: r.created, ID: e.Row.ID}
	switch {
	case h.has(r.place):
		o.Twice++
		o.lasts("listener %d got row %d twice", listener, e.Row.ID)
		return
	case k.Compare(h.last) < 0 && !r.late && !o.w.steps():
		o.Disorder++
		o.lasts("listener %d got row %d after a later one", listener, e.Row.ID)
	}
	if k.Compare(h.last) > 0 {
		h.last = k
	}
	h.add(r.place)
	if e.History {
		return
	}
	d := now.Sub(epoch) - time.Duration(r.created-stamp(epoch))*time.Microsecond
	if r.created < o.noticed[[2]int32{listener, r.conv}] {
		o.joins.add(d)
		return
	}
	if o.first < 0 {
		o.first = now.Sub(epoch)
	}
	o.delays.add(d)
	if r.conv == victim {
		o.victims.add(d)
	}
	o.users[listener].add(d)
}

// judge looks for what is missing at the end. members says who has to have what.
func (o *oracle) judge(now time.Time, listeners []*listener) {
	o.Lost, o.Stale, o.Undeleted = 0, 0, 0
	o.problems = slices.Clone(o.lasting)
	byConv := make([][]int32, len(o.w.convs))
	for i := range o.w.rows {
		byConv[o.w.rows[i].conv] = append(byConv[o.w.rows[i].conv], int32(i))
	}
	for _, l := range listeners {
		for _, c := range l.convs(o.w) {
			h := o.got[[2]int32{l.number, c}]
			conv := &o.w.convs[c]
			since := conv.joined[l.user]
			if l.archive {
				since = 0
			}
			for _, row := range byConv[c] {
				r := &o.w.rows[row]
				v := &o.w.vers[r.head]
				if r.created <= max(since, stamp(epoch)) || now.Sub(r.visible) < 0 {
					continue
				}
				if !h.has(r.place) {
					if !v.deleted {
						o.Lost++
						o.problem("listener %d lacks row %d of conversation %d, created at %s", l.number, row+1, c+1, time.Duration(r.created-stamp(epoch))*time.Microsecond)
					}
					continue
				}
				if !r.edited || v.visible.After(now) {
					continue
				}
				if o.changed[[2]int32{l.number, row}] != uint64(r.head)+1 {
					if v.deleted {
						o.Undeleted++
						continue
					}
					o.Stale++
					o.problem("listener %d lacks the last version of row %d, changed at %s", l.number, row+1, time.Duration(v.updated-stamp(epoch))*time.Microsecond)
				}
			}
		}
	}
}

// failed reports whether the contract was broken.
func (o *oracle) failed() bool { return o.Lost+o.Twice+o.Disorder+o.Stale+o.Blank > 0 }

// histogram counts durations, in steps of a tenth.
type histogram struct {
	counts []uint32
	n      uint32
	most   time.Duration
}

const steps = 24 // for each factor of ten

func (h *histogram) add(d time.Duration) {
	ms := max(1, float64(d)/float64(time.Millisecond))
	i := int(math.Log10(ms) * steps)
	if i >= len(h.counts) {
		h.counts = append(h.counts, make([]uint32, i+1-len(h.counts))...)
	}
	h.counts[i]++
	h.n++
	h.most = max(h.most, d)
}

// at is a quantile, rounded up to its step.
func (h *histogram) at(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	want, sum := uint32(math.Ceil(q*float64(h.n))), uint32(0)
	for i, n := range h.counts {
		if sum += n; sum >= max(want, 1) {
			return min(h.most, time.Duration(math.Pow(10, float64(i+1)/steps)*float64(time.Millisecond)))
		}
	}
	return h.most
}
