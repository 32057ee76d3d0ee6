(() => {
  const wrong = [];
  const look = (doc) => {
    const view = doc.defaultView;
    const shown = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true }) && !e.closest(".hidden, [hidden]");
    const say = (e, text) => wrong.push(text + ": " + e.outerHTML.slice(0, 120));

    // names of parts
    const ids = new Set();
    for (const e of doc.querySelectorAll("[id]")) { if (ids.has(e.id)) say(e, "an id twice"); ids.add(e.id); }
    for (const name of ["aria-controls", "aria-labelledby", "aria-describedby", "popovertarget", "for"]) {
      for (const e of doc.querySelectorAll(`[${name}]`)) for (const id of e.getAttribute(name).split(/\s+/)) if (!ids.has(id)) say(e, name + " leads nowhere");
    }
    if (!doc.documentElement.lang) wrong.push("no language");
    if (!doc.title) wrong.push("no title");
    if (doc.querySelectorAll("main").length !== 1) wrong.push("not one main");
    for (const e of doc.querySelectorAll("img:not([alt])")) say(e, "a picture without alt");
    for (const e of doc.querySelectorAll("ul, ol")) for (const c of e.children) if (c.tagName !== "LI") say(c, "in a list, but no item");
    for (const e of doc.querySelectorAll("li")) if (!/^(UL|OL)$/.test(e.parentNode.tagName)) say(e, "an item without a list");
    for (const e of doc.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) say(e, "a tabindex that changes the order");
    for (const e of doc.querySelectorAll("[role=menu]")) for (const b of e.querySelectorAll("button")) if (b.getAttribute("role") !== "menuitem") say(b, "in a menu, but no item");
    if (doc.documentElement.scrollWidth > view.innerWidth + 1) wrong.push("wider than the window: " + doc.documentElement.scrollWidth);
    for (const e of doc.body.querySelectorAll("*")) {
      if (!shown(e)) continue;
      const r = e.getBoundingClientRect();
      if (r.right > view.innerWidth + 1.5 && r.width && !e.closest("svg, .skip")) { say(e, "too wide for the window, " + Math.round(r.right)); break; }
    }
    // fingers
    for (const e of doc.querySelectorAll("button, select, input:not([type=range], [type=checkbox], [type=radio], [type=file])")) {
      const r = e.getBoundingClientRect();
      if (shown(e) && r.width && (r.width < 22 || r.height < 20)) say(e, "too small to hit, " + Math.round(r.width) + "×" + Math.round(r.height));
    }

    // contrast
    const pen = doc.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (color) => {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = color;
      pen.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
      return [r, g, b, a / 255];
    };
    const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
    const light = (c) => {
      const [r, g, b] = c.map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (e) => {
      const layers = [];
      for (let n = e; n; n = n.parentElement) {
        const style = view.getComputedStyle(n);
        const c = rgba(style.backgroundColor);
        if (c[3] > 0) layers.push(c);
        if (c[3] > 0.99) break;
      }
      const base = view.getComputedStyle(doc.documentElement).colorScheme.includes("dark") && doc.documentElement.dataset.theme === "dark" ? [18, 18, 18] : [255, 255, 255];
      return layers.reverse().reduce((below, top) => over(top, below), base);
    };
    const walker = doc.createTreeWalker(doc.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const text = walker.currentNode, e = text.parentElement;
      if (!text.data.trim() || !shown(e) || e.closest("script, style, :disabled, svg")) continue;
      if (/^[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f\u200d\s]+$/u.test(text.data)) continue; // has its own colors
      const style = view.getComputedStyle(e), size = parseFloat(style.fontSize);
      const behind = ground(e), front = over(rgba(style.color), behind);
      const [a, b] = [light(front), light(behind)].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < (size >= 24 || (size >= 18.6 && style.fontWeight >= 700) ? 3 : 4.5)) say(e, "contrast " + ratio.toFixed(2) + " of " + JSON.stringify(text.data.trim().slice(0, 30)));
    }
  };
  look(document);
  for (let i = 0; i < frames.length; i++) look(frames[i].document);
  return [...new Set(wrong)].slice(0, 12);
})()
