# make demo   set-up, then generate, eval and leaderboard on the embedded policy
# make test   set-up, then all tests
# make quick  set-up, then the tests for daily work: no engine, no browser, nothing slow
# make docs   set-up, then the documentation site in docs-site/
.PHONY: setup demo test quick coverage check docs bench clean

SVEB := .venv/bin/sveb
SUITE := suites/ledger-nano-demo
EVAL := $(SVEB) eval --suite $(SUITE) --runs demo/runs

setup:
	@scripts/setup.sh

demo: setup
	@echo "[demo] a small suite, four estimators and a leaderboard: one to three minutes on two cores"
	$(SVEB) generate --model nano --size demo --out $(SUITE)
	$(EVAL) numca --set variant=official --no-baselines
	$(EVAL) probe --no-baselines
	$(EVAL) mc --set k=4 --no-baselines
	$(EVAL) examples/my_estimator.py
	$(SVEB) submit demo/runs/ledger-nano-demo/* --submissions demo/submissions
	$(SVEB) leaderboard build --submissions demo/submissions --out demo/leaderboard
	@echo "open demo/leaderboard/index.html, or: $(SVEB) leaderboard serve --folder demo/leaderboard"

# Two at a time: the tests keep to one thread each. A file stays with one worker, so that its fixtures are made once.
test: setup
	.venv/bin/python -m pytest -n 2 --dist loadfile

quick: setup
	.venv/bin/python -m pytest -n 2 --dist loadfile -m "not slow and not engine and not browser"

# Runs all tests; prints the share of each room's lines and branches that they reach.
coverage: setup
	.venv/bin/python -m pytest -n 2 --dist loadfile --cov --cov-report=
	@for room in $(dir $(wildcard sveb/*/__init__.py)); do \
	  printf '%-18s' "$$room"; .venv/bin/coverage report --include="$$room*.py" --format=total; done
	@printf '%-18s' sveb; .venv/bin/coverage report --format=total

check: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

# The documentation site; open docs-site/index.html.
docs: setup
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --quiet

bench: setup
	.venv/bin/python -m bench.generate
	.venv/bin/python -m bench.truth_stage
	.venv/bin/python -m bench.memory
	.venv/bin/python -m bench.kill
	.venv/bin/python -m bench.grading
	.venv/bin/python -m bench.start
	.venv/bin/python -m bench.hista
	.venv/bin/python -m bench.estimators
	.venv/bin/python -m bench.score
	.venv/bin/python -m bench.learning_curves
	.venv/bin/python -m bench.held_out
	.venv/bin/python -m bench.stages
	.venv/bin/python -m bench.page

clean:
	rm -rf .venv demo docs-site $(SUITE) runs bench/out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
