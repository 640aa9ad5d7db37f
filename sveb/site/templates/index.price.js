// Accuracy against what it costs, on logarithmic axes; better is up. A cost or an error of 0 or less has a margin of its own.
sections.push((board) => {
  const COSTS = {
    wall: { title: "wall time a state", axis: "wall milliseconds a state", get: (row) => row.wall_ms, show: (value) => `${brief(value)} ms a state` },
    tokens: { title: "policy tokens a state", axis: "policy tokens a state, sampled and read", get: (row) => row.sampled + row.read, show: (value) => `${brief(value)} policy tokens a state` },
  };
  const ACCURACIES = {
    mse: { title: "MSE", axis: "MSE, smaller is up", up: false, places: 4 },
    worth: { title: "worth", axis: "worth in rollouts", up: true, places: 2 },
  };
  let state = { cost: "wall", accuracy: "mse" }, rows = [];
  const triple = (row) => row.metrics[state.accuracy] ?? [null, null, null];

  function frontier(points) {
    const { up } = ACCURACIES[state.accuracy];
    const better = (a, b) => (up ? a > b : a < b);
    const ordered = [...points].sort((a, b) => a.cost - b.cost || (better(a.value, b.value) ? -1 : 1));
    const found = [];
    for (const point of ordered) if (!found.length || better(point.value, found.at(-1).value)) found.push(point);
    return found;
  }

  // A logarithmic axis from pixel `from` to `to`; values of 0 and less stand at `aside`.
  function axis(values, from, to, aside) {
    const positive = values.filter((value) => value > 0);
    const low = Math.log10(Math.min(...positive)), high = Math.log10(Math.max(...positive));
    const room = Math.max(0.08, (high - low) * 0.06), start = low - room, size = high + room - start;
    const at = (value) => (value > 0 ? from + ((Math.log10(value) - start) / size) * (to - from) : aside);
    const steps = size > 2.2 ? [1] : size > 0.9 ? [1, 3] : [1, 1.5, 2, 3, 5, 7];
    const ticks = [];
    for (let power = Math.floor(start); power <= start + size; power++) {
      for (const step of steps) if (Math.log10(step) + power >= start && Math.log10(step) + power <= start + size) ticks.push(step * 10 ** power);
    }
    return { at, ticks, inside: (value) => Math.max(Math.min(from, to), Math.min(Math.max(from, to), at(value))) };
  }
  const tickText = (value) => (value >= 1000 ? value.toLocaleString("en") : String(Number(value.toPrecision(2))));

  function link(point, ...children) {
    const { row } = point, metric = ACCURACIES[state.accuracy];
    const text = `${row.title}: ${metric.title} ${figure(point.value, metric.places)} ${span(point.low, point.high, metric.places)}, ${COSTS[state.cost].show(point.cost)}`;
    const anchor = document.createElementNS("http://www.w3.org/2000/svg", "a");
    anchor.setAttribute("href", `entries/${row.name}.html#${board.suite().key}`);
    anchor.setAttribute("class", `class-${classOf(row).key}${point.best ? " best" : ""}`);
    anchor.setAttribute("tabindex", "-1"); // by keyboard: the list beneath, and the table
    anchor.setAttribute("data-name", row.name);
    anchor.append(make("title", {}, text), ...children);
    return anchor;
  }

  function draw(chosen) {
    rows = chosen;
    $("price-cost").value = state.cost;
    $("price-accuracy").value = state.accuracy;
    const metric = ACCURACIES[state.accuracy], cost = COSTS[state.cost];
    const points = rows.map((row) => { const [value, low, high] = triple(row); return { row, value, low, high, cost: cost.get(row) }; })
      .filter((point) => finite(point.value) && finite(point.cost));
    const missing = rows.length - points.length;
    if (!points.some((point) => point.cost > 0) || !points.some((point) => point.value > 0)) {
      $("price-chart").replaceChildren(make("p", { class: "muted" }, `No entry shown has both a ${metric.title} and a cost above 0.`));
      $("price-best").replaceChildren();
      $("price-note").textContent = "";
      return;
    }
    const best = frontier(points);
    for (const point of best) point.best = true;

    const width = Math.max(300, $("price-chart").clientWidth), narrow = width < 620, height = narrow ? 380 : 440;
    const free = points.some((point) => point.cost <= 0), perfect = !metric.up && points.some((point) => point.value <= 0);
    const left = 54 + (free ? 40 : 0), right = width - 18, top = 16 + (perfect ? 30 : 0), floor = height - 48;
    const x = axis(points.map((point) => point.cost), left, right, 72);
    const y = axis(points.map((point) => point.value), metric.up ? floor : top, metric.up ? top : floor, 22);
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", class: "skill-chart price",
      "aria-label": `${metric.title} against ${cost.title}, ${points.length} entries. On the frontier, cheapest first: ${best.map((point) => `${point.row.title}, ${metric.title} ${figure(point.value, metric.places)} at ${cost.show(point.cost)}`).join("; ")}.` });
    for (const tick of x.ticks) {
      svg.append(make("line", { class: "grid", x1: x.at(tick), x2: x.at(tick), y1: top, y2: floor }));
      svg.append(make("text", { class: "tick", x: x.at(tick), y: floor + 18, "text-anchor": "middle" }, tickText(tick)));
    }
    for (const tick of y.ticks) {
      svg.append(make("line", { class: "grid", x1: left, x2: right, y1: y.at(tick), y2: y.at(tick) }));
      svg.append(make("text", { class: "tick", x: 46, y: y.at(tick) + 4, "text-anchor": "end" }, tickText(tick)));
    }
    if (free) svg.append(make("text", { class: "tick", x: 72, y: floor + 18, "text-anchor": "middle" }, "0"), make("line", { class: "reference", x1: left - 6, x2: left - 6, y1: 8, y2: floor }));
    if (perfect) svg.append(make("text", { class: "tick", x: 46, y: 26, "text-anchor": "end" }, "≤ 0"), make("line", { class: "reference", x1: 54, x2: right, y1: top - 6, y2: top - 6 }));
    svg.append(make("text", { class: "tick", x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }, cost.axis));
    svg.append(make("text", { class: "tick", transform: `translate(12 ${(top + floor) / 2}) rotate(-90)`, "text-anchor": "middle" }, metric.axis));

    // The frontier as steps: the best accuracy that a cost buys.
    const steps = best.map((point, index) => `${index ? `H${x.at(point.cost)}V` : `M${x.at(point.cost)} `}${y.at(point.value)}`).join("");
    svg.append(make("path", { class: "frontier", d: `${steps}H${right}` }));
    for (const point of points) {
      if (finite(point.low) && finite(point.high)) svg.append(make("line", { class: `whisker class-${classOf(point.row).key}`, x1: x.at(point.cost), x2: x.at(point.cost), y1: y.inside(point.low), y2: y.inside(point.high) }));
    }
    const boxes = points.map((point) => [x.at(point.cost) - 6, y.at(point.value) - 6, x.at(point.cost) + 6, y.at(point.value) + 6]);
    const apart = (a, b) => a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
    for (const point of [...best, ...points.filter((each) => !each.best)]) {
      const at = [x.at(point.cost), y.at(point.value)], text = cut(point.row.title, narrow ? 18 : 28), long = [...text].length * 6.9 + 4;
      const anchor = link(point, shape(classOf(point.row).key, ...at));
      const places = [["start", 10, 4], ["end", -10, 4], ["middle", 0, -11], ["middle", 0, 19]];
      for (const [side, dx, dy] of places) {
        const from = at[0] + dx - (side === "end" ? long : side === "middle" ? long / 2 : 0);
        const box = [from, at[1] + dy - 11, from + long, at[1] + dy + 3];
        if (box[0] < 50 || box[2] > width || box[1] < 0 || box[3] > floor || !boxes.every((other) => apart(box, other))) continue;
        boxes.push(box);
        anchor.append(make("text", { class: "label", direction: "ltr", x: at[0] + dx, y: at[1] + dy, "text-anchor": side }, isolate(text)));
        break;
      }
      svg.append(anchor);
    }
    $("price-chart").replaceChildren(svg);
    $("price-best").replaceChildren(...best.map((point) => make("li", {},
      make("a", { href: `entries/${point.row.name}.html#${board.suite().key}` }, make("bdi", {}, point.row.title)),
      make("span", { class: "by" }, `${metric.title} ${figure(point.value, metric.places)}, ${cost.show(point.cost)}`))));
    const labelled = svg.querySelectorAll(".label").length;
    $("price-note").textContent = [labelled < points.length ? "Points without a name had no room for it: point at one to read it." : "",
      missing ? `${missing} ${missing === 1 ? "entry has" : "entries have"} no ${metric.title} and ${missing === 1 ? "is" : "are"} not drawn.` : ""].filter(Boolean).join(" ");
  }

  const change = (key) => (value) => { state[key] = value; draw(rows); board.changed(); };
  chooser($("price-cost"), COSTS, change("cost"));
  chooser($("price-accuracy"), ACCURACIES, change("accuracy"));
  drawLegend($("price-legend"));
  fitted($("price-chart"), () => draw(rows));
  return {
    draw,
    read(given) {
      const known = (name, choices, fallback) => (Object.hasOwn(choices, given.get(name) ?? "") ? given.get(name) : fallback);
      state = { cost: known("cost", COSTS, "wall"), accuracy: known("accuracy", ACCURACIES, "mse") };
    },
    write(parts) {
      if (state.cost !== "wall") parts.set("cost", state.cost);
      if (state.accuracy !== "mse") parts.set("accuracy", state.accuracy);
    },
  };
});
