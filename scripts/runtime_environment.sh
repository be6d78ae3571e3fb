#!/bin/sh
# The environment of tests/fallback: a Python with PyTorch, transformers, FastAPI and the openai package.
#
#   sh scripts/runtime_environment.sh             into WINVLLM_TEST_CACHE (build/test-cache), where the tests look
#   sh scripts/runtime_environment.sh FOLDER      elsewhere: name FOLDER/bin/python in WINVLLM_TEST_RUNTIME_PYTHON
#
# PYTHON names another Python (>= 3.10) than python3.11 or python3. Only a PyTorch without CUDA is taken, where pip's
# settings lead to one: the other is 3 GB.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
folder=${1:-${WINVLLM_TEST_CACHE:-$root/build/test-cache}/runtime}
python=${PYTHON:-$(command -v python3.11 || echo python3)}
wanted=$(cksum <"$root/tests/fallback/requirements.txt")

fail() {
    printf 'runtime_environment: error: %s\nfix: %s\n' "$1" "$2" >&2
    exit 4
}

if [ "$(cat "$folder/runtime.state" 2>/dev/null)" = "$wanted" ]; then
    echo "$folder is up to date"
    exit 0
fi
"$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    fail "$python is no Python >= 3.10 that can make environments" "install one and name it: PYTHON=... sh $0"
[ ! -e "$folder" ] || [ -f "$folder/pyvenv.cfg" ] ||
    fail "$folder exists and is no environment" "name another folder: sh $0 FOLDER"
mkdir -p "$folder"
rm -f "$folder/runtime.state"
"$python" -m venv "$folder"

pip_install() {
    "$folder/bin/python" -m pip install --disable-pip-version-check --no-input -qq "$@" ||
        fail "pip could not install tests/fallback/requirements.txt" \
            "read the lines above; check pip's index settings (pip config list)"
}

pip_install --dry-run --no-deps --report "$folder/torch.json" "$(grep '^torch==' "$root/tests/fallback/requirements.txt")"
! grep -qE '"(nvidia|cuda)-' "$folder/torch.json" ||
    fail "pip's settings lead to a PyTorch for CUDA" "add an index that has one without: PIP_EXTRA_INDEX_URL=..., or PIP_FIND_LINKS=FOLDER"
pip_install --requirement "$root/tests/fallback/requirements.txt"
printf '%s\n' "$wanted" >"$folder/runtime.state"
echo "$folder is ready"
