// Two entries on the same problems: the paired difference, and the problems that it comes from. The address names the two.
(() => {
  const data = JSON.parse($("data").textContent), { entries, problems } = data;
  const byName = Object.fromEntries(entries.map((each) => [each.name, each]));
  const MOST = 8;
  let state = {};

  function readHash() {
    const given = new URLSearchParams(location.hash.slice(1));
    const known = (key) => (Object.hasOwn(byName, given.get(key) ?? "") ? given.get(key) : null);
    const a = known("a") ?? entries.find((each) => each.name !== known("b")).name;
    state = { a, b: known("b") && known("b") !== a ? known("b") : entries.find((each) => each.name !== a).name };
  }
  // MSE and skill of one entry less another's, each [value, low, high]; undefined where the pair is not computed ahead.
  function difference(a, b) {
    const [i, j] = [entries.indexOf(a), entries.indexOf(b)];
    const pair = data.pairs.find(([x, y]) => (x === i && y === j) || (x === j && y === i));
    const turned = ([value, low, high]) => [value, high, low].map((each) => (finite(each) ? -each : null));
    return pair && pair.slice(2).map((each) => (each && pair[0] !== i ? turned(each) : each));
  }
  const signed = (value, places) => `${value > 0 ? "+" : ""}${figure(value, places)}`;
  const span = ([value, low, high], places) => !finite(value) ? "does not exist" : `${signed(value, places)} ${finite(low) ? `[${signed(low, places)}, ${signed(high, places)}]` : "without an interval"}`;

  function verdict(a, b, [mse, skill]) {
    const [value, low, high] = skill ?? mse, better = skill ? value > 0 : value < 0;
    if (!finite(value)) return ["unknown", `${a} and ${b} cannot be compared.`];
    const figures = skill ? `skill ${span(skill, 3)}` : `MSE ${span(mse, 4)}`;
    if (!finite(low)) return ["unknown", `${a} against ${b}: ${figures}.`];
    if (low <= 0 && high >= 0) return ["level", `${a} is not separated from ${b}: ${figures}.`];
    return [better ? "better" : "worse", `${a} is ${better ? "better" : "worse"} than ${b}: ${figures}.`];
  }

  function draw() {
    const [a, b] = [byName[state.a], byName[state.b]], names = [a, b].map((each) => isolate(each.title));
    $("a").value = a.name;
    $("b").value = b.name;
    const found = difference(a, b);
    const [standing, words] = found ? verdict(...names, found) : ["unknown", `The difference between ${names[0]} and ${names[1]} is not computed ahead.`];
    $("verdict").className = `verdict ${standing}`;
    $("verdict-text").textContent = words;
    if (found) {
      const both = [`MSE ${span(found[0], 4)}`, data.no_skill === null ? `skill ${span(found[1], 3)}` : `no skill: ${data.no_skill}`];
      $("figures").textContent = `Differences (first minus second), with paired 95 % intervals over the same ${problems.length} problems: ${both.join("; ")}.`;
    } else {
      $("figures").replaceChildren("This command computes it: ", make("code", {}, `sveb compare ${a.file} ${b.file}`));
    }
    const gone = [a, b].filter((each) => each.missing).map((each) => `${isolate(each.title)} gave no value for ${each.missing} states: the training mean is used there.`);
    $("missing").textContent = gone.join(" ");

    const order = problems.map((problem, p) => ({ problem, p, gap: a.error[p] - b.error[p] })).sort((x, y) => x.gap - y.gap || x.p - y.p);
    const wins = [order.filter((each) => each.gap < 0).length, order.filter((each) => each.gap > 0).length];
    const equal = problems.length - wins[0] - wins[1];
    $("counts").replaceChildren(...[["first", names[0], wins[0]], ["second", names[1], wins[1]]].map(([kind, name, count]) =>
      make("li", {}, make("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", class: kind }, make("rect", { class: "dot", x: 2, y: 2, width: 12, height: 12 })),
        `${name} is better on ${count} of ${problems.length} problems`)), ...(equal ? [make("li", {}, `equal on ${equal}`)] : []));
    drawBars(order, names, wins);
    fill($("first-most"), order.filter((each) => each.gap < 0).slice(0, MOST), a, b);
    fill($("second-most"), order.filter((each) => each.gap > 0).slice(-MOST).reverse(), a, b);
    $("first-title").textContent = `Problems where ${names[0]} is better`;
    $("second-title").textContent = `Problems where ${names[1]} is better`;
    history.replaceState(null, "", `#${new URLSearchParams(state)}`);
  }

  function drawBars(order, names, wins) {
    const width = Math.max(300, $("bars").clientWidth), height = 300, left = 58, right = width - 8, top = 22, floor = height - 22;
    const low = Math.min(0, order[0].gap), high = Math.max(0, order.at(-1).gap), size = high - low || 1;
    const y = (value) => top + ((high - value) / size) * (floor - top), step = (right - left) / order.length;
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "skill-chart bars",
      "aria-label": `Difference of the mean squared error on each of ${order.length} problems, sorted: ${names[0]} is better on ${wins[0]}, ${names[1]} on ${wins[1]}. From ${signed(order[0].gap, 3)} to ${signed(order.at(-1).gap, 3)}.` });
    const unit = 10 ** Math.floor(Math.log10(size)), tick = size / unit > 5 ? 2 * unit : size / unit > 2 ? unit : unit / 2;
    for (let k = Math.ceil(low / tick); k * tick <= high; k++) {
      svg.append(make("line", { class: k ? "grid" : "zero", x1: left, x2: right, y1: y(k * tick), y2: y(k * tick) }));
      svg.append(make("text", { class: "tick", x: left - 8, y: y(k * tick) + 4, "text-anchor": "end" }, k ? signed(k * tick, Math.max(0, 1 - Math.floor(Math.log10(tick)))) : "0"));
    }
    order.forEach(({ problem, p, gap }, index) => {
      const tall = Math.max(0.5, Math.abs(y(gap) - y(0)));
      svg.append(make("rect", { class: `dot ${gap < 0 ? "first" : "second"}`, x: left + index * step, width: Math.max(0.4, step - (step > 4 ? 1 : 0)), y: gap > 0 ? y(0) - tall : y(0), height: tall },
        make("title", {}, `${problem.id}: ${signed(gap, 4)} (${figure(byName[state.a].error[p], 4)} against ${figure(byName[state.b].error[p], 4)}, ${problem.states} states)`)));
    });
    svg.append(make("text", { class: "tick", x: right, y: 12, "text-anchor": "end" }, `${cut(names[1], 40)} is better ↑`));
    svg.append(make("text", { class: "tick", x: left, y: height - 5 }, `↓ ${cut(names[0], 40)} is better`));
    $("bars").replaceChildren(svg);
  }
  function fill(body, list, a, b) {
    const line = ({ problem, p, gap }) => {
      const name = data.explored ? make("a", { href: `../explore/${data.suite}.html#${new URLSearchParams({ problem: problem.id })}` }, make("bdi", {}, problem.id)) : make("bdi", {}, problem.id);
      const head = make("th", { scope: "row" }, name, make("span", { class: "by question" }, make("bdi", {}, problem.question)));
      const cells = [signed(gap, 4), figure(a.error[p], 4), figure(b.error[p], 4), String(problem.states)].map((text) => make("td", { class: "figure" }, text));
      return make("tr", {}, head, ...cells);
    };
    body.replaceChildren(...(list.length ? list.map(line) : [make("tr", {}, make("td", { colspan: 5, class: "none" }, "On no problem."))]));
  }

  for (const key of ["a", "b"]) {
    for (const each of entries) $(key).append(make("option", { value: each.name }, each.title));
    $(key).addEventListener("change", () => {
      const other = key === "a" ? "b" : "a";
      state = { ...state, ...(state[other] === $(key).value ? { [other]: state[key] } : {}), [key]: $(key).value };
      draw();
    });
  }
  $("swap").addEventListener("click", () => { state = { a: state.b, b: state.a }; draw(); });
  addEventListener("hashchange", () => { readHash(); draw(); });
  readHash();
  draw();
  fitted($("bars"), draw);
})();
