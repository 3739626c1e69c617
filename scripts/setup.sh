#!/usr/bin/env sh
# Makes a virtual environment and installs the project in it: setup.sh [EXTRA].
# UNSEEN_VENV names another folder for it, PYTHON another interpreter (3.11 or newer).
set -eu
cd "$(dirname "$0")/.."
venv=${UNSEEN_VENV:-.venv}
if [ ! -x "$venv/bin/python" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints/cpu.txt -e ".${1:+[$1]}"
