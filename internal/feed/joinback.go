package feed

import "slices"

// A server's clock may be set back between a join and the reading of the conversation.
// What came after the join then has times from before it. When that is known, ids tell
// what is what: of the rows that have a time which the clock has had twice, those came
// after the join whose ids are higher than those of all that certainly came before it.

// setBack notes that the server's clock was set back since the user joined.
func (j *join) setBack(step Time) {
	if j.back {
		j.otherwise -= step
	} else {
		j.otherwise = j.until - step - 2*tick
	}
	j.back, j.looked = true, false
}

// blind reports whether ids have to be looked at before more is read.
func (j *join) blind() bool { return j.back && !j.looked }

// look notes the ids of the newest rows of what came before the join.
func (j *join) look(p page) {
	j.looked = true
	for i := range p.rows {
		row := &p.rows[i]
		if twice := row.Created >= j.otherwise && !(p.clock != 0 && row.Created > p.clock+tick); j.back && j.has(row) && row.Created <= j.until && !twice {
			j.bound = max(j.bound, row.ID)
		}
	}
}

// later reports whether a row came after the join.
func (j *join) later(row *Row) bool { return row.Created > j.until || j.stepped(row) }

// stepped reports whether a row came after the join although its time does not say so.
func (j *join) stepped(row *Row) bool {
	return j.back && row.Created >= j.otherwise && row.Created <= j.until && row.ID > j.bound
}

// but are rows without those that came after the join although their times do not say so.
func (j *join) but(rows []Row) []Row {
	if !j.back {
		return rows
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return j.stepped(&r) })
}

// beforeJoin reports whether a row of a conversation that was joined later, up to a time, came
// before the join. Ids that are higher than any seen in the join are those of later rows.
func (r *reader) beforeJoin(row *Row, until Time) bool {
	if i := slices.IndexFunc(r.joins, func(j join) bool { return j.conversation == row.Conversation }); i >= 0 {
		return !r.joins[i].later(row)
	}
	if row.Created > until {
		return false
	}
	seen, some := r.mem.floorIDs[row.Conversation]
	return !some || row.ID <= seen || r.start == FromBeginning && row.Created > until-r.cfg.overlap()
}
