// What the parts of the index share. Each part adds a maker to `sections`: given the board it returns
// {read(given), write(parts), draw(rows)}: its state from the address, into the address, and its picture of the rows chosen.
const sections = [];

const CLASSES = [
  { key: "a", title: "group and training rollouts only", items: [] },
  { key: "b", title: "the policy’s hidden states or log-probabilities", items: ["hidden_states", "logprobs"] },
  { key: "c", title: "extra rollouts, the gold answer or another model", items: ["extra_rollouts", "gold_answer", "external_model"] },
];
const classOf = (row) => [...CLASSES].reverse().find((each) => !each.items.length || row.budget.some((item) => each.items.includes(item)));
function shape(kind, x, y) {
  if (kind === "a") return make("circle", { class: "dot", cx: x, cy: y, r: 5.5 });
  if (kind === "b") return make("rect", { class: "dot", x: x - 5, y: y - 5, width: 10, height: 10, rx: 1 });
  return make("path", { class: "dot", d: `M${x} ${y - 7}L${x + 6.5} ${y + 5}L${x - 6.5} ${y + 5}Z` });
}
function drawLegend(list) {
  for (const each of CLASSES) {
    const mark = make("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", class: `class-${each.key}` }, shape(each.key, 8, 8));
    list.append(make("li", {}, mark, each.title));
  }
}

const brief = (value) => (value === 0 ? "0" : value < 0.01 ? "<0.01" : value < 10 ? value.toFixed(2) : Math.round(value).toLocaleString("en"));
// Ends of an interval go without the leading zero, to keep columns narrow.
const end = (value, places) => (finite(value) ? figure(value, places).replace(/^(−?)0\./, "$1.") : "n/a");
const span = (low, high, places) => (finite(low) || finite(high) ? `[${end(low, places)}, ${end(high, places)}]` : "");

// The range that bars and charts span: all intervals, less what lies far beyond the bulk of values.
function domain(triples) {
  const values = triples.map(([value]) => value).filter(finite).sort((a, b) => a - b);
  if (!values.length) return [0, 1];
  const quantile = (share) => values[Math.floor(share * (values.length - 1))];
  const reach = 2.5 * (quantile(0.75) - quantile(0.25)) || Math.abs(values[0]) || 1;
  const ends = triples.flatMap((triple) => triple.slice(0, 3)).filter(finite);
  const low = Math.max(Math.min(...ends), quantile(0.25) - reach), high = Math.min(Math.max(...ends), quantile(0.75) + reach);
  return high > low ? [low, high] : [low - 0.5, low + 0.5];
}
const within = (value, [low, high]) => Math.min(1, Math.max(0, (value - low) / (high - low)));

// A choice that the address may name.
function chooser(select, choices, chosen) {
  for (const [value, { title }] of Object.entries(choices)) select.append(make("option", { value }, title));
  select.addEventListener("change", () => chosen(select.value));
}
// A cell's bar: an interval and a point as shares of the cell's width.
function drawBar(cell, low, high, at) {
  cell.classList.add("ci");
  cell.style.cssText = `--low:${low.toFixed(4)};--high:${high.toFixed(4)};--at:${at.toFixed(4)}`;
}
