#!/bin/sh
# The environment of tests/winsim: a Python 3.11 with PyTorch and what vLLM imports, about 2.8 GB and two minutes.
#
#   sh scripts/winsim_environment.sh             into WINVLLM_TEST_CACHE (build/test-cache), where the tests look
#   sh scripts/winsim_environment.sh FOLDER      elsewhere: name FOLDER/bin/python in WINVLLM_TEST_WINSIM_PYTHON
#
# PYTHON names another Python 3.11 than python3.11.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
folder=${1:-${WINVLLM_TEST_CACHE:-$root/build/test-cache}/winsim}
python=${PYTHON:-python3.11}
wanted=$(cksum <"$root/tests/winsim/requirements.txt")

fail() {
    printf 'winsim_environment: error: %s\nfix: %s\n' "$1" "$2" >&2
    exit 4
}

if [ "$(cat "$folder/winsim.state" 2>/dev/null)" = "$wanted" ]; then
    echo "$folder is up to date"
    exit 0
fi
"$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null ||
    fail "$python is no Python 3.11 that can make environments" "install one and name it: PYTHON=... sh $0"
[ ! -e "$folder" ] || [ -f "$folder/pyvenv.cfg" ] ||
    fail "$folder exists and is no environment" "name another folder: sh $0 FOLDER"
mkdir -p "$folder"
rm -f "$folder/winsim.state"
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --disable-pip-version-check --no-input --quiet \
    --requirement "$root/tests/winsim/requirements.txt" ||
    fail "pip could not install tests/winsim/requirements.txt" "read the lines above; check pip's index settings (pip config list)"
printf '%s\n' "$wanted" >"$folder/winsim.state"
echo "$folder is ready"
