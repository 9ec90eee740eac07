"use strict";
/* All figures over time show the same span: whoever changes it, the others follow. */
(() => {
const linked = new Set();
let now = null, busy = false;
const follow = (range) => {
  if (busy) return;
  busy = true;
  now = {start: range.start, end: range.end};
  for (const other of linked) if (other !== range && (other.start !== now.start || other.end !== now.end)) other.setv(now);
  busy = false;
};
const adopt = () => {
  for (const shown of window.Bokeh?.documents ?? []) for (const root of shown.roots()) for (const part of root.references()) {
    if (part.type !== "Range1d" || part.name !== "time" || linked.has(part)) continue;
    linked.add(part);
    if (now) { busy = true; part.setv(now); busy = false; }
    part.properties.start.change.connect(() => follow(part));
    part.properties.end.change.connect(() => follow(part));
  }
};
const watch = new MutationObserver(adopt);
for (const place of document.querySelectorAll("[data-chart]")) watch.observe(place, {attributes: true, attributeFilter: ["data-ready"]});
})();
