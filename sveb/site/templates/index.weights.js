// A ranking by weights of the reader's own, and how far it hangs on them.
sections.push((board) => {
  const DEFAULTS = { mse: 1, mae_raw: 0, r2_within: 1, spearman_within: 0, order_steps: 1, order_siblings: 1, ece: 1 };
  const FIRST = 25, MOST = 4, REPLICATES = 400;
  const metrics = board.data.metrics.filter((metric) => Object.hasOwn(DEFAULTS, metric.id));
  const defaults = () => Object.fromEntries(metrics.map((metric) => [metric.id, DEFAULTS[metric.id]]));
  let weights = defaults(), all = false, rows = [], scales = {}, scaled = "";
  const value = (row, id) => (row.metrics[id] ?? [null])[0];

  // Of a metric over all entries of the suite: its median, and a robust standard deviation.
  function scale(id) {
    const values = board.suite().rows.map((row) => value(row, id)).filter(finite).sort((a, b) => a - b);
    const middle = (list) => (list.length ? (list[(list.length - 1) >> 1] + list[list.length >> 1]) / 2 : 0);
    const median = middle(values), spread = 1.4826 * middle(values.map((each) => Math.abs(each - median)).sort((a, b) => a - b));
    return { median, spread: spread > 0 ? spread : 1 };
  }
  function standard(row) {
    return metrics.map(({ id, direction }) => {
      const figure = value(row, id), { median, spread } = scales[id];
      return finite(figure) ? Math.max(-3, Math.min(3, ((figure - median) / spread) * (direction === "up" ? 1 : -1))) : null;
    });
  }
  // Places by a list of weights, of entries that have every metric that counts: equal scores share a place.
  function places(points, list, whole) {
    const scores = points.map((point) => list.reduce((sum, weight, m) => sum + (weight ? weight * point[m] : 0), 0) / whole);
    const order = scores.map((score, index) => [score, index]).sort((a, b) => b[0] - a[0]);
    const place = new Array(points.length);
    order.forEach(([score, index], k) => { place[index] = k && score === order[k - 1][0] ? place[order[k - 1][1]] : k + 1; });
    return { scores, place };
  }
  const total = (list) => list.reduce((sum, each) => sum + each, 0);

  function draw(chosen) {
    rows = chosen;
    if (scaled !== board.suite().key) { scaled = board.suite().key; scales = Object.fromEntries(metrics.map(({ id }) => [id, scale(id)])); }
    for (const { id } of metrics) {
      $(`weight-${id}`).value = weights[id];
      $(`weight-${id}`).parentElement.querySelector("output").value = String(weights[id]);
    }
    const list = metrics.map(({ id }) => weights[id]), whole = total(list);
    const entries = rows.map((row) => ({ row, point: standard(row) }));
    const scored = whole ? entries.filter(({ point }) => list.every((weight, m) => !weight || finite(point[m]))) : [];
    const lines = scored.length ? weighed(scored, list, whole) : [];
    const without = whole ? entries.filter((each) => !scored.includes(each)).map(({ row, point }) => ({ row, lacks: metrics.filter((_, m) => list[m] && !finite(point[m])).map((metric) => metric.title) })) : [];
    const found = [...lines, ...without], shown = all ? found : found.slice(0, FIRST);
    $("weighted").tBodies[0].replaceChildren(...(shown.length ? shown.map((each) => (each.lacks ? bare(each) : line(each, lines.length)))
      : [make("tr", {}, make("td", { colspan: 6, class: "none" }, whole ? "No entry matches." : "Give at least one metric a weight."))]));
    $("weights-more").hidden = found.length <= FIRST;
    $("weights-more").textContent = all ? `Show the first ${FIRST}` : `Show all ${found.length}`;
  }

  function weighed(scored, list, whole) {
    const points = scored.map(({ point }) => point), { scores, place } = places(points, list, whole), random = generator(1);
    const seen = points.map(() => []);
    let kept = 0;
    const first = place.indexOf(1);
    for (let r = 0; r < REPLICATES; r++) {
      const other = list.map((weight) => weight * 2 ** (2 * random() - 1));
      const drawn = places(points, other, total(other)).place;
      drawn.forEach((each, index) => seen[index].push(each));
      kept += drawn[first] === 1;
    }
    const dropped = metrics.map((metric, m) => ({ metric, list: list.map((weight, k) => (k === m ? 0 : weight)) }))
      .filter((each, m) => list[m] && total(each.list)).map((each) => ({ title: each.metric.title, place: places(points, each.list, total(each.list)).place }));
    const best = scored[first].row;
    const fragile = dropped.filter((each) => each.place[first] !== 1).map((each) => each.title);
    $("weights-told").textContent = `${isolate(best.title)} comes first. It stays first in ${Math.round((100 * kept) / REPLICATES)} % of ${REPLICATES} random changes of the weights, each halved to doubled`
      + `${!dropped.length ? "" : fragile.length ? `, and loses its place without ${fragile.join(" or ")}` : ", and whichever metric is left out"}.`;
    return scored.map(({ row }, index) => {
      const sorted = Int32Array.from(seen[index]).sort();
      const without = dropped.map((each) => each.place[index]), moves = without.map((each) => Math.abs(each - place[index]));
      const most = moves.length ? moves.indexOf(Math.max(...moves)) : -1;
      return { row, place: place[index], score: scores[index], low: sorted[Math.floor(0.025 * (REPLICATES - 1))], high: sorted[Math.ceil(0.975 * (REPLICATES - 1))],
        least: Math.min(...without), greatest: Math.max(...without), most: moves[most] > 0 ? `${dropped[most].title}: ${without[most]}` : "" };
    }).sort((a, b) => a.place - b.place || (a.row.name < b.row.name ? -1 : 1));
  }

  const range = (low, high) => (low === high ? String(low) : `${low}–${high}`);
  const name = (row) => make("th", { scope: "row" }, make("a", { href: `entries/${row.name}.html#${board.suite().key}` }, make("bdi", {}, row.title)));
  const byMse = (row) => make("td", { class: "figure" }, row.rank === null ? "n/a" : String(row.rank));
  function line(each, count) {
    const sensitivity = make("td", {}, range(each.low, each.high)), at = (place) => within(place, [1, Math.max(2, count)]);
    drawBar(sensitivity, at(each.low), at(each.high), at(each.place));
    const drop = Number.isFinite(each.least) ? range(each.least, each.greatest) : "n/a";
    return make("tr", {}, make("td", { class: "rank" }, String(each.place)), name(each.row), make("td", { class: "figure" }, figure(each.score, 2)),
      sensitivity, make("td", {}, drop, make("span", { class: "by" }, each.most ? `without ${each.most}` : "")), byMse(each.row));
  }
  function bare({ row, lacks }) {
    return make("tr", {}, make("td", { class: "rank na" }, "n/a"), name(row), make("td", { class: "na", colspan: 3 }, `no score: it has no ${lacks.join(", no ")}`), byMse(row));
  }

  for (const metric of metrics) {
    const slider = make("input", { id: `weight-${metric.id}`, type: "range", min: 0, max: MOST, step: 0.5 });
    slider.addEventListener("input", () => { weights = { ...weights, [metric.id]: Number(slider.value) }; draw(rows); board.changed(); });
    $("weights").append(make("label", { title: metric.definition }, make("span", {}, metric.title), slider, make("output", {})));
  }
  $("weights-more").addEventListener("click", () => { all = !all; draw(rows); });
  $("weights-reset").addEventListener("click", () => { weights = defaults(); draw(rows); board.changed(); });
  return {
    draw,
    read(given) {
      weights = defaults();
      for (const pair of (given.get("weights") ?? "").split(",")) {
        const [id, text] = pair.split(":");
        if (Object.hasOwn(weights, id) && /^[0-4](\.5)?$/.test(text ?? "") && Number(text) <= MOST) weights[id] = Number(text);
      }
    },
    write(parts) {
      const changed = metrics.filter(({ id }) => weights[id] !== DEFAULTS[id]).map(({ id }) => `${id}:${weights[id]}`);
      if (changed.length) parts.set("weights", changed.join(","));
    },
  };
});
