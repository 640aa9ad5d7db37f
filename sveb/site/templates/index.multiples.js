// One card an entry, all on the same axes: its reliability, and its error along an answer.
sections.push((board) => {
  const FIRST = 12, SIZE = 150, LEFT = 26, RIGHT = 144, TOP = 8, FLOOR = 128;
  const x = (share) => LEFT + within(share, [0, 1]) * (RIGHT - LEFT), y = (share) => FLOOR - within(share, [0, 1]) * (FLOOR - TOP);
  let all = false, rows = [];

  function plane(label, ...parts) {
    return make("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", class: "twin", "aria-label": label }, make("rect", { class: "frame", x: LEFT, y: TOP, width: RIGHT - LEFT, height: FLOOR - TOP }), ...parts);
  }
  const text = (words, at, floor, anchor = "middle") => make("text", { x: at, y: floor, "text-anchor": anchor }, words);
  const whisker = (at, low, high) => (finite(low) && finite(high) ? [make("line", { class: "whisker", x1: at, x2: at, y1: y(low), y2: y(high) })] : []);

  function reliability(row) {
    const bins = row.bins.map((bin) => bin.map((value) => (finite(value) ? value / 1000 : null)));
    const words = bins.map(([predicted, truth]) => `predicted ${figure(predicted, 2)}, true ${figure(truth, 2)}`).join("; ");
    return plane(`Reliability of ${row.title}: ${words}.`,
      make("line", { class: "reference", x1: x(0), x2: x(1), y1: y(0), y2: y(1) }),
      ...bins.flatMap(([predicted, , low, high]) => whisker(x(predicted), low, high)),
      make("polyline", { class: "thread", points: bins.map(([predicted, truth]) => `${x(predicted)},${y(truth)}`).join(" ") }),
      ...bins.map(([predicted, truth]) => make("circle", { class: "dot", cx: x(predicted), cy: y(truth), r: 2.6 })),
      text("0", LEFT, FLOOR + 14), text("prediction", (LEFT + RIGHT) / 2, FLOOR + 14), text("1", RIGHT, FLOOR + 14), text("1", LEFT - 6, TOP + 9, "end"), text("0", LEFT - 6, FLOOR, "end"));
  }
  function thirds(row, top, places) {
    const words = row.thirds.map(([label, value, low, high]) => `${label}: ${finite(value) ? `${figure(value, 4)} ${span(low, high, 4)}` : "n/a"}`).join("; ");
    const wide = (RIGHT - LEFT) / row.thirds.length, share = (value) => (finite(value) ? value / top : null);
    const bars = row.thirds.flatMap(([, value, low, high], index) => {
      if (!finite(value)) return [];
      const at = LEFT + (index + 0.5) * wide, tall = FLOOR - y(share(value));
      return [make("rect", { class: "bar", x: at - wide * 0.32, width: wide * 0.64, y: FLOOR - tall, height: tall }), ...whisker(at, share(low), share(high)),
        ...(value > top ? [text("▲", at, TOP + 9)] : [make("circle", { class: "dot", cx: at, cy: y(share(value)), r: 2.6 })])];
    });
    return plane(`MSE of ${row.title} along an answer: ${words}.`, ...bars,
      text("start", LEFT, FLOOR + 14, "start"), text("end", RIGHT, FLOOR + 14, "end"), text(end(top, places), LEFT - 3, TOP + 9, "end"), text("0", LEFT - 6, FLOOR, "end"));
  }

  function draw(chosen) {
    rows = chosen;
    // The scale rests on all entries of the suite: a filter does not move it.
    const highest = domain(board.suite().rows.flatMap((row) => row.thirds.map(([, ...triple]) => triple)))[1];
    const unit = 10 ** Math.floor(Math.log10(Math.max(highest, 1e-6))), top = Math.ceil((highest / unit) * 2 - 1e-9) / 2 * unit;
    const places = Math.max(0, 1 - Math.floor(Math.log10(top)));
    const shown = all ? rows : rows.slice(0, FIRST);
    const missing = () => make("p", { class: "by" }, "Its states are not at hand.");
    $("multiples").replaceChildren(...shown.map((row) => make("li", { class: `class-${classOf(row).key}` },
      make("a", { href: `entries/${row.name}.html#${board.suite().key}`, title: row.title }, make("bdi", {}, row.title)),
      make("div", { class: "twins" }, row.bins.length ? reliability(row) : missing(), row.thirds.length ? thirds(row, top, places) : missing()))));
    if (!rows.length) $("multiples").replaceChildren(make("li", { class: "muted" }, "No entry matches."));
    $("multiples-more").hidden = rows.length <= FIRST;
    $("multiples-more").textContent = all ? `Show the first ${FIRST}` : `Show all ${rows.length}`;
  }

  $("multiples-more").addEventListener("click", () => { all = !all; draw(rows); });
  return { draw, read() {}, write() {} };
});
