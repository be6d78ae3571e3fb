#!/bin/sh
# The environment of tests/wine: Windows' CPython 3.11 and the packages of pyproject.toml as Windows' wheels.
#
#   sh scripts/wine_environment.sh             into WINVLLM_TEST_CACHE (build/test-cache), where the tests look
#   sh scripts/wine_environment.sh FOLDER      elsewhere: name FOLDER in WINVLLM_TEST_WINE
#
# Needs wine64 and the environment of scripts/test.sh (PYTHON names another Python that has this checkout).
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
folder=${1:-${WINVLLM_TEST_CACHE:-$root/build/test-cache}/wine}
python=${PYTHON:-$root/.venv-test/bin/python}

fail() {
    printf 'wine_environment: error: %s\nfix: %s\n' "$1" "$2" >&2
    exit 4
}

command -v wine64 >/dev/null 2>&1 || command -v wine >/dev/null 2>&1 || [ -x /usr/lib/wine/wine64 ] ||
    fail "Wine for 64-bit programs is not installed" "apt-get install --no-install-recommends wine64   (as root)"
"$python" -c 'import winvllm_build' 2>/dev/null ||
    fail "$python has not this checkout" "sh scripts/test.sh tests/unit/test_data.py, or PYTHON=... sh $0"
mkdir -p "$(dirname -- "$folder")"
folder=$(CDPATH='' cd -- "$(dirname -- "$folder")" && pwd -P)/$(basename -- "$folder")
cd "$root"
exec "$python" -m tests.wine.environment "$folder"
