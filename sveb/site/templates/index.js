// The index: its state, the chart of skill and the table, from the embedded figures. All text goes through textContent: entries are strangers'.
(() => {
  const data = JSON.parse($("data").textContent);
  if (!data.suites.length) return;

  const FEW = 16, MANY = 100;
  const UP = { up: "higher is better", down: "lower is better", zero: "closer to 0 is better", one: "closer to 1 is better" };

  const tiers = Object.keys(data.tiers);
  const columns = [
    { id: "rank", title: "Rank", short: "Rank", first: "ascending", fixed: true, get: (row) => row.rank },
    { id: "name", title: "Estimator", short: "Estimator", first: "ascending", fixed: true, get: (row) => row.title.toLowerCase() },
    ...data.metrics.map((metric) => ({
      ...metric, metric: true, short: metric.title, first: metric.direction === "up" ? "descending" : "ascending",
      shown: metric.headline, hint: UP[metric.direction], get: (row) => (row.metrics[metric.id] || [null])[0],
    })),
    { id: "tier", title: "How its figures are known", short: "Tier", first: "descending", shown: true,
      definition: Object.entries(data.tiers).map(([tier, note]) => `${tier}: ${note}`).join(". "), get: (row) => tiers.indexOf(row.tier) },
    { id: "budget", title: "Information used", short: "Information", first: "ascending", shown: true,
      definition: "What the estimator was given or asked for, recorded by the harness. Sorted by the number of kinds.", get: (row) => row.budget.length },
    { id: "wall_ms", title: "Wall time a state", short: "ms / state", first: "ascending", shown: true, hint: "lower is better",
      definition: "Wall milliseconds a state, measured by the harness.", get: (row) => row.wall_ms },
    { id: "tokens", title: "Policy tokens a state", short: "Tokens / state", first: "ascending", shown: true, hint: "lower is better",
      definition: "Tokens that the policy sampled and, below, read for a state. Sorted by their sum.", get: (row) => row.sampled + row.read },
  ];
  const byId = Object.fromEntries(columns.map((column) => [column.id, column]));
  const optional = columns.filter((column) => !column.fixed);
  const defaults = () => ({
    suite: data.suites[0].key, sort: "rank", order: "ascending", q: "", without: [], untiered: [], all: false,
    shown: optional.filter((column) => column.shown).map((column) => column.id),
  });
  let state = defaults(), drawing = 0;

  const suite = () => data.suites.find((each) => each.key === state.suite);

  const parts = sections.map((made) => made({ data, suite, changed: writeHash }));

  // State in the address

  function readHash() {
    const given = new URLSearchParams(location.hash.slice(1));
    state = defaults();
    if (data.suites.some((each) => each.key === given.get("suite"))) state.suite = given.get("suite");
    if (Object.hasOwn(byId, given.get("sort") ?? "")) {
      state.sort = given.get("sort");
      state.order = ["ascending", "descending"].includes(given.get("order")) ? given.get("order") : byId[state.sort].first;
    }
    state.q = given.get("q") || "";
    state.without = (given.get("without") || "").split(",").filter((item) => Object.hasOwn(data.budget, item));
    state.untiered = (given.get("tiers-hidden") || "").split(",").filter((tier) => tiers.includes(tier));
    if (given.has("columns")) state.shown = given.get("columns").split(",").filter((id) => Object.hasOwn(byId, id) && !byId[id].fixed);
    for (const part of parts) part.read(given);
  }
  function writeHash() {
    const base = defaults(), given = new URLSearchParams();
    if (state.suite !== base.suite) given.set("suite", state.suite);
    if (state.sort !== base.sort || state.order !== base.order) { given.set("sort", state.sort); given.set("order", state.order); }
    if (state.q) given.set("q", state.q);
    if (state.without.length) given.set("without", state.without.join(","));
    if (state.untiered.length) given.set("tiers-hidden", state.untiered.join(","));
    if (state.shown.join() !== base.shown.join()) given.set("columns", state.shown.join(","));
    for (const part of parts) part.write(given);
    history.replaceState(null, "", given.size ? `#${given}` : location.pathname + location.search);
  }

  // Rows

  function chosen() {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = suite().rows.filter((row) => words.every((word) => row.search.includes(word)) && !row.budget.some((item) => state.without.includes(item)) && !state.untiered.includes(row.tier));
    const { get } = byId[state.sort], sign = state.order === "ascending" ? 1 : -1;
    const compare = (a, b) => {
      const [x, y] = [get(a), get(b)];
      if (x === null || y === null || x === undefined || y === undefined) return (x ?? null) === (y ?? null) ? 0 : (x ?? null) === null ? 1 : -1; // missing last, either way
      return x < y ? -sign : x > y ? sign : 0;
    };
    return rows.sort((a, b) => compare(a, b) || (a.rank ?? Infinity) - (b.rank ?? Infinity) || (a.name < b.name ? -1 : 1));
  }

  function metricCell(column, row, range) {
    const [value, low, high, note] = row.metrics[column.id] || [null, null, null, "not among this entry’s results"];
    if (!finite(value)) return make("td", { class: "figure na", title: note }, "n/a", hidden(`: ${note}`));
    const cell = make("td", { class: "figure", title: note ?? null }, figure(value, column.places));
    if (note) cell.append(hidden(` (${note})`));
    const text = span(low, high, column.places);
    if (!text) return cell;
    cell.append(make("span", { class: "interval" }, text));
    drawBar(cell, within(low ?? range[0], range), within(high ?? range[1], range), within(value, range));
    return cell;
  }
  function cellOf(column, row, ranges) {
    if (column.metric) return metricCell(column, row, ranges[column.id]);
    if (column.id === "rank") {
      if (row.rank === null) return make("td", { class: "rank na", title: `no rank: ${row.unranked}` }, "n/a", hidden(`: no rank: ${row.unranked}`), truthOf(row));
      if (row.joint) {
        const [low, high, group, note] = row.joint;
        const cell = make("td", { class: "rank", title: note }, make("span", { "aria-hidden": "true" }, low === high ? String(low) : `${low}–${high}`));
        if (group) cell.append(make("span", { class: "tie group", "aria-hidden": "true" }, group));
        cell.append(hidden(note), truthOf(row));
        return cell;
      }
      const cell = make("td", { class: "rank" }, String(row.rank));
      const others = `its interval of the MSE meets that of ${row.overlaps} other ${row.overlaps === 1 ? "entry" : "entries"}`;
      if (row.overlaps) cell.append(make("span", { class: "tie", title: others, "aria-hidden": "true" }, "≈"), hidden(`; ${others}`));
      cell.append(truthOf(row));
      return cell;
    }
    if (column.id === "name") {
      const cell = make("th", { scope: "row", class: "name" });
      cell.append(make("a", { href: `entries/${row.name}.html#${suite().key}`, title: row.title }, make("bdi", {}, row.title)));
      if (row.by) cell.append(make("span", { class: "by", title: row.by }, make("bdi", {}, row.by)));
      for (const alarm of row.alarms) cell.append(badge(alarm));
      if (row.seeds) {
        const why = `each figure is the mean over ${row.seeds} trainings, and its interval contains their spread`;
        cell.append(make("span", { class: "badge plain", title: why }, `${row.seeds} seeds`, hidden(`: ${why}`)));
      }
      if (row.unfaithful) cell.append(make("span", { class: "badge old", title: row.unfaithful }, "not as published", hidden(`: ${row.unfaithful}`)));
      return cell;
    }
    if (column.id === "budget") {
      const list = make("ul", { class: "chips" }, ...row.budget.map((item) => make("li", { class: `chip class-${CLASSES.find((each) => each.items.includes(item))?.key ?? "a"}` }, data.budget[item])));
      return make("td", {}, row.budget.length ? list : make("span", { class: "muted" }, "none"));
    }
    if (column.id === "tier") return make("td", {}, make("span", { class: `badge tier${row.tier === tiers[0] ? " plain" : ""}`, title: data.tiers[row.tier] }, row.tier), hidden(`: ${data.tiers[row.tier]}`));
    const main = column.id === "tokens" ? row.sampled : row.wall_ms;
    const cell = make("td", { class: "figure" }, brief(main));
    if (column.id === "tokens") cell.append(hidden(" sampled"), make("span", { class: "interval" }, `${brief(row.read)} read`));
    return cell;
  }
  function truthOf(row) {
    return make("span", { class: "badge plain truth", title: data.truths[row.truth] }, row.truth, hidden(` truth: ${data.truths[row.truth]}`));
  }
  function badge(alarm) {
    return make("span", { class: "badge alarm", title: alarm.evidence }, alarm.badge, hidden(`: ${alarm.evidence}`));
  }

  // Table

  const visible = () => columns.filter((column) => column.fixed || state.shown.includes(column.id));
  function drawHead() {
    const row = make("tr");
    for (const column of visible()) {
      const button = make("button", { type: "button", title: [column.title, column.hint, column.definition].filter(Boolean).join(". ") }, make("span", {}, column.short));
      if (column.hint) button.append(hidden(`, ${column.hint}`));
      button.append(make("span", { class: "arrow", "aria-hidden": "true" }));
      button.addEventListener("click", () => {
        const opposite = state.order === "ascending" ? "descending" : "ascending";
        state.order = state.sort === column.id ? opposite : column.first;
        state.sort = column.id;
        draw();
      });
      row.append(make("th", { scope: "col", class: column.fixed ? column.id : ["budget", "tier"].includes(column.id) ? "text" : "number", "data-column": column.id }, button));
    }
    $("board").tHead.replaceChildren(row);
  }
  function drawBody(rows) {
    const shown = visible();
    // Ranges over all rows, so that a bar does not move when rows are filtered.
    const ranges = Object.fromEntries(shown.filter((column) => column.metric).map((column) => [column.id, domain(suite().rows.map((row) => row.metrics[column.id] || []))]));
    const lines = (some) => some.map((row) => make("tr", { "data-name": row.name }, ...shown.map((column) => cellOf(column, row, ranges))));
    const body = $("board").tBodies[0], first = lines(rows.slice(0, MANY));
    if (!rows.length) first.push(make("tr", {}, make("td", { colspan: shown.length, class: "none" }, "No entry matches. Reset the search and the filters.")));
    body.replaceChildren(...first);
    const best = suite().perfect;
    $("board").tFoot.hidden = !shown.some((column) => column.id in best);
    $("board").tFoot.replaceChildren(make("tr", {}, ...shown.map((column) => {
      if (column.id === "name") return make("th", { scope: "row", class: "name" }, "V itself (not an entry)");
      return make("td", { class: "figure" }, column.id in best ? figure(best[column.id], column.places) : "");
    })));
    for (const head of $("board").tHead.querySelectorAll("th")) {
      if (head.dataset.column === state.sort) head.setAttribute("aria-sort", state.order); else head.removeAttribute("aria-sort");
    }
    $("status").textContent = `${rows.length} of ${suite().rows.length} entries, sorted by ${byId[state.sort].title}, ${state.order}`;
    return rows.length > MANY ? [() => body.append(...lines(rows.slice(MANY)))] : [];
  }

  // Chart

  function drawChart(rows) {
    const metric = byId.skill;
    const triple = (row) => row.metrics.skill || [null, null, null];
    const scored = rows.filter((row) => finite(triple(row)[0])).sort((a, b) => triple(b)[0] - triple(a)[0]);
    const lines = state.all ? scored : scored.slice(0, FEW);
    $("more").hidden = scored.length <= FEW;
    $("more").textContent = state.all ? `Show the best ${FEW}` : `Show all ${scored.length}`;
    if (!metric || !lines.length) { $("chart").replaceChildren(make("p", { class: "muted" }, "No entry with a skill to draw.")); return; }

    const width = Math.max(300, $("chart").clientWidth), narrow = width < 620;
    const step = narrow ? 38 : 28, top = 26, left = narrow ? 4 : Math.min(250, width * 0.24), right = width - (narrow ? 52 : 168);
    const height = top + lines.length * step + 30;
    const found = domain(lines.map(triple));
    const range = [Math.min(0, found[0]) - 0.04, Math.max(1, found[1]) + 0.02];
    const x = (value) => left + within(value, range) * (right - left);
    const best = lines[0];
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "skill-chart",
      "aria-label": `Skill of ${lines.length} entries with 95 % intervals, best first; the best is ${best.title} with ${figure(triple(best)[0], 3)}. The table below holds every figure.` });
    const size = (range[1] - range[0]) / (narrow ? 4 : 8), unit = [0.1, 0.2, 0.25, 0.5, 1, 2, 5].find((each) => each >= size) || 10;
    for (let tick = Math.ceil(range[0] / unit) * unit; tick <= range[1] + 1e-9; tick += unit) {
      svg.append(make("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top - 4, y2: height - 24 }));
      svg.append(make("text", { class: "tick", x: x(tick), y: height - 8, "text-anchor": "middle" }, figure(tick, unit < 0.5 && unit !== 0.2 && unit !== 0.1 ? 2 : 1)));
    }
    for (const [value, label, anchor] of [[0, "group mean", "middle"], [1, "perfect", narrow ? "end" : "middle"]]) {
      svg.append(make("line", { class: "reference", x1: x(value), x2: x(value), y1: top - 6, y2: height - 24 }));
      svg.append(make("text", { class: "tick", x: x(value), y: 12, "text-anchor": anchor }, label));
    }
    lines.forEach((row, index) => {
      const [value, low, high] = triple(row), y = top + index * step + (narrow ? 26 : step / 2), kind = classOf(row).key;
      const group = make("g", { class: `class-${kind}` }, make("title", {}, `${row.title}: skill ${figure(value, 3)} ${span(low, high, 3)}`));
      const limit = narrow ? Math.floor(width / 8) : Math.floor(left / 7.4);
      const label = row.title.length > limit ? `${[...row.title].slice(0, limit - 1).join("")}…` : row.title;
      group.append(make("text", { class: "label", direction: "ltr", x: narrow ? left : left - 14, y: narrow ? y - 11 : y + 4, "text-anchor": narrow ? "start" : "end" }, isolate(label)));
      if (finite(low) && finite(high)) {
        group.append(make("line", { class: "whisker", x1: x(low), x2: x(high), y1: y, y2: y }));
        for (const [end, cut, tip] of [[low, low < range[0], -1], [high, high > range[1], 1]]) {
          group.append(cut ? make("path", { class: "whisker", d: `M${x(end) - 5 * tip} ${y - 4}L${x(end)} ${y}L${x(end) - 5 * tip} ${y + 4}` }) : make("line", { class: "whisker", x1: x(end), x2: x(end), y1: y - 4, y2: y + 4 }));
        }
      }
      group.append(shape(kind, x(value), y));
      const text = make("text", { class: "figure", x: right + 14, y: y + 4 }, figure(value, narrow ? 2 : 3));
      group.append(text);
      if (!narrow) group.append(make("text", { class: "tick", x: right + 68, y: y + 4 }, span(low, high, 2)));
      svg.append(group);
    });
    $("chart").replaceChildren(svg);
  }
  // Controls

  function drawSuite() {
    const current = suite();
    $("suite-name").textContent = `${current.name} ${current.version}`;
    $("suite-badge").textContent = current.latest ? "latest" : "older version";
    $("suite-badge").classList.toggle("old", !current.latest);
    $("suite-leak").hidden = !current.leak;
    const [badge, leak] = $("suite-leak").children;
    badge.textContent = current.leak?.badge ?? "";
    leak.textContent = current.leak?.text ?? "";
    $("facts").replaceChildren(...current.facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, make("bdi", {}, value)))));
    $("csv").href = `data/${current.key}.csv`;
    $("json").href = `data/${current.key}.json`;
    const { level, replicates, cluster } = current.bootstrap;
    $("explore").hidden = !current.explored;
    $("compare").hidden = !current.compared;
    $("compare").href = `compare/${current.key}.html`;
    $("explore").href = `explore/${current.key}.html`;
    $("truth-note").textContent = current.ranked_on === "hidden"
      ? `The official rank is on hidden truth. “hidden” marks entries that were ${data.truths.hidden}; “public” marks entries that have only been ${data.truths.public}. These have no rank yet. All other columns are from public truth.`
      : `“public” marks entries that were ${data.truths.public}. No entry has been scored on hidden truth here, so the official rank is on public truth, which is weaker evidence.`;
    $("rank-note").textContent = current.unranked === null
      ? "It is an interval, from the entries’ errors on the same problems (paired max-t test of all pairs at once): all ranks are right together with 95 % confidence. Entries with the same letter cannot all be separated; point at a rank to read how many problems that would take."
      : `≈ marks an entry whose 95 % interval of the MSE meets that of another: such entries may or may not be different, and overlap is not a test. The test needs the truth: ${current.unranked}.`;
    $("interval-note").textContent = `Below each value: its ${figure((level ?? 0.95) * 100, 0)} % interval, by a bootstrap over ${cluster ?? "problem"}s${replicates ? ` (${replicates} resamples)` : ""}. It leaves out how the figure varies with the seed of a training, unless the entry says how many seeds it has. The bar spans the column’s range. “n/a” means that the figure does not exist; point at it to read the reason.`;
    if ($("suite")) $("suite").value = current.key;
  }
  function syncControls() {
    $("search").value = state.q;
    for (const box of $("budget").querySelectorAll("input")) box.checked = !state.without.includes(box.value);
    for (const box of $("tiers").querySelectorAll("input")) box.checked = !state.untiered.includes(box.value);
    for (const box of $("columns").querySelectorAll("input")) box.checked = state.shown.includes(box.value);
    const items = Object.keys(data.budget).length;
    $("budget-count").textContent = state.without.length ? `${items - state.without.length} of ${items}` : "all";
    $("tiers-count").textContent = state.untiered.length ? `${tiers.length - state.untiered.length} of ${tiers.length}` : "all";
    $("columns-count").textContent = `${state.shown.length} of ${optional.length}`;
  }
  function choice(parent, value, text, change) {
    const box = make("input", { type: "checkbox", value });
    box.addEventListener("change", () => change(box.checked));
    parent.append(make("label", {}, box, text));
  }
  function draw({ head = false } = {}) {
    if (head) drawHead();
    const rows = chosen();
    // Where entries are many, the page answers before the rest of them, and of what is below them, is drawn.
    const mine = ++drawing;
    const rest = [...drawBody(rows), () => { for (const part of parts) part.draw(rows); }];
    const next = () => { if (mine === drawing) { rest.shift()(); if (rest.length) soon(); } };
    const soon = () => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(next))); // once a frame is painted
    drawChart(rows.slice());
    if (rest.length > 1) soon(); else next();
    syncControls();
    writeHash();
  }
  const drawAll = () => { drawSuite(); draw({ head: true }); };

  drawLegend($("legend"));
  if ($("suite")) {
    for (const name of new Set(data.suites.map((each) => each.name))) {
      const versions = data.suites.filter((each) => each.name === name);
      $("suite").append(make("optgroup", { label: name }, ...versions.map((each) => make("option", { value: each.key }, `${name} ${each.version}${each.latest ? "" : " (older)"}`))));
    }
    $("suite").addEventListener("change", (event) => { state.suite = event.target.value; drawAll(); });
  }
  for (const [item, title] of Object.entries(data.budget)) {
    choice($("budget"), item, title, (on) => { state.without = Object.keys(data.budget).filter((each) => (each === item ? !on : state.without.includes(each))); draw(); });
  }
  for (const tier of tiers) {
    choice($("tiers"), tier, `${tier}: ${data.tiers[tier]}`, (on) => { state.untiered = tiers.filter((each) => (each === tier ? !on : state.untiered.includes(each))); draw(); });
  }
  for (const column of optional) {
    choice($("columns"), column.id, column.title, (on) => { state.shown = optional.map((each) => each.id).filter((id) => (id === column.id ? on : state.shown.includes(id))); draw({ head: true }); });
  }
  $("search").addEventListener("input", (event) => { state.q = event.target.value; draw(); });
  $("more").addEventListener("click", () => { state.all = !state.all; draw(); });
  $("reset").addEventListener("click", () => { state = { ...defaults(), suite: state.suite }; draw({ head: true }); });
  // A menu closes on Escape, giving focus back, and on a click elsewhere.
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest?.("details.menu[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  addEventListener("hashchange", () => { readHash(); drawAll(); });
  fitted($("chart"), () => drawChart(chosen()));
  readHash();
  drawAll();
})();
