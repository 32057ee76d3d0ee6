// The window: two pages side by side, the faults, the counters.
import { $, el, svg } from "./util.js";

const bus = new BroadcastChannel("webchat");
const hues = ["", "violet", "", "violet"];
let setup = { people: [], faults: false };
let last = "";

async function begin() {
  setup = await (await fetch("lab/setup")).json();
  $("where").textContent = setup.where;
  setup.people.slice(0, 2).forEach((p, i) => {
    const frame = el("iframe", { title: p.name, src: `?as=${encodeURIComponent(p.as)}${hues[i] ? "&hue=" + hues[i] : ""}`, class: i ? null : "shown" });
    $("panes").append(frame);
    $("sides").append(el("button", { type: "button", "aria-pressed": i ? "false" : "true", onclick: (e) => {
      for (const b of $("sides").children) b.setAttribute("aria-pressed", String(b === e.currentTarget));
      for (const f of $("panes").children) f.classList.toggle("shown", f === frame);
    } }, p.name));
  });
  for (const id of ["faults", "server"]) $(id).hidden = !setup.faults;
  if (!setup.faults) $("drawer").style.gridTemplateColumns = "1fr 2fr";
  if (new URLSearchParams(location.search).has("drawer")) drawer(true);
  setInterval(refresh, 500);
  refresh();
}

function drawer(open) {
  $("drawer").hidden = !open;
  $("drawer-toggle").setAttribute("aria-expanded", String(open));
  last = ""; // the plot has another size
  refresh();
}
addEventListener("resize", () => { last = ""; });
$("drawer-toggle").addEventListener("click", () => drawer($("drawer").hidden));

// the theme, for this window and the pages in it
const theme = (name) => {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("webchat-theme", name);
  bus.postMessage({ kind: "theme", name });
};
const kept = localStorage.getItem("webchat-theme");
if (kept) {
  document.documentElement.dataset.theme = kept;
  const chosen = document.querySelector(`#theme input[value="${CSS.escape(kept)}"]`);
  if (chosen) chosen.checked = true;
}
$("theme").addEventListener("change", (e) => theme(e.target.value));

// the faults
const form = $("faults");
const show = () => {
  for (const slider of form.querySelectorAll("input[type=range]")) {
    slider.nextElementSibling.textContent = slider.value + (slider.name === "delay" ? " ms" : " %");
  }
};
let sending = 0;
form.addEventListener("input", () => {
  show();
  clearTimeout(sending);
  sending = setTimeout(async () => {
    const values = Object.fromEntries(new FormData(form));
    for (const name of ["lose", "double", "delay", "tooMany"]) values[name] = Number(values[name]);
    await post("lab/faults", values);
  }, 80);
});
form.addEventListener("submit", (e) => e.preventDefault());
$("calm").addEventListener("click", () => {
  for (const slider of form.querySelectorAll("input[type=range]")) slider.value = 0;
  form.dispatchEvent(new Event("input"));
});
const post = (path, value) => fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) }).catch(() => {});
$("restart").addEventListener("click", async () => {
  $("restart").disabled = true;
  await post("lab/restart", {});
  $("restart").disabled = false;
  refresh();
});
let storming = 0;
$("storm").addEventListener("click", () => {
  const on = $("storm").getAttribute("aria-pressed") !== "true";
  $("storm").setAttribute("aria-pressed", String(on));
  $("storm").textContent = on ? "Let them rest" : "Let them talk";
  clearInterval(storming);
  const say = () => bus.postMessage({ kind: "storm", on });
  say();
  if (on) storming = setInterval(say, 2000); // pages that come later join in
});
$("guard").addEventListener("change", () => bus.postMessage({ kind: "guard", on: $("guard").checked }));

// what has come of it
async function refresh() {
  let state;
  try { state = await (await fetch("lab/state")).json(); } catch { return; }
  const text = JSON.stringify(state);
  if (text === last) return;
  last = text;
  for (const node of document.querySelectorAll("[data-count]")) {
    const n = state.counters[node.dataset.count];
    node.textContent = n;
    node.classList.toggle("bad", n > 0 && ["lost", "twice", "disorder"].includes(node.dataset.count));
  }
  $("up").textContent = state.up ? "running" : "down";
  $("up").className = state.up ? "ok" : "down";
  $("restarts").textContent = state.restarts ? (state.restarts === 1 ? "restarted once" : `restarted ${state.restarts} times`) : "no restart yet";
  plot(state.latencies);
}

const colors = ["var(--accent)", "light-dark(#5a3fa8, #b9a4f5)", "var(--warn)", "var(--ok)"];
function plot(points) {
  const box = $("plot"), width = Math.max(260, box.clientWidth), height = Math.max(90, box.clientHeight);
  box.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const shown = points.slice(-120), top = 8, bottom = height - 16, left = 40, right = width - 4;
  const highest = Math.max(1000, ...shown.map((p) => p.ms)), lowest = 10;
  const y = (ms) => bottom - (Math.log(Math.max(ms, lowest) / lowest) / Math.log(highest / lowest)) * (bottom - top);
  const lines = [10, 100, 1000, 10000, 100000].filter((ms) => ms <= highest).flatMap((ms) => [
    svg("line", { x1: left, x2: right, y1: y(ms), y2: y(ms) }),
    Object.assign(svg("text", { x: left - 6, y: y(ms) + 3.5, "text-anchor": "end" }), { textContent: ms < 1000 ? ms + " ms" : ms / 1000 + " s" })]);
  const step = (right - left - 6) / 119;
  const people = [...new Set(setup.people.map((p) => p.as))];
  const dots = shown.map((p, i) => {
    const dot = svg("circle", { cx: right - 4 - (shown.length - 1 - i) * step, cy: y(p.ms), r: 3.2 });
    dot.style.fill = colors[Math.max(0, people.indexOf(p.as)) % colors.length];
    return dot;
  });
  box.replaceChildren(...lines, ...dots);
  const sorted = shown.map((p) => p.ms).sort((a, b) => a - b);
  const at = (q) => { const ms = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]; return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`; };
  $("percentiles").textContent = sorted.length ? `half under ${at(0.5)} · 95 % under ${at(0.95)}` : "no message yet";
}

begin();
