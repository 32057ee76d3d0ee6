// Shows what the server says each second, while somebody looks.

import * as chart from "./page_chart.js";
import { byId, el, setText } from "./page_dom.js";
import * as lists from "./page_lists.js";
import * as talk from "./page_talk.js";

const pause = 1000; // between two looks; longer while nobody answers
const longest = 8000;
const batch = 100; // conversations that are listed at a time

const wanted = { n: batch, q: "", as: "" };
let answered = ""; // what was wanted when stored came
let stored = null; // conversations and data sources as they came last
let revision = 0;
let now = "";
let timer = 0;
let looking = false;
let again = false; // somebody wants something else while a look is under way
let failures = 0;

const main = byId("main");
const narrow = matchMedia("(max-width: 44rem)");

function say(text, stopped) {
  setText(byId("state"), text);
  byId("state").parentElement.classList.toggle("stopped", stopped);
}

async function look() {
  clearTimeout(timer);
  if (looking) {
    again = true;
    return;
  }
  if (document.hidden) return say("paused", false);
  looking = true;
  try {
    do {
      again = false;
      const query = new URLSearchParams(wanted);
      const asked = query.toString();
      if (asked === answered) query.set("known", revision);
      const answer = await fetch("live.json?" + query, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
      if (!answer.ok) throw new Error(answer.status);
      await take(await answer.json(), asked);
    } while (again);
    failures = 0;
    say("live", false);
  } catch {
    failures++;
    say("the server does not answer", true);
  }
  looking = false;
  timer = setTimeout(look, failures ? Math.min(pause * 2 ** failures, longest) : pause);
}

// take shows a state of the server.
async function take(state, asked) {
  const first = !stored;
  revision = state.revision;
  now = state.now;
  if (state.stored) {
    stored = state.stored;
    answered = asked;
    if (!wanted.as && stored.as.id) { // it stays the same person while the page is open
      wanted.as = stored.as.id;
      answered = new URLSearchParams(wanted).toString();
    }
    lists.conversations(stored, now, talk.current(), choose);
    lists.sources(stored);
    viewers();
  }
  lists.traffic(state.traffic, new Map([...stored.sources, ...stored.conversations].map((s) => [s.id, s.name])));
  chart.draw(state.traffic.rates, state.traffic.limit);
  const faults = byId("faults");
  faults.hidden = !state.faults;
  setText(faults, state.faults ? "The server has failed " + state.faults + " times. Its log says how." : "");
  if (state.stored && !first) tell(await talk.refresh(stored.as.id));
}

// viewers fills the list of people whose side may be the right one.
function viewers() {
  const select = byId("as");
  const people = stored.viewers.some((p) => p.id === stored.as.id) || !stored.as.id ? stored.viewers : [stored.as, ...stored.viewers];
  const text = JSON.stringify(people);
  if (select.dataset.people !== text) {
    select.dataset.people = text;
    select.replaceChildren(...people.map((p) => el("option", { value: p.id }, p.name)));
  }
  select.disabled = !people.length;
  if (document.activeElement !== select) select.value = stored.as.id;
}

// tell says how many messages have come, not which, and not more often than each five seconds.
let untold = 0;
let telling = 0;
function tell(n) {
  untold += n;
  if (!untold || telling) return;
  setText(byId("said"), untold === 1 ? "1 new message" : untold + " new messages");
  untold = 0;
  telling = setTimeout(() => {
    telling = 0;
    setText(byId("said"), "");
    tell(0);
  }, 5000);
}

// choose opens a conversation. The address keeps it, so that it comes back with the page.
async function choose(id, quietly) {
  history.replaceState(null, "", "#" + id);
  const shown = talk.open(id, stored.as.id);
  lists.conversations(stored, now, id, choose);
  if (!quietly) {
    main.dataset.view = "talk";
    if (narrow.matches) byId("back").focus();
  }
  await shown.catch(() => say("the server does not answer", true));
}

function start() {
  for (const radio of document.getElementsByName("theme")) {
    radio.checked = radio.value === (document.documentElement.dataset.theme ?? "auto");
    radio.addEventListener("change", () => theme(radio.value));
  }
  lists.arrows(byId("list"), "button");
  lists.arrows(document.querySelector("[role=tablist]"), "[role=tab]", tab);
  for (const t of document.querySelectorAll("[role=tab]")) t.addEventListener("click", () => tab(t));
  talk.start();
  chart.start();
  let typing = 0;
  byId("filter").addEventListener("input", (e) => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      wanted.q = e.target.value;
      wanted.n = batch;
      look();
    }, 200);
  });
  byId("as").addEventListener("change", async (e) => {
    wanted.as = e.target.value;
    await look();
    talk.refresh(wanted.as).catch(() => {});
  });
  byId("list-more").addEventListener("click", () => {
    wanted.n += batch;
    look();
  });
  byId("back").addEventListener("click", () => {
    main.dataset.view = "list";
    (byId("list").querySelector("[aria-current]") ?? byId("filter")).focus();
  });
  document.addEventListener("visibilitychange", look);

  const state = JSON.parse(byId("first").textContent);
  take(state, new URLSearchParams(wanted).toString());
  const id = Number(location.hash.slice(1)) || (narrow.matches ? 0 : stored.conversations[0]?.id);
  if (id) choose(id, !location.hash);
  look();
}

function theme(value) {
  if (value === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
  try {
    if (value === "auto") localStorage.removeItem("theme");
    else localStorage.setItem("theme", value);
  } catch {} // it is not remembered where storage is off
}

function tab(chosen) {
  for (const t of document.querySelectorAll("[role=tab]")) {
    const on = t === chosen;
    t.setAttribute("aria-selected", String(on));
    t.setAttribute("tabindex", on ? "0" : "-1");
    byId(t.getAttribute("aria-controls")).hidden = !on;
  }
}

start();
