#!/usr/bin/env sh
# Everything that CI checks: style, types, import directions, tests.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh dev
bin=${UNSEEN_VENV:-.venv}/bin
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
"$bin/lint-imports"
exec "$bin/python" -m pytest -n "${UNSEEN_TEST_WORKERS:-2}" "$@"
