// One person's page: it ties the parts together and listens to the stream.
import { $, asRecord, asText, paint, toast, wait } from "./util.js";
import { Store, guard } from "./store.js";
import { Outbox } from "./outbox.js";
import { Report } from "./report.js";
import { List } from "./list.js";
import { TalkView } from "./talk.js";
import { Compose } from "./compose.js";
import { Dialogs } from "./dialogs.js";

const query = new URLSearchParams(location.search);
const who = query.get("as");
const root = document.documentElement;
if (query.get("hue")) root.dataset.hue = query.get("hue");
root.dataset.theme = query.get("theme") || localStorage.getItem("webchat-theme") || "auto";

const store = new Store();
const report = new Report(who);
const bus = new BroadcastChannel("webchat");

const state = (text, away) => {
  $("state").textContent = text;
  $("state").classList.toggle("away", Boolean(away));
};

// insist repeats what the page cannot begin without.
async function insist(call) {
  for (let pause = 300; ; pause = Math.min(pause * 1.6, 4000)) {
    try { return await call(); } catch (error) {
      if (error.status === 404) throw error;
      state("waiting for the server", true);
      await wait(pause);
    }
  }
}

async function begin() {
  const chat = await Fliplet.Chat.connect({ url: `chat/${encodeURIComponent(who)}/` });
  const me = await insist(() => chat.user());
  store.me = asText(asRecord(me.data).flUserId);
  const outbox = new Outbox(store, chat, who, report);
  const compose = new Compose(store, chat, outbox);
  const view = new TalkView(store, chat, outbox, compose);
  const list = new List(store, open);
  outbox.stored = (talk, message) => message && message.data && arrive(message);

  async function refresh() {
    const [contacts, conversations] = await Promise.all([insist(() => chat.contacts()), insist(() => chat.conversations())]);
    store.setPeople(contacts);
    store.setConversations(conversations);
    report.watches(conversations.map((c) => c.id));
  }
  // The list is read again when a message is from a conversation that is not in it; what
  // has come meanwhile waits.
  let refreshing = null;
  const strangers = [];
  const refreshSoon = () => (refreshing ||= wait(50).then(refresh).finally(() => { refreshing = null; }));

  function arrive(message, live = true) {
    const talk = store.talks.get(message.dataSourceId);
    if (!talk) {
      if (message.isDeleted || strangers.length > 5000) return;
      strangers.push(message);
      if (strangers.length === 1) refreshSoon().then(() => {
        for (const m of strangers.splice(0)) if (store.talks.has(m.dataSourceId)) arrive(m);
      });
      return;
    }
    const what = talk.add(message, store.me);
    if (what === "known") return;
    if (what === "new") {
      report.shown(message, live);
      if (message.data.fromUserId !== store.me) view.arrived(talk);
    }
    store.touch("list");
    store.touch("talk");
  }
  view.history = (message) => report.shown(message, false);

  function open(id, messageID) {
    if (!store.talks.has(id)) return;
    $("app").dataset.view = "talk";
    view.show(id, messageID);
    list.draw();
    if (matchMedia("(hover: hover)").matches && !messageID) $("text").focus({ preventScroll: true });
  }
  const dialogs = new Dialogs(store, chat, open, refreshSoon);
  store.addEventListener("change", (e) => {
    if (e.detail.has("list")) list.draw();
    if (e.detail.has("talk")) { view.draw(); view.read(); }
  });
  $("back").addEventListener("click", () => {
    $("app").dataset.view = "list";
    const id = store.open;
    store.open = null;
    list.draw();
    view.draw();
    ($("list").querySelector(`[data-talk="${id}"]`) || $("search")).focus();
  });
  addEventListener("keydown", (e) => {
    if ((e.ctrlKey || e.metaKey) && e.key === "k") { e.preventDefault(); $("app").dataset.view = "list"; $("search").focus(); }
    else if (e.key === "Escape" && !document.querySelector("dialog[open], :popover-open") && getComputedStyle($("back")).display !== "none") $("back").click();
  });

  await refresh();
  paint($("me-face"), store.person(store.me), store.me);
  $("me").textContent = store.person(store.me);
  await outbox.restore();
  chat.stream((message) => arrive(message), {
    onState: (name, error) => {
      if (name === "closed") state("ended: " + (error ? error.message : ""), true);
      else if (name === "open" && !error) state("connected");
      else state(name === "open" ? "Fliplet does not answer" : "reconnecting…", true);
    },
    onGap: (gap) => console.warn("a gap in the stream", gap),
  });
  // Nobody is told when somebody adds them to a conversation in which nothing is said.
  // The local Fliplet can be asked often; a real account has others to answer, too.
  const often = await fetch("lab/setup").then((r) => r.json()).then((setup) => setup.faults, () => false);
  setInterval(() => document.visibilityState === "visible" && refreshSoon(), often ? 2500 : 60000);
  setInterval(() => list.draw(), 60000); // "now" becomes "yesterday"
  if (query.get("open")) {
    const wanted = [...store.talks.values()].find((t) => store.title(t) === query.get("open"));
    if (wanted) open(wanted.id);
  } else if (matchMedia("(min-width: 600px)").matches) {
    await Promise.race([firstMessages(), wait(2500)]);
    if (!store.open && store.sorted()[0]) open((store.sorted().find((t) => store.isDirect(t) && t.messages.length) || store.sorted()[0]).id);
  }

  storms(outbox, open);
}

const firstMessages = () => new Promise((done) => {
  const look = () => { if ([...store.talks.values()].some((t) => t.messages.length)) { store.removeEventListener("change", look); done(); } };
  store.addEventListener("change", look);
  look();
});

// storms lets the page write by itself, for the drawer.
function storms(outbox) {
  const lines = ["Did you see that?", "I did 😄", "The delay is set to two seconds.", "And still in order.", "One more.", "What about pictures?", "They get through, too.", "Look at the counters.", "Zero, zero, zero.", "Restart it!", "Again?", "Nothing is missing.", "👍", "How long did that take?", "Less than a second.", "Let us go on."];
  let timer = 0, until = 0, n = Math.floor(Math.random() * lines.length);
  bus.addEventListener("message", ({ data }) => {
    if (data.kind === "theme") root.dataset.theme = data.name;
    if (data.kind === "guard") guard.on = data.on;
    if (data.kind !== "storm") return;
    until = data.on ? Date.now() + 5000 : 0;
    if (!data.on || timer) return;
    const next = () => {
      timer = 0;
      if (Date.now() > until) return;
      const all = store.sorted().filter((t) => !t.conversation.isChannel).slice(0, 3);
      const talk = Math.random() < 0.7 && store.talks.get(store.open) || all[n % Math.max(1, all.length)];
      if (talk && talk.waiting.length < 4) outbox.add(talk, lines[n++ % lines.length]);
      timer = setTimeout(next, (data.every || 900) * (0.5 + Math.random()));
    };
    timer = setTimeout(next, 200);
  });
}

begin().catch((error) => {
  state(error.status === 404 ? "there is nobody of this name" : "stopped", true);
  toast(error.message || String(error));
});
