// The graph: a column for each second, by class of status, with the limit drawn in.

import { byId, el, setText, svg } from "./page_dom.js";

const classes = [
  ["ok", "2xx", "answered"],
  ["refused", "4xx", "refused"],
  ["toomany", "429", "over the limit"],
  ["failed", "5xx", "failed"],
];
const height = 172;
const edge = { left: 30, right: 8, top: 14, bottom: 20 };

let data = null; // {rates, limit} as they came last
let picked = null; // a second that is looked at, in Unix time

const box = byId("chart");

export function draw(rates, limit) {
  data = { rates, limit };
  redraw();
}

function redraw() {
  if (!data) return;
  const { rates, limit } = data;
  const width = Math.max(box.clientWidth, 200);
  const all = rates.ok.length;
  const n = Math.min(all, width < 380 ? 60 : all); // on a phone a second needs its width, too
  const skip = all - n;
  const columns = Array.from({ length: n }, (_, i) => classes.map(([name]) => rates[name][skip + i]));
  const totals = columns.map((c) => c[0] + c[1] + c[2] + c[3]);
  const level = limit.requests / limit.seconds;
  const top = ceiling(Math.max(level * 1.3, ...totals, 4));
  const x = (i) => edge.left + (i * (width - edge.left - edge.right)) / n;
  const y = (v) => height - edge.bottom - (v * (height - edge.top - edge.bottom)) / top;
  const wide = Math.max((x(1) - x(0)) * 0.82, 1);

  const parts = [];
  for (let v = 0; v <= top; v += top / 4) {
    parts.push(svg("path", { class: "rule", d: `M${edge.left} ${px(y(v))}H${width - edge.right}` }),
      svg("text", { x: edge.left - 6, y: px(y(v) + 3.5), class: "tick end" }, String(+v.toFixed(1))));
  }
  for (const [k, [name]] of classes.entries()) {
    let d = "";
    for (const [i, c] of columns.entries()) {
      if (!c[k]) continue;
      const below = c.slice(0, k).reduce((a, b) => a + b, 0);
      d += `M${px(x(i))} ${px(y(below))}V${px(y(below + c[k]))}h${px(wide)}V${px(y(below))}z`;
    }
    if (d) parts.push(svg("path", { class: "column " + name, d }));
  }
  // What counts towards the limit, averaged over its window.
  const span = Math.max(1, Math.round(limit.seconds));
  const counted = (i) => (i < 0 ? 0 : rates.ok[i] + rates.refused[i] + rates.failed[i]);
  let curve = "";
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let k = 0; k < span; k++) sum += counted(skip + i - k);
    curve += `${i ? "L" : "M"}${px(x(i) + wide / 2)} ${px(y(sum / span))}`;
  }
  parts.push(svg("path", { class: "average", d: curve }));
  const name = limit.requests + " in " + +limit.seconds.toFixed(2) + " s";
  parts.push(svg("path", { class: "limit" + (limit.enforced ? " enforced" : ""), d: `M${edge.left} ${px(y(level))}H${width - edge.right}` }),
    svg("text", { x: edge.left + 4, y: px(y(level) - 5), class: "tick limit-name" }, "limit " + name + (limit.enforced ? "" : ", not enforced")));
  for (const [i, text] of [[0, n + " s ago"], [n / 2, n / 2 + " s ago"], [n, "now"]]) {
    parts.push(svg("text", { x: px(x(i)), y: height - 5, class: "tick" + (i === n ? " end" : i ? " middle" : "") }, text));
  }
  const at = place(n, skip);
  if (picked !== null) parts.push(svg("path", { class: "cursor", d: `M${px(x(at - skip) + wide / 2)} ${edge.top - 6}V${height - edge.bottom}` }));
  box.replaceChildren(svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, ...parts));

  const read = words(rates, at);
  setText(byId("readout"), read);
  box.setAttribute("aria-valuemin", String(1 - n));
  box.setAttribute("aria-valuenow", String(at - all + 1));
  box.setAttribute("aria-valuetext", read);
  setText(byId("rates-limit"), limit.enforced ? "limit " + name + " for each " + limit.of : "no limit is enforced");
  legend(rates, span);
}

const px = (v) => Math.round(v * 10) / 10;

// ceiling is the next round number that four lines divide.
function ceiling(v) {
  const unit = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 4, 6, 8, 10].map((m) => m * unit).find((m) => m >= v && m % 4 === 0) ?? Math.ceil(v / (4 * unit)) * 4 * unit;
}

function place(n, skip) {
  const { rates } = data;
  if (picked === null) return rates.ok.length - 1;
  const at = picked - rates.from;
  if (at < skip) picked = rates.from + skip;
  return Math.min(Math.max(at, skip), rates.ok.length - 1);
}

function words(rates, at) {
  const time = new Date((rates.from + at) * 1000).toISOString().slice(11, 19);
  const said = classes.filter(([name]) => rates[name][at] > 0).map(([name, , verb]) => rates[name][at] + " " + verb);
  return time + ": " + (said.join(", ") || "no request");
}

function legend(rates, span) {
  const list = byId("legend");
  const texts = classes.map(([name, status, verb]) => [name, status, rates[name].reduce((a, b) => a + b, 0) + " " + verb]);
  texts.push(["average", "average", "over " + span + " s, of what counts"]);
  if (!list.childElementCount) {
    list.append(...texts.map(([name]) => el("li", null, el("span", { class: "swatch " + name, "aria-hidden": "true" }), el("b"), " ", el("span", { class: "soft" }))));
  }
  for (const [i, [, status, text]] of texts.entries()) {
    setText(list.children[i].querySelector("b"), status);
    setText(list.children[i].lastChild, text);
  }
}

function pick(second) {
  picked = second;
  redraw();
}

export function start() {
  box.addEventListener("keydown", (e) => {
    if (!data || e.ctrlKey || e.altKey || e.metaKey) return;
    const { rates } = data;
    const end = rates.from + rates.ok.length - 1;
    const at = picked ?? end;
    const to = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - 10, PageUp: at + 10, Home: rates.from, End: end }[e.key];
    if (e.key === "Escape") pick(null);
    if (to === undefined) return;
    e.preventDefault();
    pick(to >= end ? null : Math.max(to, rates.from));
  });
  box.addEventListener("pointermove", (e) => {
    if (!data) return;
    const n = Math.abs(Number(box.getAttribute("aria-valuemin"))) + 1;
    const share = (e.clientX - box.getBoundingClientRect().left - edge.left) / (box.clientWidth - edge.left - edge.right);
    const end = data.rates.from + data.rates.ok.length - 1;
    pick(end - n + 1 + Math.min(Math.max(Math.floor(share * n), 0), n - 1));
  });
  box.addEventListener("pointerleave", () => pick(null));
  box.addEventListener("blur", () => pick(null));
  new ResizeObserver(redraw).observe(box);
}
