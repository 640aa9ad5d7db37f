// The explorer: one answer of one problem at a time. State lives in the address.
(() => {
  const data = JSON.parse($("data").textContent);
  const { v: V, low: LOW, high: HIGH } = data.truth, { estimators, problems } = data;
  const { draw, heat, swatch } = traceChart;
  const byName = Object.fromEntries(estimators.map((each) => [each.name, each]));
  const brief = (v, places = 2) => (finite(v) ? figure(v / 1000, places).replace(/^(−?)0\./, "$1.") : "n/a");
  const span = (at, places = 2) => (finite(LOW[at]) && finite(HIGH[at]) ? `[${brief(LOW[at], places)}, ${brief(HIGH[at], places)}]` : "");

  // Every state's place in the lists of values, by walking the problems in their order.
  let place = 0;
  const others = (texts) => texts.map((text) => ({ at: place++, text }));
  problems.forEach((problem, number) => {
    problem.number = number;
    const first = problem.root ? [{ at: place++, step: 0, text: "", others: others(problem.others) }] : [];
    for (const rollout of problem.rollouts) {
      rollout.nodes = [...first, ...rollout.steps.map(([step, text, siblings]) => ({ at: place++, step, text, others: others(siblings) }))];
    }
  });
  const error = (estimator, at) => (finite(estimator.v[at]) && finite(V[at]) ? Math.abs(estimator.v[at] - V[at]) : null);
  const mean = (values) => (values.length ? values.reduce((sum, each) => sum + each, 0) / values.length : null);

  // All steps as [size, problem, rollout, node], largest first.
  function ranked(measure) {
    const found = [];
    for (const problem of problems) {
      problem.rollouts.forEach((rollout, r) => rollout.nodes.forEach((node, s) => {
        const size = node.step > 0 ? measure(node, rollout.nodes[s - 1]) : null;
        if (finite(size) && size > 0) found.push([size, problem.number, r, s]);
      }));
    }
    return found.sort((a, b) => b[0] - a[0]);
  }
  const drops = ranked((node, before) => (before && finite(V[node.at]) && finite(V[before.at]) ? V[before.at] - V[node.at] : null));
  let errors = [];
  const largest = new Map();
  for (const [size, p] of drops) if (!largest.has(p)) largest.set(p, size);

  const ORDERS = {
    drop: { title: "largest drop first", key: (p) => largest.get(p.number) ?? null, sign: -1, show: (k) => `▼ ${brief(k)}` },
    error: { title: "largest error first", sign: -1, show: (k) => `error ${brief(k)}`,
      key: (p) => mean(p.rollouts.flatMap((rollout) => rollout.nodes).filter((node) => node.step > 0).map((node) => error(byName[state.focus], node.at)).filter(finite)) },
    hard: { title: "hardest first", key: (p) => p.group, sign: 1, show: (k) => `mean ${brief(k)}` },
    easy: { title: "easiest first", key: (p) => p.group, sign: -1, show: (k) => `mean ${brief(k)}` },
    suite: { title: "as in the suite", key: (p) => p.number, sign: 1, show: (k) => `${k + 1}` },
  };
  if (!estimators.length) delete ORDERS.error;

  function defaults() {
    // The first look: one of the largest drops, if possible one beside which other steps were tried.
    const beside = drops.find(([size, p, r, s]) => size > 0.8 * drops[0][0] && problems[p].rollouts[r].nodes[s - 1].others.length);
    const [, problem, rollout, node] = beside ?? drops[0] ?? [0, 0, 0, 0];
    return { problem, rollout, node, chosen: estimators.filter((each) => each.drawn).map((each) => each.name), sort: "drop", find: "",
      focus: (estimators.find((each) => each.drawn) ?? estimators[0])?.name ?? "", open: foldsNear(problem, rollout, node) };
  }
  // The alternatives to the step that was taken hang on the state before it.
  function foldsNear(p, r, s) {
    const nodes = problems[p].rollouts[r].nodes;
    return [s - 1, s].filter((i) => nodes[i]?.others.length).slice(0, 1);
  }
  let state = defaults();
  const problem = () => problems[state.problem];
  const rollout = () => problem().rollouts[state.rollout];
  const current = () => rollout().nodes[state.node];
  const chosen = () => state.chosen.map((name, slot) => ({ slot, ...byName[name] })).filter((each) => each.name);

  // State in the address

  function readHash() {
    const given = new URLSearchParams(location.hash.slice(1));
    state = defaults();
    if (Object.hasOwn(ORDERS, given.get("sort") ?? "")) state.sort = given.get("sort");
    state.find = given.get("find") ?? "";
    if (Object.hasOwn(byName, given.get("errors") ?? "")) state.focus = given.get("errors");
    if (given.has("estimators")) state.chosen = [...new Set(given.get("estimators").split(","))].filter((name) => Object.hasOwn(byName, name));
    const found = problems.find((each) => each.id === given.get("problem"));
    if (!found) return;
    const within = (text, length) => (/^\d{1,6}$/.test(text ?? "") ? Math.min(Number(text), length - 1) : 0);
    state.problem = found.number;
    state.rollout = within(given.get("answer"), found.rollouts.length);
    const { nodes } = rollout(), step = Number(given.get("step") ?? NaN);
    state.node = Math.max(0, nodes.findIndex((node) => node.step === step));
    state.open = given.has("open") ? given.get("open").split(",").map((text) => nodes.findIndex((node) => String(node.step) === text)).filter((i) => nodes[i]?.others.length) : [];
  }
  function writeHash() {
    const base = defaults(), parts = new URLSearchParams();
    parts.set("problem", problem().id);
    parts.set("answer", state.rollout);
    parts.set("step", current().step);
    if (state.open.length) parts.set("open", state.open.map((i) => rollout().nodes[i].step).join(","));
    if (state.chosen.join() !== base.chosen.join()) parts.set("estimators", state.chosen.filter(Boolean).join(","));
    if (state.sort !== base.sort) parts.set("sort", state.sort);
    if (state.find) parts.set("find", state.find);
    if (state.focus !== base.focus) parts.set("errors", state.focus);
    history.replaceState(null, "", `#${parts}`);
  }

  // Search: the words as they are written, whatever the blanks between them and the case of letters

  const sought = () => {
    const words = state.find.split(/\s+/).filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return words.length ? new RegExp(`(${words.join("\\s+")})`, "iu") : null;
  };
  function marked(text) {
    const pattern = sought();
    return pattern ? text.split(new RegExp(pattern, "giu")).map((part, i) => (i % 2 ? make("mark", {}, part) : part)) : [text];
  }
  // The first place in a problem where the words begin, as [rollout, node]; null where they are not.
  function placeOf(each) {
    const pattern = sought();
    if (!pattern) return null;
    for (const [r, one] of each.rollouts.entries()) {
      const whole = one.nodes.map((node) => node.text).join("") + one.rest, at = whole.search(pattern);
      if (at < 0) continue;
      let end = 0;
      const s = one.nodes.findIndex((node) => (end += node.text.length) > at);
      return [r, s < 0 ? one.nodes.length - 1 : s];
    }
    if (pattern.test(each.question)) return [0, 0];
    for (const [r, one] of each.rollouts.entries()) {
      const s = one.nodes.findIndex((node) => node.others.some((other) => pattern.test(other.text)));
      if (s >= 0) return [r, s];
    }
    return null;
  }

  // The list of problems

  function strip(nodes) {
    const share = 100 / nodes.length;
    const stops = nodes.map((node, i) => `${heat(V[node.at])} ${(i * share).toFixed(1)}% ${((i + 1) * share).toFixed(1)}%`);
    return make("span", { class: "strip", "aria-hidden": "true", style: `background:linear-gradient(90deg,${stops.join(",")})` });
  }
  function drawList() {
    const order = ORDERS[state.sort];
    const keyed = problems.filter((each) => !sought() || placeOf(each)).map((each) => [order.key(each), each]);
    keyed.sort(([a, x], [b, y]) => (finite(a) && finite(b) ? order.sign * (a - b) : finite(a) ? -1 : finite(b) ? 1 : 0) || x.number - y.number);
    $("list").replaceChildren(...keyed.map(([key, each]) => {
      const button = make("button", { type: "button", "data-problem": each.number, tabindex: -1 }, make("bdi", {}, each.question || each.id), make("span", { class: "key" }, finite(key) ? order.show(key) : "n/a"),
        make("span", { class: "strips" }, ...each.rollouts.map((one) => strip(one.nodes))));
      button.addEventListener("click", () => open(each.number));
      return make("li", {}, button);
    }));
    $("problems-count").textContent = `${keyed.length}${keyed.length < problems.length ? ` of ${problems.length}` : ""}, ${order.title}`;
  }
  function markList() {
    for (const button of $("list").querySelectorAll("button")) {
      const mine = Number(button.dataset.problem) === state.problem;
      button.tabIndex = mine ? 0 : -1;
      if (!mine) button.removeAttribute("aria-current");
      else if (!button.hasAttribute("aria-current")) { button.setAttribute("aria-current", "true"); reveal(button); }
    }
  }
  // Scrolls the list only, never the page.
  function reveal(button) {
    const list = $("list"), top = button.offsetTop - list.offsetTop;
    if (top < list.scrollTop || top + button.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = top - list.clientHeight / 3;
  }
  // A problem opens where the words that are sought begin, else at the answer and step of its largest drop.
  function open(number) {
    const drop = drops.find((each) => each[1] === number), [r, s] = placeOf(problems[number]) ?? [drop?.[2] ?? 0, drop?.[3] ?? 0];
    go(number, r, s);
    $("status").textContent = "";
  }
  function go(p, r, s) {
    Object.assign(state, { problem: p, rollout: r, node: s, open: foldsNear(p, r, s) });
    show();
  }

  // One answer

  const verdict = (one) => {
    if (!finite(one.return)) return { kind: "none", text: "– not graded" };
    if (one.return === 1000) return { kind: "right", text: "✓ right" };
    if (one.return === 0) return { kind: "wrong", text: one.finish === "length" ? "✗ cut off" : "✗ wrong" };
    return { kind: "none", text: `– return ${brief(one.return)}` };
  };
  // A blank after the step before goes; the indentation of a line stays.
  const shownText = (text) => text.replace(/^(\s*\n)+/, "").replace(/^ (?! )/, "").trimEnd() || "⏎";
  const line = (node) => (node.step === 0 ? "the question" : shownText(node.text));
  const name = (node) => (node.step === 0 ? "start" : `step ${node.step}`);

  function drawAnswers() {
    $("rollouts").replaceChildren(...problem().rollouts.map((one, r) => {
      const end = verdict(one), mine = r === state.rollout;
      const button = make("button", { type: "button", "aria-pressed": String(mine), tabindex: mine ? 0 : -1 }, make("span", { class: "word" }, "Answer "), String(r + 1), strip(one.nodes), make("span", { class: `verdict ${end.kind}` }, end.text.slice(0, 1), make("span", { class: "word" }, end.text.slice(1))));
      button.addEventListener("click", () => go(state.problem, r, dropOf(r)));
      return button;
    }));
  }
  const dropOf = (r) => drops.find(([, p, other]) => p === state.problem && other === r)?.[3] ?? 0;

  function values(node, tag, before) {
    const at = node.at, value = make("span", { class: "values" });
    if (!finite(V[at])) value.append(make("span", { class: "na" }, "no truth"));
    else {
      value.append(hidden(" true value "), make("span", { class: "v" }, brief(V[at])), make("span", { class: "interval" }, span(at)));
      if (span(at)) {
        const bar = make("span", { class: "ci", "aria-hidden": "true" });
        for (const [property, v] of [["--low", LOW[at]], ["--high", HIGH[at]], ["--at", V[at]]]) bar.style.setProperty(property, v / 1000);
        value.append(bar);
      }
    }
    const change = before && finite(V[at]) && finite(V[before.at]) ? V[at] - V[before.at] : null;
    const moved = finite(change) && Math.abs(change) >= 50;
    const delta = make("span", { class: `change ${!moved ? "muted" : change < 0 ? "down" : "up"}` }, finite(change) ? hidden(", change ") : "", finite(change) ? `${change < 0 ? "▼" : change > 0 ? "▲" : "="} ${brief(Math.abs(change))}` : "");
    const text = make("span", { class: "step-text", style: `background:${heat(V[at])}` }, make("bdi", {}, ...(node.step === 0 ? [line(node)] : marked(line(node)))));
    return tag === "div" ? [text, value, delta] : [make("span", { class: "number" }, name(node)), text, value, delta];
  }
  function drawSteps() {
    const { nodes, rest } = rollout(), end = verdict(rollout());
    const items = nodes.map((node, i) => {
      const mine = i === state.node;
      const button = make("button", { type: "button", class: "step quiet", tabindex: mine ? 0 : -1, "aria-current": mine ? "step" : null, "data-node": i }, ...values(node, "button", nodes[i - 1]));
      button.addEventListener("click", () => { pick(i, true); });
      const item = make("li", {}, button);
      if (node.others.length) {
        const unfolded = state.open.includes(i), count = node.others.length;
        const fold = make("button", { type: "button", class: "fold quiet", "aria-expanded": String(unfolded), "data-fold": i }, `${unfolded ? "▾" : "▸"} ${count} other ${count === 1 ? "step" : "steps"} that the policy might take from here`);
        fold.addEventListener("click", () => {
          state.open = unfolded ? state.open.filter((each) => each !== i) : [...state.open, i];
          show();
          $("steps").querySelector(`[data-fold="${i}"]`).focus();
        });
        item.append(fold);
        if (unfolded) item.append(make("ul", { class: "siblings" }, ...[...node.others].sort((a, b) => (V[b.at] ?? -1) - (V[a.at] ?? -1)).map((other) => make("li", {}, make("div", { class: "step" }, ...values({ ...other, step: node.step + 1 }, "div", node))))));
      }
      return item;
    });
    items.push(make("li", { class: "end" }, make("div", { class: "step" }, make("span", { class: "number" }, "end"), make("span", { class: "step-text" }, make("bdi", {}, ...marked(shownText(rest)))), make("span", { class: `verdict ${end.kind}` }, end.text))));
    $("steps").replaceChildren(...items);
    const folds = nodes.filter((node) => node.others.length).length;
    $("unfold").hidden = !folds;
    $("unfold").setAttribute("aria-expanded", String(state.open.length === folds));
    $("unfold").textContent = state.open.length === folds ? "Fold all alternatives" : "Unfold all alternatives";
  }
  function drawTable() {
    const shown = chosen(), head = ["Step", "Text", "True V(s)", "95 % interval", ...shown.map((each) => each.title)];
    $("table").tHead.replaceChildren(make("tr", {}, ...head.map((text, i) => make("th", { scope: "col", class: i > 1 ? "number" : null }, make("bdi", {}, text)))));
    $("table").tBodies[0].replaceChildren(...rollout().nodes.map((node) => make("tr", {}, make("td", {}, name(node)), make("th", { scope: "row" }, make("bdi", {}, line(node))),
      ...[brief(V[node.at], 3), span(node.at, 3) || "n/a", ...shown.map((each) => brief(each.v[node.at], 3))].map((text) => make("td", { class: "figure" }, text)))));
  }
  function drawChart() {
    const { nodes } = rollout(), end = verdict(rollout()), drop = nodes[dropOf(state.rollout)], before = nodes[dropOf(state.rollout) - 1];
    const fall = before ? ` Its largest fall is from ${brief(V[before.at])} to ${brief(V[drop.at])} at ${name(drop)}.` : "";
    const shown = chosen();
    draw($("chart"), {
      nodes: nodes.map((node) => ({ label: line(node).replace(/\s+/g, " "), step: node.step, v: V[node.at], low: LOW[node.at], high: HIGH[node.at], others: node.others.map((other) => V[other.at]) })),
      lines: shown.map((each) => ({ slot: each.slot, title: each.title, values: nodes.map((node) => each.v[node.at]) })),
      end: { ...end, v: finite(rollout().return) ? Math.min(1000, Math.max(0, rollout().return)) : undefined }, selected: state.node, pick: (i) => pick(i, false),
      summary: `True value of answer ${state.rollout + 1} at ${nodes.length} states: ${nodes.map((node) => brief(V[node.at])).join(", ")}; it ended: ${end.text.replace(/^. /, "")}.${fall} ${shown.length ? `Lines: ${shown.map((each) => each.title).join(", ")}.` : ""} A table below holds the figures.`,
    });
  }
  function drawEstimators() {
    for (const label of $("estimators").querySelectorAll("label")) {
      const each = byName[label.dataset.name], slot = state.chosen.indexOf(each.name);
      label.querySelector("input").checked = slot >= 0;
      label.querySelector("svg")?.remove();
      if (slot >= 0) label.querySelector("input").after(swatch(slot));
      label.querySelector(".muted").textContent = brief(mean(rollout().nodes.filter((node) => node.step > 0).map((node) => error(each, node.at)).filter(finite)));
    }
  }
  function drawHead() {
    const here = problem();
    $("where").textContent = `${here.id}${here.tier ? ` · ${here.tier}` : ""}`;
    $("question").replaceChildren(make("bdi", {}, ...marked(here.question || here.id)));
    const facts = [];
    if (here.answer) facts.push(`reference answer: ${isolate(here.answer)}`);
    if (finite(here.group)) facts.push(`the policy’s other answers are right with a mean of ${brief(here.group)}`);
    $("facts").textContent = facts.join(" · ");
  }
  // The chosen step in one sentence.
  function tell() {
    const { nodes } = rollout(), node = current(), before = nodes[state.node - 1], change = before ? V[node.at] - V[before.at] : 0;
    const moves = !finite(V[node.at]) ? "the true value is not known" : !before || !finite(V[before.at]) ? `V(s) is ${brief(V[node.at])}`
      : brief(V[before.at]) === brief(V[node.at]) ? `V(s) stays at ${brief(V[node.at])}` : `V(s) ${change < 0 ? "falls" : "rises"} from ${brief(V[before.at])} to ${brief(V[node.at])}`;
    const says = chosen().map((each) => `${isolate(each.title)} ${brief(each.v[node.at])}`);
    $("told").replaceChildren(make("b", {}, `${name(node)[0].toUpperCase()}${name(node).slice(1)}: ${moves}.`), says.length ? ` The estimators say: ${says.join(", ")}.` : "");
  }
  function show() {
    tell(); drawHead(); drawAnswers(); drawEstimators(); drawChart(); drawSteps(); drawTable(); markList(); writeHash();
  }
  function pick(i, focus) {
    state.node = i;
    show();
    if (focus) $("steps").querySelector(`[data-node="${i}"]`).focus();
  }

  // An estimator that goes leaves its colour free; the others keep theirs.
  function drawn(estimator, on) {
    const at = state.chosen.indexOf(estimator), free = state.chosen.indexOf("");
    if (on === at >= 0) return;
    if (!on) state.chosen[at] = ""; else if (free >= 0) state.chosen[free] = estimator; else state.chosen.push(estimator);
  }

  // Jumps

  function jump(list, what, next) {
    const here = list.findIndex(([, p, r, s]) => p === state.problem && r === state.rollout && s === state.node);
    const index = next ? (here + 1) % list.length : 0;
    if (!list.length) { $("status").textContent = `${what}: there is none.`; return; }
    const [, p, r, s] = list[index];
    if (what === "Error") drawn(state.focus, true);
    go(p, r, s);
    $("status").replaceChildren(`${what} ${(index + 1).toLocaleString("en")} of ${list.length.toLocaleString("en")}`, hidden(`: ${$("told").textContent}`));
  }
  function seek() {
    const estimator = byName[state.focus];
    errors = estimator ? ranked((node) => error(estimator, node.at)) : [];
    $("focus").value = state.focus;
  }

  // Controls

  $("drop").addEventListener("click", () => jump(drops, "Drop", false));
  $("drop-next").addEventListener("click", () => jump(drops, "Drop", true));
  $("drop-next").append(hidden(" largest drop"));
  $("error").addEventListener("click", () => jump(errors, "Error", false));
  $("error-next").addEventListener("click", () => jump(errors, "Error", true));
  $("error-next").append(hidden(" largest error"));
  $("unfold").addEventListener("click", () => {
    const all = rollout().nodes.flatMap((node, i) => (node.others.length ? [i] : []));
    state.open = state.open.length === all.length ? [] : all;
    show();
  });
  for (const [key, order] of Object.entries(ORDERS)) $("sort").append(make("option", { value: key }, order.title));
  $("sort").addEventListener("change", () => { state.sort = $("sort").value; drawList(); show(); });
  for (const each of estimators) {
    $("focus").append(make("option", { value: each.name }, each.title));
    const box = make("input", { type: "checkbox" });
    box.addEventListener("change", () => {
      drawn(each.name, box.checked);
      show();
    });
    $("estimators").append(make("label", { "data-name": each.name }, box, make("bdi", { title: each.title }, each.title), make("span", { class: "muted" })));
  }
  $("find").addEventListener("input", () => { state.find = $("find").value; drawList(); show(); });
  $("focus").addEventListener("change", () => { state.focus = $("focus").value; seek(); if (state.sort === "error") drawList(); show(); });
  for (const id of ["error", "error-next", "focus"]) $(id).disabled = !estimators.length;

  const STEPS = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity };
  const moved = (event, keys, at, length) => {
    if (!Object.hasOwn(keys, event.key) || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return null;
    event.preventDefault();
    return Math.min(length - 1, Math.max(0, at + keys[event.key]));
  };
  function turn(event) {
    const { length } = problem().rollouts, to = moved(event, { ArrowLeft: -1, ArrowRight: 1 }, state.rollout, length);
    if (to !== null && to !== state.rollout) go(state.problem, to, Math.min(state.node, problem().rollouts[to].nodes.length - 1));
    return to !== null;
  }
  $("steps").addEventListener("keydown", (event) => {
    if (!event.target.matches("[data-node]")) return;
    if (turn(event)) { $("steps").querySelector('[aria-current="step"]').focus(); return; }
    const to = moved(event, STEPS, state.node, rollout().nodes.length);
    if (to !== null) pick(to, true);
  });
  $("rollouts").addEventListener("keydown", (event) => { if (turn(event)) $("rollouts").querySelector('[aria-pressed="true"]').focus(); });
  $("list").addEventListener("keydown", (event) => {
    const buttons = [...$("list").querySelectorAll("button")];
    const to = moved(event, STEPS, buttons.indexOf(event.target), buttons.length);
    if (to !== null) { buttons[to].focus(); buttons[to].click(); }
  });
  addEventListener("hashchange", () => { readHash(); start(); });
  let width = 0;
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) > 1) { width = entry.contentRect.width; drawChart(); }
  }).observe($("chart"));

  function start() {
    $("sort").value = state.sort;
    $("find").value = state.find;
    seek();
    drawList();
    show();
  }
  const [few, many] = data.suite.draws;
  $("note").textContent = `V(s) is the mean return of ${few === many ? many : `up to ${many}`} continuations that ${data.suite.policy} sampled from the state; the bar and the band are its 95 % interval. A row may hold several steps where only some were scored. Thin lines in the chart lead to other steps that the policy might have taken. The text after the last row is what no estimator saw.`;
  if (data.left_out.length) { $("left-out").textContent = `To keep this page light, it shows ${data.left_out.join(" and ")}.`; $("left-out").hidden = false; }
  readHash();
  start();
})();
