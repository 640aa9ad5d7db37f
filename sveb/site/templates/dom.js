// What the pages' scripts share. All text goes through textContent: it is strangers'.
const $ = (id) => document.getElementById(id);
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "circle", "rect", "text", "title", "polyline"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
const hidden = (text) => make("span", { class: "hidden" }, text);
const finite = (value) => typeof value === "number" && Number.isFinite(value);
function figure(value, places) {
  const text = value.toFixed(places);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}
// First-strong isolate: a title's own direction marks cannot reorder what stands beside it.
const isolate = (text) => `\u2068${text}\u2069`;
const cut = (text, length) => ([...text].length > length ? `${[...text].slice(0, length - 1).join("")}…` : text);
// A figure drawn to its element's width, and again when that changes.
function fitted(element, redraw) {
  let width = 0;
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) > 1) { width = entry.contentRect.width; redraw(); }
  }).observe(element);
}
// Uniform numbers in [0, 1), the same from the same seed (mulberry32).
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
// The address holds the state, hence links within the page only move to their place.
document.addEventListener("click", (event) => {
  const target = event.target.closest?.('a[href^="#"]') && $(event.target.closest("a").hash.slice(1));
  if (!target) return;
  event.preventDefault();
  target.scrollIntoView();
  target.tabIndex = -1;
  target.focus({ preventScroll: true });
});
