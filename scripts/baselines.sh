#!/usr/bin/env bash
# Makes the built-ins' entries under submissions/ and the site anew, with the commands that any entrant uses.
# On all suites of the package, or on those that are named: scripts/baselines.sh smollm2-instruct
set -euo pipefail
cd "$(dirname "$0")/.."

sveb=.venv/bin/sveb
suites=("$@")
[ $# -gt 0 ] || suites=(ledger-nano smollm2-instruct smollm2-strategyqa)

while read -r estimator params; do
    [ -n "$estimator" ] || continue
    arguments=()
    name=$estimator
    for pair in $params; do
        arguments+=(--set "$pair")
        name=$name-$pair
    done
    for suite in "${suites[@]}"; do
        # A suite with fewer draws than an estimator needs has no entry of it.
        $sveb eval "$estimator" "${arguments[@]}" --suite "$suite" --no-baselines </dev/null || continue
        $sveb submit "runs/$suite/$name" --team SVEB --hardware "2 CPU cores" --training-data-disclosure yes </dev/null
    done
    $sveb verify "${name//=/-}" --write </dev/null || echo "not reproduced: $name"
done <<'LIST'
constant
group_mean
shrunk_mean
length
position
prefix_trie
text_similarity
numca
numca min_gap=0
numca min_gap=0 variant=official
kernel
confidence
answer_likelihood
probe
probe_group
stacked
mc k=1
mc k=4
mc k=9
mc k=16
mc_shrunk k=4
hista
hista variant=official
critic epochs=2
critic epochs=2 lam=0.95 target=gae
critic epochs=2 group=level
critic epochs=2 group=train
LIST
$sveb leaderboard build
