#!/usr/bin/env sh
# The main job on the embedded sample: fit, score and evaluate, with a report to look at.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh
exec "${UNSEEN_VENV:-.venv}/bin/unseen" demo --out out/demo "$@"
