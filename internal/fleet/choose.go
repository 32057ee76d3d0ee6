package fleet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Ways are what an app may use to find out what is new. What may be used need not work.
type Ways struct {
	// Bell: conversations have hooks that ring.
	Bell bool
	// Audit: the audit log may be asked. Times: the list shows what has changed. Joins, Across:
	// such queries may be made.
	Audit, Times, Joins, Across bool
	// Forced is the name of the strategy to use, whether it works or not; "" chooses.
	Forced string
}

// Choice is the strategy that is used.
type Choice struct {
	Strategy string
	// Why says why, and what does not work; Since is when it was chosen.
	Why   string
	Since time.Time
	// Again is when a better one is tried again; zero: there is none, or none that can be tried.
	Again time.Time
}

// names are those of the strategies that can be chosen.
var names = []string{"bell", "audit", "list", "cover", "across", "single", "sweep"}

// CheckStrategy says what is wrong with the name of a strategy. "" is that of none.
func CheckStrategy(name string) error {
	if name == "" || slices.Contains(names, name) {
		return nil
	}
	return fmt.Errorf("%q is no strategy; use one of %s, or leave it out", name, strings.Join(names, ", "))
}

const (
	// auditAgain is when an audit log that was of no use is asked again.
	auditAgain = time.Hour
)

// Chooser is the strategy that uses the best of the others that works: by the bell, by the audit
// log, by the times in the list, by nothing; and without joins across, or one by one. It asks
// the audit log once to find out whether it may. When a way stops working it goes on with the
// next one, and tries again after an hour.
//
// It cannot lose rows, as the others cannot: what was read is told by the tracks, which all of
// them share.
type Chooser struct {
	ways   Ways
	view   *View // set by the fleet
	now    Strategy
	log    *audits // the audit log, if it is of use or is being tried
	works  bool    // it is
	broken error   // why it is not
	again  time.Time
	rings  proof // what bells have named
	mute   bool  // they have not
	choice Choice
}

// NewChooser returns the strategy that chooses.
func NewChooser(w Ways) *Chooser {
	c := &Chooser{ways: w, rings: newProof()}
	name, why := w.Forced, "it was asked for"
	if name == "" {
		name, why, _ = c.pick(time.Time{})
	}
	c.now, c.choice = c.make(name), Choice{Strategy: name, Why: why}
	return c
}

// Choice is the strategy that is used.
func (c *Chooser) Choice() Choice { return c.choice }

func (c *Chooser) Name() string { return c.now.Name() }
func (c *Chooser) Pace() Pace   { return c.now.Pace() }

// make returns a new strategy of a name.
func (c *Chooser) make(name string) Strategy {
	switch name {
	case "bell":
		return NewBells()
	case "audit":
		if c.log == nil {
			c.log = newAudit(c.ways.Times)
		}
		return c.log
	case "cover":
		return NewCover()
	case "across":
		return NewAcross()
	case "single":
		s := &singles{lister: lister{every: listEach, users: time.Minute}, sweep: time.Hour}
		if !c.ways.Times {
			s.sweep = time.Minute
		}
		return s
	case "sweep":
		return NewSweep()
	}
	return NewListTimes()
}

// pick chooses.
func (c *Chooser) pick(now time.Time) (name, why string, again time.Time) {
	w := &c.ways
	joins, later := w.Joins, time.Time{}
	if c.view != nil && joins {
		joins, later = c.view.Joins(now)
	}
	var not []string
	no := func(what string, at time.Time) {
		not = append(not, what)
		if !at.IsZero() && (again.IsZero() || at.Before(again)) {
			again = at
		}
	}
	done := func(n, reason string) (string, string, time.Time) {
		return n, strings.Join(append([]string{reason}, not...), "; "), again
	}
	if !joins {
		if w.Joins {
			no("the server refuses queries with joins", later)
		} else {
			no("the profile has no joins", time.Time{})
		}
		if !w.Across {
			no("the profile has no queries across", time.Time{})
			return done("single", "each conversation can be read by itself")
		}
		if take, at := c.crosses(now); !take {
			no("the server refuses queries across the conversations of users", at)
			return done("single", "each conversation can be read by itself")
		}
		return done("across", "queries across the conversations of users may be answered")
	}
	if w.Bell && !c.mute {
		return done("bell", "conversations have hooks that ring")
	}
	if w.Bell {
		no("no bell rings for what the list shows", time.Time{})
	}
	if c.works {
		return done("audit", "the audit log is answered")
	}
	switch {
	case !w.Audit:
		no("the profile has no audit log", time.Time{})
	case c.broken != nil:
		no("the audit log cannot be used: "+c.broken.Error(), c.again)
	default:
		no("the audit log was not answered yet", c.again)
	}
	if w.Times {
		return done("list", "the list of conversations shows what has changed")
	}
	no("the profile has no times in the list of conversations", time.Time{})
	return done("sweep", "all conversations can be looked at in turn")
}

func (c *Chooser) crosses(now time.Time) (bool, time.Time) {
	if c.view == nil {
		return true, time.Time{}
	}
	return c.view.Crosses(now)
}

// choose goes on with the strategy that is the best now.
func (c *Chooser) choose(now time.Time) {
	if c.choice.Since.IsZero() {
		c.choice.Since = now
	}
	if c.ways.Forced != "" {
		c.choice.Why = "it was asked for"
		if c.log != nil && c.log.useless() != nil {
			c.choice.Why += "; the audit log cannot be used: " + c.log.useless().Error()
		}
		return
	}
	var name string
	name, c.choice.Why, c.choice.Again = c.pick(now)
	if name != c.choice.Strategy {
		c.now, c.choice.Strategy, c.choice.Since = c.make(name), name, now
	}
}

// tries reports whether the audit log is to be asked whether it is of use.
func (c *Chooser) tries() bool {
	return c.ways.Audit && c.ways.Forced == "" && !c.works && (c.choice.Strategy == "list" || c.choice.Strategy == "sweep")
}

// Index is that of the strategy, or the question whether the audit log is of use.
func (c *Chooser) Index(now time.Time) (Request, time.Time) {
	r, at := c.now.Index(now)
	if !c.tries() || !now.Before(at) && !at.Before(c.again) || at.Before(c.again) {
		return r, at
	}
	if c.log == nil {
		if c.log = newAudit(c.ways.Times); errors.Is(c.broken, errAuditLacks) {
			c.log.proof.lacks = 1 // it has had its chance
		}
	}
	return c.log.request(), c.again
}

// Indexed takes the answer to such a request.
func (c *Chooser) Indexed(now time.Time, r Request, a Answer, err error, v *View) {
	switch {
	case r.Kind != Audit:
		if c.ways.Bell && c.ways.Times && err == nil {
			c.heard(now, a.Listed, v)
		}
		c.now.Indexed(now, r, a, err, v)
	case c.log != nil:
		c.log.Indexed(now, r, a, err, v)
		switch {
		case c.log.useless() != nil:
		case err == nil:
			c.works, c.broken = true, nil
		case !c.works:
			c.again = c.log.due
		}
	}
	if c.log != nil && c.log.useless() != nil && c.ways.Forced == "" {
		c.works, c.broken, c.again, c.log = false, c.log.useless(), now.Add(auditAgain), nil
	}
	c.choose(now)
}

// rang notes that a bell has named a conversation.
func (c *Chooser) rang(now time.Time, conversation int64) {
	if c.ways.Bell && c.view != nil {
		c.rings.names(conversation, c.view.Now(now))
	}
}

// heard judges the bells by what the list shows.
func (c *Chooser) heard(now time.Time, list []Listing, v *View) {
	if c.rings.first == 0 {
		c.rings.first = v.Now(now)
	}
	c.rings.compare(now, list, v)
	c.rings.due(now, true)
	if c.rings.fails() {
		c.mute = true
	} else if c.rings.right >= fewRight {
		c.mute = false
	}
}

// Plan is that of the strategy.
func (c *Chooser) Plan(now time.Time, v *View) (Request, bool) {
	c.choose(now)
	return c.now.Plan(now, v)
}
