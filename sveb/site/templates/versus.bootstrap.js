// Intervals as the scorer makes them: problems are resampled, BCa, levels widened by Student's t. The seed is fixed.
const bootstrap = (() => {
  const REPLICATES = 2000;
  // The normal distribution: Abramowitz and Stegun 26.2.17, error below 1e-7, and its inverse by bisection.
  function normal(x) {
    if (x < 0) return 1 - normal(-x);
    const t = 1 / (1 + 0.2316419 * x);
    const tail = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
    return 1 - (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * tail;
  }
  function quantile(p) {
    let low = -9, high = 9;
    for (let i = 0; i < 60; i++) { const middle = (low + high) / 2; if (normal(middle) < p) low = middle; else high = middle; }
    return (low + high) / 2;
  }

  function interval(value, replicates, jackknife, z) {
    const sorted = replicates.filter(finite).sort((a, b) => a - b), count = sorted.length;
    if (!finite(value) || !finite(z) || count < replicates.length) return [value, null, null];
    const below = sorted.filter((each) => each < value).length, level = sorted.filter((each) => each === value).length;
    const edge = 1 / (2 * count), shift = quantile(Math.min(Math.max((below + level / 2) / count, edge), 1 - edge));
    const mean = jackknife.reduce((sum, each) => sum + each, 0) / jackknife.length;
    let squares = 0, cubes = 0;
    for (const each of jackknife) { squares += (mean - each) ** 2; cubes += (mean - each) ** 3; }
    const acceleration = squares > 0 && finite(cubes) ? cubes / squares ** 1.5 / 6 : 0;
    const [low, high] = [-z, z].map((end) => normal(shift + (shift + end) / Math.max(1 - acceleration * (shift + end), 1e-3)));
    return [value, sorted[Math.floor(low * (count - 1))], sorted[Math.ceil(high * (count - 1))]];
  }

  // Intervals of each statistic of the `sums` over problems; `columns`: lists of a figure a problem.
  return function bootstrap(columns, statistics, z) {
    const size = columns[0].length, random = generator(1);
    const whole = columns.map((column) => column.reduce((sum, each) => sum + each, 0));
    const draws = statistics.map(() => []), without = statistics.map(() => []);
    for (let r = 0; r < REPLICATES; r++) {
      const sums = columns.map(() => 0);
      for (let i = 0; i < size; i++) {
        const at = Math.floor(random() * size);
        for (let c = 0; c < columns.length; c++) sums[c] += columns[c][at];
      }
      statistics.forEach((statistic, s) => draws[s].push(statistic(sums)));
    }
    for (let i = 0; i < size; i++) {
      const sums = columns.map((column, c) => whole[c] - column[i]);
      statistics.forEach((statistic, s) => without[s].push(statistic(sums)));
    }
    return statistics.map((statistic, s) => interval(statistic(whole), draws[s], without[s], z));
  };
})();
