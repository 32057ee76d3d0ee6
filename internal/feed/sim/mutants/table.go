package mutants

// table holds the defects; the first has number 1. What they do to the engine is
// in the edits, which have to follow the engine when it changes.
var table = [...]Mutant{
	{
		What: "pages go on after a time, not after a time and an id",
		Seed: 1,
		Edits: edits("pages.go",
			"\tr.at = last\n\tif r.first == beginning {", "\tr.at = afterAll(last.Time)\n\tif r.first == beginning {",
			"\tr.at = last\n\tr.ending = !p.full", "\tr.at = afterAll(last.Time)\n\tr.ending = !p.full"),
	},
	{
		What:  "changes are not read again for late rows",
		Seed:  4,
		Edits: edits("feed.go", "return Time(c.Overlap.Microseconds())", "return 0"),
	},
	{
		What:  "a position settles before its window has passed",
		Seed:  30,
		Edits: edits("progress.go", "r.window.open() && r.pollBegan.Sub(r.window.from) >= r.cfg.Overlap", "r.window.open()"),
	},
	{
		What:  "the cursor moves before the acknowledgement",
		Seed:  20,
		Edits: edits("ledger.go", "mark{after: r.queue.last,", "mark{after: 0,"),
	},
	{
		What:  "acknowledgements are not read from a stored cursor",
		Seed:  469,
		Edits: edits("cursor.go", "if mine(k) {\n\t\t\tr.mem.set(k.ID, k.version())\n\t\t\tr.created", "if false {\n\t\t\tr.mem.set(k.ID, k.version())\n\t\t\tr.created"),
	},
	{
		What: "versions that a poll can bring again are forgotten",
		Seed: 5,
		Edits: edits("progress.go",
			"\tr.mem.unband(r.firm)\n", "\tr.mem.unband(1<<63 - 1)\n",
			"return v.updated > r.firm || v.created > r.firm || r.top", "return false && r.top"),
	},
	{
		What:  "deletions of known messages are dropped",
		Seed:  1,
		Edits: edits("classify.go", "if !v.superseded(row, r.clock) {", "if row.Deleted || !v.superseded(row, r.clock) {"),
	},
	{
		What: "updates are told as new messages",
		Seed: 9,
		Edits: edits("classify.go",
			"if !duplicate && !same && !(v.deleted && row.Deleted) {\n\t\t\tr.batch.updates = append(r.batch.updates, Event{Row: *row, Update: true,",
			"if !duplicate && !same && !(v.deleted && row.Deleted) {\n\t\t\tr.batch.updates = append(r.batch.updates, Event{Row: *row, Update: false,"),
	},
	{
		What:  "repeated sends are told twice",
		Seed:  92,
		Edits: edits("classify.go", "; ok && id != row.ID {", "; ok && id != row.ID && false {"),
	},
	{
		What: "new messages are sorted by id alone",
		Seed: 3,
		Edits: edits("batch.go",
			"\tsortEvents(b.updates, (*Row).UpdatedKey)\n",
			"\tsortEvents(b.updates, (*Row).UpdatedKey)\n\tslices.SortFunc(b.news, func(x, y Event) int { return cmp.Compare(x.Row.ID, y.Row.ID) })\n"),
	},
	{
		What: "updates are not sorted",
		Seed: 44,
		Edits: edits("batch.go",
			"\tsortEvents(b.updates, (*Row).UpdatedKey)\n",
			"\tsortEvents(b.updates, (*Row).UpdatedKey)\n\tslices.SortFunc(b.updates, func(x, y Event) int { return cmp.Compare(x.Row.ID, y.Row.ID) })\n"),
	},
	{
		What:  "what changed while a backlog was read waits for another poll",
		Seed:  129,
		Edits: edits("progress.go", "r.phase, r.missed, r.unsure = live, true, false", "r.phase, r.missed, r.unsure = live, false, false"),
	},
	{
		What:  "changes among the older rows are skipped after a backlog",
		Seed:  313,
		Edits: edits("progress.go", "if r.createdFrom == beginning {", "if true {"),
	},
	{
		What:  "joined conversations bring no history",
		Seed:  143,
		Edits: edits("membership.go", "if young && m.Created > until && m.Joined == 0 {", "if true {"),
	},
	{
		What:  "conversations found through a message bring no history",
		Seed:  267,
		Edits: edits("membership.go", "joining = !r.enter(m, young) || joining", "r.conversations.add(m.Conversation)\n\t\t_ = young"),
	},
	{
		What:  "the page on which a conversation was found is not read again",
		Seed:  37,
		Edits: edits("membership.go", "\t\tr.rewind()\n", "\t\tr.batch.reset()\n\t\tr.finish(now)\n"),
	},
	{
		What:  "history that was not loaded is told as new",
		Seed:  13,
		Edits: edits("pages.go", "if p.full {\n\t\tr.mem.floor =", "if false {\n\t\tr.mem.floor ="),
	},
	{
		What:  "rows of conversations not yet known are dropped",
		Seed:  268,
		Edits: edits("classify.go", "\t\t\tr.batch.hold(row, r.at.Time)\n", ""),
	},
	{
		What:  "history that was not loaded is not reported",
		Seed:  267,
		Edits: edits("join.go", "if !j.told {", "if false {"),
	},
	{
		What:  "pages out of order are paged on from",
		Seed:  68,
		Edits: edits("pages.go", "if !p.full || p.ordered && last.Compare(p.query.After) > 0 {", "if true {"),
	},
	{
		What:  "what is forgotten leaves no floor",
		Seed:  129,
		Edits: edits("known.go", "m.floor, m.maxID = later(m.floor, k), max(m.maxID, maxID)", ""),
	},
	{
		What:  "what a backlog forgot is told again",
		Seed:  683,
		Edits: edits("known.go", "if slices.ContainsFunc(m.bands, func(b band) bool { return b.has(r) }) {", "if false {"),
	},
	{
		What:  "a forgotten row takes all of its instant along",
		Seed:  129,
		Edits: edits("known.go", "m.raise(was.Key, was.ID)", "m.raise(afterAll(was.Time), 1<<63-1)", "from, was.Key, was.ID)", "from, afterAll(was.Time), 1<<63-1)"),
	},
	{
		What:  "imports with an id below one seen are history",
		Seed:  1848,
		Edits: edits("known.go", "m.rows.put(id, v)\n", "m.rows.put(id, v)\n\tm.maxID = max(m.maxID, id)\n"),
	},
	{
		What:  "a second change within a timestamp is not seen",
		Seed:  4,
		Edits: edits("classify.go", "if !v.superseded(row, r.clock) {", "if row.Updated == v.updated || !v.superseded(row, r.clock) {"),
	},
	{
		What:  "an older version replaces a newer one",
		Seed:  277,
		Edits: edits("classify.go", "if !v.superseded(row, r.clock) {", "if row.Updated >= v.updated && !v.superseded(row, r.clock) {"),
	},
	{
		What:  "replays are not marked",
		Seed:  19,
		Edits: edits("pages.go", "Replay: true}", "Replay: false}"),
	},
	{
		What:  "a full queue does not stop the reading",
		Seed:  129,
		Edits: edits("reader.go", "return !r.parked && r.queue.len() < r.cfg.Queue", "return !r.parked"),
	},
	{
		What:  "listeners with a full queue miss the poll for good",
		Seed:  171,
		Edits: edits("feed.go", "e.missed = e.missed || e.phase == live\n", "e.missed = e.missed || e.phase == live && e.room()\n"),
	},
	{
		What:  "a shared poll begins where the farthest listener is",
		Seed:  564,
		Edits: edits("feed.go", "if q.After.Compare(query.After) < 0 {", "if q.After.Compare(query.After) >= 0 {"),
	},
	{
		What:  "a poke does nothing",
		Seed:  1,
		Edits: edits("schedule.go", "\ts.heard(now)\n\ts.next = now\n", "\ts.heard(now)\n\tif true {\n\t\treturn\n\t}\n\ts.next = now\n"),
	},
	{
		What:  "pokes have no smallest distance",
		Seed:  1,
		Edits: edits("schedule.go", "s.next.Before(gap) {", "s.next.Before(gap) && false {"),
	},
	{
		What:  "the time named by the server is ignored",
		Seed:  140,
		Edits: edits("schedule.go", "s.named = wait > 0", "wait = 0\n\ts.named = false"),
	},
	{
		What:  "a row from the future moves the position there",
		Seed:  55,
		Edits: edits("future.go", "return clock != 0 && t > clock+tick", "return false"),
	},
	{
		What:  "a page that ends in the future settles what was not read",
		Seed:  71,
		Edits: edits("pages.go", "r.seen = k, advance(r.seen, k.Time, p.clock)", "r.seen = k, max(r.seen, k.Time)"),
	},
	{
		What:  "a backlog settles the future",
		Seed:  71,
		Edits: edits("progress.go", "r.settle(r.endSettled())", "r.settle(r.end - r.cfg.overlap())"),
	},
	{
		What:  "an edit of a row from the future is taken for an old version",
		Seed:  273,
		Edits: edits("known.go", "if future(v.updated, clock) && r.Updated != v.updated {", "if false {"),
	},
	{
		What:  "a server can silence the engine for as long as it likes",
		Seed:  143,
		Edits: edits("schedule.go", "\twait = min(wait, s.cfg.LongestWait)\n", ""),
	},
	{
		What:  "the backoff grows for as long as an outage lasts",
		Seed:  2416,
		Edits: edits("schedule.go", "s.cfg.Outage))", "time.Hour))"),
	},
	{
		What:  "no poll is planned when the last listener has no room",
		Seed:  12,
		Edits: edits("feed.go", "\t\tf.schedule(now)\n\t\treturn Query{}, false", "\t\treturn Query{}, false"),
	},
	{
		What:  "a row that cannot be read is not acknowledged",
		Seed:  164,
		Edits: edits("ledger.go", "(e.Gap == nil || e.Gap.Row != 0) && !e.Replay", "e.Gap == nil && !e.Replay"),
	},
	{
		What:  "a page that ends early is taken for the last one",
		Seed:  49,
		Edits: edits("feed.go", "p.full || whole, p.full && !whole", "whole, p.full && !whole"),
	},
	{
		What:  "a row that cannot be read is delivered as if it could",
		Seed:  49,
		Edits: edits("progress.go", "row.Unreadable && !row.Deleted {", "false {"),
	},
	{
		What:  "a listener from now gets the history of a joined conversation as new",
		Seed:  223,
		Edits: edits("join.go", "first.Time > j.until || r.start == FromNow {", "first.Time > j.until {"),
	},
	{
		What:  "a listener from the beginning gets a page of a joined conversation",
		Seed:  143,
		Edits: edits("join.go", "if s == FromBeginning && !j.blind || s != FromBeginning && j.paging {", "if j.paging {"),
	},
	{
		What:  "history is not marked",
		Seed:  223,
		Edits: edits("classify.go", "Event{Row: *row, History: r.history(row)}", "Event{Row: *row}"),
	},
	{
		What:  "what came since a join is taken for history",
		Seed:  32,
		Edits: edits("membership.go", "return min(until, m.Changed-1)", "return until + 3_600_000_000"),
	},
	{
		What:  "a message that was not loaded is told as changed, although nobody has changed it",
		Seed:  2,
		Edits: edits("classify.go", "return row.Deleted || row.Updated != row.Created && row.Updated >= since", "return true || row.Updated >= since"),
	},
	{
		What:  "replays are told as updates",
		Seed:  19,
		Edits: edits("pages.go", "Event{Row: *row, Replay: true}", "Event{Row: *row, Update: true, Replay: true}"),
	},
	{
		What:  "what is new since a reset is replayed, too",
		Seed:  115,
		Edits: edits("pages.go", " || r.replayed[row.ID] || ", " || "),
	},
	{
		What:  "changes from before a join are told",
		Seed:  5454,
		Edits: edits("classify.go", "since = max(since, until)", "since = max(since, until-1<<50)"),
	},
	{
		What:  "a listener that ends in a joined conversation begins with it anew",
		Seed:  39,
		Edits: edits("join.go", "\tr.flush()\n\tr.checkpoint()\n\tif p.full", "\tif p.full"),
	},
	{
		What:  "what is set aside goes on where its listener reads, not where its position is",
		Seed:  362,
		Edits: edits("aside.go", "restrict(l.base, conversation)", "restrict(e.snapshot(), conversation)"),
	},
	{
		What:  "what is set aside is not stored",
		Seed:  395,
		Edits: edits("ledger.go", "\t\ts.Apart[id] = p.ledger.base\n", "\t\t_ = id\n"),
	},
	{
		What:  "what is set aside stays in the queue",
		Seed:  362,
		Edits: edits("aside.go", "\te.queue.remove(conversation)\n", ""),
	},
	{
		What:  "what is set aside is read by its listener, too",
		Seed:  152,
		Edits: edits("aside.go", "return r.ledger != nil && r.ledger.apart(conversation)", "return false"),
	},
	{
		What:  "what is set aside is read before its event is done with",
		Seed:  362,
		Edits: edits("aside.go", "case !p.held && !p.joined &&", "case !p.joined &&"),
	},
	{
		What:  "what is set aside comes back before it has caught up",
		Seed:  4595,
		Edits: edits("aside.go", "|| !s.caughtUp() ||", "||"),
	},
	{
		What:  "what is set aside never catches up",
		Seed:  362,
		Edits: edits("aside.go", "\t\tr.settle(r.promise)\n", ""),
	},
	{
		What:  "what comes back takes nothing along",
		Seed:  152,
		Edits: edits("aside.go", "if v.conversation == c {\n\t\t\tr.mem.set(id, v)", "if false {\n\t\t\tr.mem.set(id, v)"),
	},
	{
		What:  "what comes back is left out of the stored position at once",
		Seed:  744,
		Edits: edits("aside.go", "\t\ts.main.ledger.joined = append(s.main.ledger.joined, p)\n", "\t\ts.main.ledger.drop(p)\n"),
	},
	{
		What:  "the event that was waited for is not stored",
		Seed:  689,
		Edits: edits("aside.go", "\tp.ledger.ack(&ev)\n", ""),
	},
	{
		What:  "the event that was waited for comes again",
		Seed:  362,
		Edits: edits("aside.go", "\t\tp.mem.put(&ev.Row)\n", ""),
	},
	{
		What:  "what overtook the position is forgotten when it moves",
		Seed:  723,
		Edits: edits("ledger.go", "return a.number <= m.after", "return true"),
	},
	{
		What:  "the position overtakes what is not done with",
		Seed:  20,
		Edits: edits("queue.go", "return q.items[q.head].number - 1", "return q.last"),
	},
	{
		What:  "the oldest event that is not done with holds up the position for ever",
		Seed:  23088,
		Edits: edits("aside.go", "if e == nil || e.queue.overtaken()", "if true || e.queue.overtaken()"),
	},
	{
		What:  "every position is stored as a whole",
		Seed:  226,
		Edits: edits("ledger.go", "case l.whole || base && len(l.pending) > 0:", "case l.whole || len(l.pending) > 0:"),
	},
	{
		What:  "a position is stored although nothing has changed",
		Seed:  3,
		Edits: edits("ledger.go", "\tcase len(l.pending) > 0:\n", "\tcase true:\n"),
	},
	{
		What:  "only the last acknowledgement is stored",
		Seed:  33,
		Edits: edits("ledger.go", "l.pending = append(l.pending, v)", "l.pending = []savedVersion{v}"),
	},
	{
		What:  "a server's clock that is set back is not noticed",
		Seed:  737,
		Edits: edits("step.go", "stepped := f.dated && most+tick < f.ahead", "stepped := false && most+tick < f.ahead"),
	},
	{
		What:  "rows with a new id and an old time are not asked for",
		Seed:  2965,
		Edits: edits("reader.go", "q.Beyond, q.From = r.top, r.passed", "q.Beyond, q.From = 0, r.passed"),
	},
	{
		What:  "what comes after the first page of a poll is taken for read",
		Seed:  7106,
		Edits: edits("pages.go", "\tif first && p.query.From == (Key{}) {\n\t\tr.pageTop", "\tif true {\n\t\tr.pageTop"),
	},
	{
		What:  "a backlog drops rows whose time has passed",
		Seed:  3750,
		Edits: edits("pages.go", "r.abandon()", "r.batch.reset()"),
	},
	{
		What:  "what came before the first poll is history, whatever its time is",
		Seed:  3750,
		Edits: edits("beyond.go", "- Time(now.Sub(r.subscribed).Microseconds()) - tick", "+ Time(1+now.Sub(now).Microseconds())"),
	},
	{
		What:  "a clock that a restart finds set back a little is believed",
		Seed:  215394,
		Edits: edits("future.go", "if r.settled > clock && r.phase == live {", "if r.settled > clock && false {"),
	},
	{
		What:  "rows are forgotten while earlier ones are still to come",
		Seed:  61644,
		Edits: edits("progress.go", " || r.top != 0 && id > r.top", " || r.top != 0 && id < 0"),
	},
	{
		What:  "a position that is pulled back takes history for new",
		Seed:  32702,
		Edits: edits("future.go", "r.mem.raise(floor, r.top)", "r.mem.raise(earlier(floor, r.mem.floor), r.mem.maxID)"),
	},
	{
		What:  "a poll that brought nothing settles rows that it had to bring",
		Seed:  49883,
		Edits: edits("progress.go", "if !r.hollow {", "if !r.hollow || true {"),
	},
	{
		What:  "a listener that is parked goes on behind what it dropped",
		Seed:  674,
		Edits: edits("park.go", "bound = min(bound, e.found()-1)", "bound = min(bound, r.settled)"),
	},
	{
		What:  "what a parked listener dropped counts as delivered",
		Seed:  32,
		Edits: edits("park.go", "\tm.rows.drop(id)\n", ""),
	},
	{
		What:  "a change that a parked listener dropped counts as delivered",
		Seed:  356,
		Edits: edits("park.go", "v.hash, v.deleted, v.duplicate = ^v.hash, false, false", "v.deleted, v.duplicate = false, false"),
	},
	{
		What:  "a listener is parked although versions of what it would read again are forgotten",
		Seed:  50532,
		Edits: edits("park.go", "e.found() <= r.mem.lost ||", "false ||"),
	},
	{
		What:  "the time of the user's own join is not used",
		Seed:  143,
		Edits: edits("membership.go", "if m.Joined != 0 {\n\t\treturn", "if false {\n\t\treturn"),
	},
	{
		What:  "what has the time of the user's own join is taken for history",
		Seed:  97370,
		Edits: edits("membership.go", "return m.Joined - 1", "return m.Joined + 1000"),
	},
	{
		What:  "a poll that lacks a conversation settles what it has not read",
		Seed:  557,
		Edits: edits("progress.go", "if r.partial {\n\t\t\treturn", "if r.partial && false {\n\t\t\treturn"),
	},
	{
		What:  "later messages of a conversation come before those that a page lacked",
		Seed:  227,
		Edits: edits("pages.go", "\t\tr.batch.leave(id)", "\t\t_ = id"),
	},
	{
		What:  "an empty first page is believed at once",
		Seed:  1139,
		Edits: edits("pages.go", "if len(p.rows) == 0 && !r.doubted", "if false && !r.doubted"),
	},
	{
		What:  "what a list that failed would have shown counts as read",
		Seed:  13014,
		Edits: edits("unlisted.go", "e.needsMembers, e.partial = false, true", "e.needsMembers, e.partial = false, false"),
	},
	{
		What:  "a message that was imported shows that an empty first page was wrong",
		Seed:  63,
		Edits: edits("blank.go", "max(row.Created, row.Updated) < r.began-skew", "row.Created < r.began-skew"),
	},
	{
		What:  "a message that has come since shows that an empty first page was wrong",
		Seed:  63,
		Edits: edits("blank.go", "row.Updated) < r.began-skew", "row.Updated) < r.began+skew"),
	},
	{
		What:  "a conversation that is not known yet shows that an empty first page was wrong",
		Seed:  14031,
		Edits: edits("blank.go", " && !joined && r.conversations.has(row.Conversation)\n", " && !joined\n"),
	},
	{
		What:  "an empty first page is doubted although rows have come",
		Seed:  479,
		Edits: edits("blank.go", "r.blank = r.pos == beginning && ", "r.blank = "),
	},
	{
		What:  "an empty first page is doubted after a restart that finds the clock set back",
		Seed:  136074,
		Edits: edits("cursor.go", "r.blank = r.start == FromBeginning && r.phase", "r.blank = r.phase"),
	},
	{
		What:  "what a gap of an own join stands for comes as new",
		Seed:  2970,
		Edits: edits("join.go", "r.start != FromBeginning && j.stale(row)", "false && j.stale(row)"),
	},
	{
		What:  "a parked listener keeps the end of a message that it had forgotten for told",
		Seed:  232470,
		Edits: edits("park.go", "v.hash, v.deleted, v.duplicate = ^v.hash, false, false", "v.hash, v.deleted = ^v.hash, false"),
	},
	{
		What:  "positions hold the hashes of one process",
		Seed:  3,
		Edits: edits("feed.go", "own.rows = stable", "_ = stable"),
	},
	{
		What:  "a backlog leaves rows of a joined conversation to a poll that does not bring them",
		Seed:  408641,
		Edits: edits("join.go", "return r.phase == live && (", "return ("),
	},
	{
		What:  "an answer that is as large as any other is believed to be whole",
		Seed:  8,
		Edits: evidence("p.Rows >= seen.rows ||", "p.Rows > seen.rows ||"),
	},
	{
		What:  "an answer with fewer rows than were asked for is believed to be whole",
		Seed:  8,
		Edits: evidence("return e.round(p.Rows) && p.Rows >= seen.rows ||", "return e.round(p.Rows) && p.Rows < 0 ||"),
	},
	{
		What:  "a poll asks for a larger page of rows whose time has passed where none can be larger",
		Seed:  8,
		Edits: edits("beyond.go", "if !p.short || !p.ordered || last", "if true || !p.ordered || last"),
	},
	{
		What:  "a backlog does not go on behind rows that it leaves to the next poll",
		Seed:  4858,
		Edits: edits("pages.go", "if p.short { // a larger", "if false { // a larger"),
	},
	{
		What:  "what is forgotten of a conversation that is read apart leaves no floor",
		Seed:  1610,
		Edits: edits("known.go", "m.goneIDs[was.conversation] = max(m.goneIDs[was.conversation], was.ID)", "m.goneIDs[was.conversation] = 0"),
	},
	{
		What:  "a conversation that holds up the position is not set aside while there is room",
		Seed:  9176,
		Edits: edits("aside.go", "e.ledger.base == nil {\n\t\treturn false\n\t}\n\tl := e.ledger\n\tvar base", "e.ledger.base == nil || e.room() {\n\t\treturn false\n\t}\n\tl := e.ledger\n\tvar base"),
	},
	{
		What:  "what comes while an empty first page is asked for again is history",
		Seed:  271,
		Edits: edits("blank.go", "return r.doubted && r.firstClock != 0 &&", "return false &&"),
	},
	{
		What:  "what came before a late first page is history",
		Seed:  92,
		Edits: edits("blank.go", "before > late {", "false && before > late {"),
	},
	{
		What:  "a start whose first page came late is dated too early",
		Seed:  3,
		Edits: edits("blank.go", "p.clock + tick - Time(before", "p.clock - 5*tick - Time(before"),
	},
	{
		What:  "the poll after a late first page does not go back to the start",
		Seed:  4088,
		Edits: edits("pages.go", "r.pos = min(r.pos, r.asked)", "r.pos = max(r.pos, r.firstClock)"),
	},
	{
		What:  "an empty answer after a page that could not be continued is believed",
		Seed:  720221,
		Edits: edits("pages.go", "r.jumbled = mostEmptied", "r.jumbled = 0"),
	},
}
