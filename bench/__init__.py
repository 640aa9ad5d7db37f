"""Speed and memory, as ratios against a named reference in the same run. Results go to bench/out/."""
