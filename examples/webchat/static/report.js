// The page tells the window's ledger what was sent and what was shown, so that the counters
// compare the two. A report is repeated until it is taken, and taken once.

export class Report {
  constructor(who) {
    Object.assign(this, { who, page: crypto.randomUUID(), events: [], batch: [], seq: 0 });
    setInterval(() => this.flush(), 200);
    addEventListener("pagehide", () => this.push({ kind: "bye", at: Date.now() }) || this.last());
  }
  push(event) { this.events.push(event); }
  sent(w) { this.push({ kind: "sent", guid: w.guid, conversation: w.conversation, at: Date.now() }); }
  stored(guid, conversation) { this.push({ kind: "stored", guid, conversation, at: Date.now() }); }
  dropped(w) { this.push({ kind: "dropped", guid: w.guid, conversation: w.conversation, at: Date.now() }); }
  shown(m, live) { this.push({ kind: "shown", guid: m.data.guid || "row" + m.id, conversation: m.dataSourceId, from: m.data.fromUserId, id: m.id, live, at: Date.now() }); }
  watches(conversations) {
    const text = JSON.stringify(conversations);
    if (text === this.watched) return;
    this.watched = text;
    this.push({ kind: "watches", conversations, at: Date.now() });
  }

  async flush() {
    if (this.busy) return;
    // A repeated report is the same one: what has come since would be taken for known.
    if (!this.batch.length) this.batch = this.events.splice(0, 500);
    const events = this.batch;
    if (!events.length) return;
    this.busy = true;
    try {
      const answer = await fetch("lab/report", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ page: this.page, as: this.who, seq: this.seq, events }) });
      if (answer.ok) { this.batch = []; this.seq++; }
    } catch { /* the next one has it */ }
    this.busy = false;
  }
  last() {
    if (!this.busy) navigator.sendBeacon("lab/report", new Blob([JSON.stringify({ page: this.page, as: this.who, seq: this.seq, events: [...this.batch, ...this.events] })], { type: "application/json" }));
  }
}
