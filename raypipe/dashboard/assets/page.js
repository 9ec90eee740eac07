"use strict";
(() => {
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const root = document.documentElement;
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const say = (text) => { $("[data-status]").textContent = text; };
const colours = read("colours");
const wantsDark = matchMedia("(prefers-color-scheme: dark)");

/* ---- numbers, as on the server side ---- */
const group = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
const count = (value) => value == null ? "n/a" : group(String(Math.round(value)));
const number = (value, digits = 4) => {
  if (value == null || Number.isNaN(value)) return "n/a";
  const size = Math.abs(value);
  let text;
  if (size && (size >= 1e15 || size < 1e-4)) text = value.toExponential(digits - 1).replace(/\.?0+e/, "e");
  else if (size >= 10 ** (digits - 1) || Number.isInteger(value)) text = size >= 10000 ? value.toFixed(0).replace(/\d+/, group) : value.toFixed(0);
  else text = value.toFixed(Math.max(0, digits - 1 - (size ? Math.floor(Math.log10(size)) : 0))).replace(/0+$/, "").replace(/\.$/, "");
  return text === "-0" ? "0" : text.replace("-", "−");
};
const share = (value) => {
  if (value == null) return "n/a";
  if (value === 0) return "0 %";
  if (value === 1) return "100 %";
  if (value < 0.0005) return "<0.1 %";
  if (value >= 0.9995) return ">99.9 %";
  return (value < 0.01 ? number(value * 100, 2) : number(Math.round(value * 1000) / 10)) + " %";
};
const moment = (seconds) => {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return number(seconds);
  return date.toISOString().slice(0, 16).replace("T", " ").replace(/ 00:00$/, "");
};

/* ---- building elements: text only ever enters as text ---- */
const SVG = "http://www.w3.org/2000/svg";
const fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes || {})) if (value != null) node.setAttribute(name, value);
  node.append(...children.flat(Infinity).filter((child) => child != null));
  return node;
};
const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/* ---- light and dark ---- */
const mode = () => root.dataset.mode || (wantsDark.matches ? "dark" : "light");
const light = (colour) => {
  const [r, g, b] = [1, 3, 5].map((at) => { const c = parseInt(colour.slice(at, at + 2), 16) / 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; });
  return .2126 * r + .7152 * g + .0722 * b + .05;
};
/* Writing on a coloured cell takes whichever of ink and surface stands out more. */
const legible = (renderer, palette, ramp) => {
  const colours = palette[ramp], source = renderer.data_source, low = ramp === "diverging" ? -1 : 0;
  const ink = light(palette.ink), surface = light(palette.surface);
  const contrast = (a, b) => Math.max(a, b) / Math.min(a, b);
  const chosen = [...source.get_array("v")].map((value) => {
    const cell = light(colours[Math.min(colours.length - 1, Math.max(0, Math.floor((value - low) / (1 - low) * colours.length)))]);
    return contrast(ink, cell) >= contrast(surface, cell) ? palette.ink : palette.surface;
  });
  source.data = {...Object.fromEntries(source.columns().map((name) => [name, source.get(name)])), ink: chosen};
};
const recolour = (model) => {
  const palette = colours[mode()];
  for (const part of model.references()) {
    for (const tag of part.tags || []) {
      if (typeof tag !== "string") continue;
      const at = tag.indexOf(":"), name = tag.slice(0, at), value = palette[tag.slice(at + 1)];
      if (value != null && name !== "readable") part.setv({[name]: value});
    }
  }
  for (const part of model.references()) {
    const tag = (part.glyph?.tags || []).find((one) => typeof one === "string" && one.startsWith("readable:"));
    if (tag) legible(part, palette, tag.slice(9));
  }
  /* The canvas reads its colours from the page, so each plot must be drawn again. */
  for (const part of model.references()) if (part.type === "Figure") part.change.emit();
};
const repaint = () => {
  if (!window.Bokeh) return;
  for (const shown of Bokeh.documents) for (const model of shown.roots()) recolour(model);
};
const button = $("[data-mode-switch]");
const showMode = () => {
  const dark = mode() === "dark";
  button.setAttribute("aria-pressed", String(dark));
  button.setAttribute("aria-label", dark ? "Use light colours" : "Use dark colours");
  $("span", button).textContent = dark ? "Light mode" : "Dark mode";
};
const store = (value) => { try { if (value) sessionStorage.setItem("raypipe-mode", value); return sessionStorage.getItem("raypipe-mode"); } catch { return null; } };
const kept = store();
if (kept === "light" || kept === "dark") root.dataset.mode = kept;
button.addEventListener("click", () => { root.dataset.mode = mode() === "dark" ? "light" : "dark"; store(root.dataset.mode); showMode(); repaint(); });
wantsDark.addEventListener("change", () => { showMode(); repaint(); });
showMode();

/* ---- live charts, mounted when they come into view ---- */
const views = new Map();
const mount = async (place) => {
  if (place.dataset.mounted) return;
  place.dataset.mounted = "yes";
  const key = place.dataset.chart;
  try {
    const made = await Bokeh.embed.embed_item(read(`item-${key}`), place.id);
    const view = made.roots ? made.roots[0] : [...made][0];
    views.set(key, view.model);
    recolour(view.model);
    /* On a touch screen a drag must scroll the page. */
    if (matchMedia("(pointer: coarse)").matches) for (const part of view.model.references()) if (part.type === "BoxZoomTool") part.active = false;
    $(".loading", place)?.remove();
    place.style.height = "auto";
    place.dataset.ready = "yes";
  } catch (error) {
    $(".loading", place).textContent = "This chart could not be drawn; the table below has its numbers.";
    place.dataset.ready = "failed";
    console.error(error);
  }
};
const places = $$("[data-chart]");
let queue = Promise.resolve();
const eye = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) { eye.unobserve(entry.target); queue = queue.then(() => mount(entry.target)); }
}, {rootMargin: "300px 0px"});
places.forEach((place) => eye.observe(place));
window.raypipeMountAll = () => { places.forEach((place) => { queue = queue.then(() => mount(place)); }); return queue; };

for (const button of $$("[data-whole]")) {
  button.addEventListener("click", () => {
    const model = views.get(button.dataset.whole), [start, end] = read(`extra-${button.dataset.whole}`).span;
    const plot = model && [...model.references()].find((part) => part.type === "Figure");
    if (plot) plot.x_range.setv({start, end});
  });
}
for (const select of $$("[data-axis]")) {
  select.addEventListener("change", () => {
    const model = views.get(select.dataset.axis), chosen = Number(select.value);
    if (!model) return;
    const [start, end, label] = read(`extra-${select.dataset.axis}`).ranges[chosen];
    const named = (name) => model.renderers.find((renderer) => renderer.name === name).glyph;
    named("points").setv({x: {field: `x${chosen}`}});
    named("fit").setv({x: {field: `x${chosen}`}, y: {field: `y${chosen}`}});
    model.x_range.setv({start, end});
    model.below[0].axis_label = label;
    for (const tool of model.toolbar.tools) if (typeof tool.tooltips === "string") tool.tooltips = tool.tooltips.replace(/xt\d+/, `xt${chosen}`);
    say(`x axis: ${label}`);
  });
}

/* ---- tables: sort, search, filter ---- */
const lines = (table) => $$("tbody > tr:not(.detail)", table);
const key = (row, place) => {
  const cell = row.cells[place];
  const raw = cell.dataset.v ?? cell.textContent.trim();
  const value = raw === "" ? null : Number(raw);
  return {raw: raw.toLowerCase(), value: Number.isNaN(value) ? null : value, empty: raw === "" || raw === "–"};
};
const sort = (table, place, direction) => {
  const heads = [...table.tHead.rows[0].cells], sign = direction === "descending" ? -1 : 1;
  heads.forEach((head, at) => at === place ? head.setAttribute("aria-sort", direction) : head.removeAttribute("aria-sort"));
  const keyed = lines(table).map((row, at) => ({row, at, key: key(row, place)}));
  keyed.sort((a, b) => {
    if (a.key.empty !== b.key.empty) return a.key.empty ? 1 : -1;
    const numeric = a.key.value !== null && b.key.value !== null;
    const order = numeric ? a.key.value - b.key.value : a.key.raw < b.key.raw ? -1 : a.key.raw > b.key.raw ? 1 : 0;
    return order * sign || a.at - b.at;
  });
  const body = table.tBodies[0];
  for (const {row} of keyed) { body.append(row); const detail = details.get(row); if (detail) body.append(detail); }
};
const details = new Map();
for (const table of $$("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, place) => {
    $("button", head)?.addEventListener("click", () => {
      sort(table, place, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
      say(`Sorted by ${head.textContent.trim()}, ${head.getAttribute("aria-sort")}`);
      if (table.id === "t-columns") keepState();
    });
  });
}
const filter = (table) => {
  const words = ($(`[data-search="${table.id}"]`)?.value || "").toLowerCase();
  const kind = table.id === "t-columns" ? $('[data-filter="kind"]').value : "";
  const only = table.id === "t-columns" ? $('[data-filter="only"]').value : "";
  let shown = 0;
  for (const row of lines(table)) {
    const text = table.id === "t-columns" ? row.cells[0].textContent + " " + row.cells[1].textContent : row.textContent;
    const fits = text.toLowerCase().includes(words) && (!kind || row.dataset.kind === kind) && (!only || row.dataset[only] !== "0");
    row.hidden = !fits;
    const detail = details.get(row);
    if (detail) detail.hidden = !fits || !isOpen(row);
    shown += fits;
  }
  const total = lines(table).length, tally = $(`[data-count="${table.id}"]`), none = $(`[data-empty="${table.id}"]`);
  if (tally) tally.textContent = shown === total ? "" : `${count(shown)} of ${count(total)}`;
  if (none) none.hidden = shown > 0;
};
for (const input of $$("[data-search]")) {
  const table = document.getElementById(input.dataset.search);
  if (table) input.addEventListener("input", () => { filter(table); if (table.id === "t-columns") keepState(); });
}
for (const select of $$("[data-filter]")) select.addEventListener("change", () => { filter($("#t-columns")); keepState(); });

/* ---- the detail of a column ---- */
const data = read("data");
const isOpen = (row) => $(".open", row).getAttribute("aria-expanded") === "true";
const pairs = (entries) => el("dl", {class: "kv"}, entries.filter(([, value]) => value != null).map(([name, value]) => [el("dt", {}, name), el("dd", {dir: "auto"}, value)]));
const block = (title, note, ...children) => el("div", {}, el("h4", {}, title), note ? el("p", {class: "note"}, note) : null, ...children);
const histogram = (bins, show, what) => {
  const width = 600, height = 150, top = Math.max(...bins.counts, 1), step = width / bins.counts.length;
  const bars = bins.counts.map((n, at) => {
    const tall = n ? Math.max(1.5, n / top * (height - 4)) : 0;
    const tip = `${show(bins.edges[at])} to ${show(bins.edges[at + 1])}: ${count(n)}`;
    return svg("g", {}, svg("title", {}, tip), svg("rect", {class: "hit", x: at * step, y: 0, width: step, height}),
      svg("rect", {class: "mark", x: (at * step + step * .05).toFixed(2), y: (height - tall).toFixed(2), width: (step * .9).toFixed(2), height: tall.toFixed(2)}));
  });
  const first = bins.edges[0], last = bins.edges[bins.edges.length - 1];
  const even = Math.abs((bins.edges[1] - first) - (last - first) / bins.counts.length) < 1e-6 * Math.abs(last - first);
  const ends = el("div", {class: "ends", "aria-hidden": "true"}, [first, even && bins.counts.length > 2 ? (first + last) / 2 : null, last].filter((v) => v != null).map((v) => el("span", {}, show(v))));
  const table = el("details", {class: "alt"}, el("summary", {}, "Show as table"), el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": what}, el("table", {class: "plain"},
    el("thead", {}, el("tr", {}, ["From", "To", "Rows"].map((head) => el("th", {scope: "col", class: "n"}, head)))),
    el("tbody", {}, bins.counts.map((n, at) => el("tr", {}, [show(bins.edges[at]), show(bins.edges[at + 1]), count(n)].map((text) => el("td", {class: "n"}, text))))))));
  return [svg("svg", {class: "histogram", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `${what}; the numbers stand in the table below`}, ...bars), ends, table];
};
const topValues = (column) => {
  const most = Math.max(...column.top.map((top) => top.count_upper), 1);
  const bounds = (top) => top.count === top.count_upper ? count(top.count) : `${count(top.count)} – ${count(top.count_upper)}`;
  const listed = (tops) => el("div", {class: "tops"}, tops.map((top) => [
    el("span", {title: top.value}, el("i", {style: `width:${(top.count / most * 100).toFixed(1)}%`}), el("b", {dir: "auto"}, top.value === "" ? "(empty text)" : top.value)),
    el("em", {}, `${bounds(top)} · ${share(top.count / Math.max(1, column.rows))}`)]));
  const more = column.top.slice(10);
  return [listed(column.top.slice(0, 10)), more.length ? el("details", {class: "alt"}, el("summary", {}, `${more.length} more`), listed(more)) : null];
};
const statistics = (column, show) => {
  const n = column.number, t = column.text, d = column.distinct, timed = column.kind === "temporal";
  const some = (value) => value ? count(value) : null;
  return pairs([
    ["Type", column.dtype], ["Rows", count(column.rows)], ["Missing", `${count(column.nulls)} (${share(column.rows ? column.nulls / column.rows : 0)})`],
    ["Distinct", d ? (d.exact ? count(d.count) : `≈ ${count(d.count)} ± ${share(d.relative_error)}`) : null],
    ["Smallest", n && !timed ? null : column.min], ["Largest", n && !timed ? null : column.max],
    ...(column.true_count != null ? [["True", count(column.true_count)], ["False", count(column.rows - column.nulls - column.true_count)]] : []),
    ...(n && timed && n.mean != null ? [["Mean", show(n.mean)]] : []),
    ...(n && !timed ? [["Mean", number(n.mean)], ["Standard deviation", number(n.std)], ["Skewness", number(n.skewness, 3)], ["Excess kurtosis", number(n.kurtosis, 3)],
      ["Sum", n.sum == null ? null : number(n.sum, 6)], ["Zeros", some(n.zeros)], ["Negative", some(n.negatives)], ["NaN", some(n.nan)],
      ["+ infinite", some(n.positive_infinite)], ["− infinite", some(n.negative_infinite)],
      ["Outside 1.5 IQR", n.iqr_outliers == null ? null : `${n.quantiles && n.quantiles.exact ? "" : "≈ "}${count(n.iqr_outliers)}`]] : []),
    ...(t ? [["Characters", t.min_chars == null ? null : `${count(t.min_chars)} to ${count(t.max_chars)}, mean ${number(t.mean_chars, 3)}`],
      ["Empty texts", some(t.empty)], ["Blank texts", some(t.blank)], ["Padded texts", some(t.padded)]] : []),
  ]);
};
const quantiles = (column, show) => {
  const q = column.number?.quantiles;
  if (!q || !Object.keys(q.values).length) return null;
  const entries = Object.entries(q.values).sort((a, b) => a[0] - b[0]);
  const word = (p) => p === "0.5" ? "Median" : `${number(p * 100, 3)} %`;
  const note = q.exact ? null : `each within ${share(q.rank_error)} of its rank, at 99 % confidence`;
  const n = column.number, all = [["Min", show(n.min)], ...entries.map(([p, value]) => [word(p), show(value)]), ["Max", show(n.max)]];
  return block("Quantiles", note, el("dl", {class: "kv wide"}, all.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))));
};
const inside = (column) => {
  const show = column.kind === "temporal" ? moment : (value) => number(value, 5);
  const bins = column.number?.histogram, lengths = column.text?.chars, pictures = [];
  const bound = (h) => h.exact ? null : `estimated, each bin within ${share(h.rank_error)} of the rows on either side`;
  if (bins) pictures.push(block("Distribution", bound(bins), histogram(bins, show, `Distribution of ${column.name}`)));
  if (lengths) pictures.push(block("Lengths in characters", bound(lengths), histogram(lengths, (v) => number(v), `Text lengths of ${column.name}`)));
  if (!pictures.length) pictures.push(block("Distribution", null, el("p", {class: "absent"}, column.charted === false ? "Not drawn, because of the limit on columns with charts." : column.kind === "boolean" ? "Two values; see the counts." : "Not available, because there are no values to draw.")));
  const notes = (column.notes || []).length ? el("p", {class: "note"}, column.notes.join(" ")) : null;
  const top = column.top.length ? block("Most frequent values", column.top_exact ? null : "each count lies between the two bounds", topValues(column)) : block("Most frequent values", null, el("p", {class: "absent"}, "Not available, because there are none."));
  return el("div", {class: "inside"}, el("div", {}, pictures, quantiles(column, show), notes), block("Statistics", null, statistics(column, show)), top);
};
const open = (row, wanted) => {
  const control = $(".open", row);
  let detail = details.get(row);
  if (wanted && !detail) {
    const width = row.cells.length;
    detail = el("tr", {class: "detail", id: `detail-${row.dataset.place}`}, el("td", {colspan: width}, inside(data.columns[Number(row.dataset.place)])));
    row.after(detail);
    details.set(row, detail);
  }
  control.setAttribute("aria-expanded", String(wanted));
  if (detail) detail.hidden = !wanted;
};
const table = $("#t-columns");
if (table) {
  table.addEventListener("click", (event) => {
    const control = event.target.closest(".open");
    const row = control ? control.closest("tr") : null;
    if (!row) return;
    const wanted = !isOpen(row);
    open(row, wanted);
    history.replaceState(null, "", wanted ? `#col=${encodeURIComponent(control.dataset.name)}` : "#columns");
  });
}
const all = $("[data-expand-all]");
all?.addEventListener("click", () => {
  const shown = lines(table).filter((row) => !row.hidden), wanted = !shown.every(isOpen);
  shown.slice(0, 200).forEach((row) => open(row, wanted));
  all.textContent = wanted ? "Collapse all" : "Expand all";
});

/* ---- links into the page, and its state in the address ---- */
const keepState = () => {
  const state = new URLSearchParams(), head = $("th[aria-sort]", table);
  const put = (name, value) => { if (value) state.set(name, value); };
  put("q", $('[data-search="t-columns"]').value);
  put("type", $('[data-filter="kind"]').value);
  put("only", $('[data-filter="only"]').value);
  if (head) put("sort", `${head.cellIndex}.${head.getAttribute("aria-sort")}`);
  history.replaceState(null, "", state.size ? `#columns?${state}` : "#columns");
};
const takeState = (text) => {
  const state = new URLSearchParams(text), set = (selector, name) => { $(selector).value = state.get(name) || ""; };
  set('[data-search="t-columns"]', "q"); set('[data-filter="kind"]', "type"); set('[data-filter="only"]', "only");
  const [place, direction] = (state.get("sort") || "").split(".");
  if (/^\d$/.test(place) && /^(a|de)scending$/.test(direction || "")) sort(table, Number(place), direction);
  filter(table);
  $("#columns").scrollIntoView();
};
const goto = () => {
  const hash = location.hash;
  if (hash.startsWith("#col=") && table) {
    let name;
    try { name = decodeURIComponent(hash.slice(5)); } catch { return; }
    const control = $$(".open", table).find((one) => one.dataset.name === name);
    if (!control) { say("That column is not in the table."); return; }
    const row = control.closest("tr");
    for (const input of $$('[data-search="t-columns"],[data-filter]')) input.value = "";
    filter(table);
    open(row, true);
    row.scrollIntoView({block: "start"});
    control.focus({preventScroll: true});
    row.classList.add("flash");
    setTimeout(() => row.classList.remove("flash"), 1700);
  } else if (hash.startsWith("#columns?") && table) takeState(hash.slice(9));
  else if (/^#finding-\d+$/.test(hash)) {
    const finding = document.getElementById(hash.slice(1)), more = finding?.closest("details");
    if (more) { more.open = true; finding.scrollIntoView(); }
  }
};
addEventListener("hashchange", goto);
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#col="]');
  if (link && link.getAttribute("href") === location.hash) goto();
});
goto();

/* ---- where the reader is ---- */
const links = new Map($$(".side nav a").map((link) => [link.getAttribute("href").slice(1), link]));
const sections = $$("main > section");
let waiting = false;
const spy = () => {
  waiting = false;
  const edge = innerHeight * .3;
  let current = sections[0];
  for (const section of sections) if (section.getBoundingClientRect().top <= edge) current = section;
  if (innerHeight + scrollY >= document.body.scrollHeight - 4) current = sections[sections.length - 1];
  for (const [id, link] of links) id === current.id ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
  const bar = $(".side nav"), shown = links.get(current.id);
  if (bar && shown && bar.scrollWidth > bar.clientWidth) bar.scrollLeft = shown.offsetLeft - bar.clientWidth / 2 + shown.offsetWidth / 2 - bar.offsetLeft;
};
addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(spy); } }, {passive: true});
spy();

/* ---- printing in light colours, and the numbers as a file ---- */
let before = null, closed = [];
addEventListener("beforeprint", () => {
  closed = $$("details.more:not([open])");
  for (const part of closed) part.open = true;
  before = root.dataset.mode ?? ""; root.dataset.mode = "light"; repaint(); });
addEventListener("afterprint", () => {
  for (const part of closed) part.open = false;
  if (before) root.dataset.mode = before; else delete root.dataset.mode; repaint(); });
$("[data-download]")?.addEventListener("click", () => {
  const link = el("a", {download: "dashboard-data.json", href: URL.createObjectURL(new Blob([document.getElementById("data").textContent], {type: "application/json"}))});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
root.dataset.interactive = String(Math.round(performance.now())); /* milliseconds since the page was asked for */
})();
