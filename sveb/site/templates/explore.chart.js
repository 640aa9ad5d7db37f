// The chart of one answer: the true value with its interval, and the chosen estimators' lines over it.
const traceChart = (() => {
  const DASHES = ["", "7 4", "2 4"];
  const LINES = 6;
  const dash = (slot) => DASHES[Math.floor(slot / LINES) % DASHES.length] || null;
  // Thousandths to a colour between the two ends, through the middle.
  function heat(v) {
    if (!finite(v)) return "var(--faint)";
    const share = Math.abs(v - 500) / 5;
    return `color-mix(in oklab, var(--heat-${v < 500 ? "low" : "high"}) ${share.toFixed(1)}%, var(--heat-mid))`;
  }
  function mark(slot, x, y) {
    const kind = slot % LINES, shapes = [
      `M${x - 4} ${y}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z`, `M${x - 4} ${y - 4}h8v8h-8Z`, `M${x} ${y - 5}L${x + 5} ${y + 4}H${x - 5}Z`,
      `M${x} ${y - 5}L${x + 5} ${y}L${x} ${y + 5}L${x - 5} ${y}Z`, `M${x} ${y + 5}L${x + 5} ${y - 4}H${x - 5}Z`, `M${x - 5} ${y - 1.6}h10v3.2h-10Z`,
    ];
    return make("path", { class: "mark", d: shapes[kind] });
  }
  function swatch(slot) {
    return make("svg", { viewBox: "0 0 30 14", class: `slot-${slot % LINES}`, "aria-hidden": "true" },
      make("line", { class: "estimate", x1: 1, x2: 29, y1: 7, y2: 7, "stroke-dasharray": dash(slot) }), mark(slot, 15, 7));
  }
  const cut = (text, length) => ([...text].length > length ? `${[...text].slice(0, Math.max(1, length - 1)).join("")}…` : text);
  // Runs of known points; a value that is not there leaves a gap.
  function runs(points) {
    const found = [[]];
    for (const point of points) if (point) found[found.length - 1].push(point); else if (found[found.length - 1].length) found.push([]);
    return found.filter((run) => run.length);
  }
  const path = (run) => `M${run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;

  // Labels at the right end, moved apart so that none covers another.
  function spread(labels, top, bottom) {
    const gap = 15;
    labels.sort((a, b) => a.y - b.y);
    labels.forEach((label, i) => { label.at = Math.max(label.y, i ? labels[i - 1].at + gap : top); });
    let limit = bottom;
    for (const label of [...labels].reverse()) { label.at = Math.min(label.at, limit); limit = label.at - gap; }
    return labels;
  }

  // nodes: {label, step, v, low, high, others: [v]}; lines: {slot, title, values}; end: {kind, text, v: thousandths or undefined}.
  function draw(host, { nodes, lines, end, selected, summary, pick }) {
    const width = Math.max(300, host.clientWidth), narrow = width < 620;
    const top = 22, plot = narrow ? 230 : 270, height = top + plot + (narrow ? 30 : 44);
    const left = 40, right = width - (narrow ? 88 : 190);
    const gap = (right - left) / (nodes.length + 0.4); // the outcome is the last place
    const x = (i) => left + gap * (i + 0.4), y = (v) => top + (1 - Math.min(1030, Math.max(-30, v)) / 1000) * plot;
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "trace-chart", "aria-label": summary });
    for (const [v, text] of [[0, "0"], [250, ".25"], [500, ".5"], [750, ".75"], [1000, "1"]]) {
      svg.append(make("line", { class: v % 1000 ? "grid half" : "grid", x1: left, x2: right, y1: y(v), y2: y(v) }), make("text", { x: left - 8, y: y(v) + 4, "text-anchor": "end" }, text));
    }
    svg.append(make("text", { x: 4, y: 11 }, "V(s), chance to end right"));
    if (selected >= 0) svg.append(make("rect", { class: "cursor", x: x(selected) - Math.min(gap * 0.5, 46), y: top - 6, width: Math.min(gap, 92), height: plot + 12, rx: 6 }));

    const known = nodes.map((node, i) => (finite(node.v) ? [x(i), y(node.v)] : null));
    const bands = runs(nodes.map((node, i) => (finite(node.low) && finite(node.high) ? [x(i), y(node.high), y(node.low)] : null)));
    for (const run of bands) {
      svg.append(make("path", { class: "band", d: `${path(run)}L${[...run].reverse().map(([a, , b]) => `${a.toFixed(1)} ${b.toFixed(1)}`).join("L")}Z` }));
    }
    nodes.forEach((node, i) => {
      for (const other of node.others.filter(finite)) {
        if (!finite(node.v)) continue;
        const to = [x(i) + gap * 0.62, y(other)];
        svg.append(make("path", { class: "branch", d: path([[x(i), y(node.v)], to]) }), make("circle", { class: "branch-dot", cx: to[0], cy: to[1], r: 3.6, style: `fill:${heat(other)}` }));
      }
    });
    const last = nodes.length - 1, labels = [], outcome = right - (narrow ? 4 : 34);
    if (end.v !== undefined && known[last]) svg.append(make("path", { class: "to-end", d: path([known[last], [outcome, y(end.v)]]) }));
    for (const run of runs(known)) svg.append(make("path", { class: "true", d: path(run) }));
    for (const { slot, title, values } of lines) {
      const points = values.map((v, i) => (finite(v) ? [x(i), y(v)] : null));
      const group = make("g", { class: `slot-${slot % LINES}` });
      for (const run of runs(points)) group.append(make("path", { class: "estimate", d: path(run), "stroke-dasharray": dash(slot) }));
      for (const [a, b] of points.filter(Boolean)) group.append(mark(slot, a, b));
      svg.append(group);
      const tail = points.findLast(Boolean);
      if (tail) labels.push({ x: tail[0], y: tail[1], text: title, class: "name", slot });
    }
    nodes.forEach((node, i) => { if (known[i]) svg.append(make("circle", { class: "true-dot", cx: known[i][0], cy: known[i][1], r: 6, style: `fill:${heat(node.v)}` })); });
    const tail = known.findLast(Boolean);
    if (tail) labels.push({ x: tail[0], y: tail[1], text: "true V(s)", class: "true-name" });
    for (const label of spread(labels, top + 4, top + plot)) {
      svg.append(make("path", { class: label.slot === undefined ? "leader" : `leader slot-${label.slot % LINES}`, d: `M${label.x + 8} ${label.y}L${right - 10} ${label.y}L${right + 8} ${label.at}` }));
      svg.append(make("text", { class: label.slot === undefined ? label.class : `${label.class} slot-${label.slot % LINES}`, direction: "ltr", x: right + 12, y: label.at + 4 },
        make("title", {}, label.text), isolate(cut(label.text, narrow ? 11 : 24))));
    }
    const height0 = end.v === undefined ? y(500) : y(end.v);
    svg.append(make("text", { class: `outcome ${end.kind}`, x: outcome, y: height0 + (end.v > 500 ? 20 : -10), "text-anchor": "middle" }, narrow ? end.text.slice(0, 1) : end.text));
    if (end.v !== undefined) svg.append(make("circle", { class: `outcome ${end.kind}`, cx: outcome, cy: height0, r: 4.5 }));
    // The fall to the selected step, beside its line.
    if (selected > 0 && known[selected] && known[selected - 1]) {
      const change = nodes[selected].v - nodes[selected - 1].v;
      if (change <= -50) {
        const at = x(selected) + 13, [a, b] = [known[selected - 1][1], known[selected][1]];
        svg.append(make("path", { class: "fall", d: `M${at} ${a}V${b - 2}M${at - 5} ${b - 8}L${at} ${b - 1}L${at + 5} ${b - 8}` }));
        const tight = at + 44 > right; // the labels begin there
        svg.append(make("text", { class: "fall-text", x: tight ? at - 6 : at + 8, y: (a + b) / 2 + 4, "text-anchor": tight ? "end" : "start" }, figure(change / 1000, 2).replace("0.", ".")));
      }
    }
    const room = Math.floor((gap - 6) / 7.4), worded = room >= 6;
    nodes.forEach((node, i) => {
      if (worded) svg.append(make("text", { class: "step-text", x: x(i), y: top + plot + 20, "text-anchor": "middle" }, isolate(cut(node.label, room))));
      const short = node.step === 0 ? (worded ? "start" : "0") : worded ? `step ${node.step}` : String(node.step);
      svg.append(make("text", { x: x(i), y: top + plot + (worded ? 38 : 20), "text-anchor": "middle" }, short));
      const hit = make("rect", { class: "hit", x: x(i) - gap / 2, y: top - 6, width: gap, height: plot + 46 }, make("title", {}, node.label));
      hit.addEventListener("click", () => pick(i));
      svg.append(hit);
    });
    host.replaceChildren(svg);
  }
  return { draw, heat, swatch };
})();
