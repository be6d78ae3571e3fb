#!/bin/sh
# Every check of this checkout, in an environment of its own (.venv-test): ruff, mypy, pytest.
#
#   sh scripts/test.sh                           everything but tests marked `long`: the fast tests, then tests/winsim
#   sh scripts/test.sh tests/unit -k profile     arguments go to pytest, which then runs once
#
# Needs git, a C++ compiler and Python >= 3.10 (PYTHON names another one than python3).
# On CI the environment of tests/winsim (scripts/winsim_environment.sh) is made beside what is before pytest; it serves
# tests/fallback and tests/relay as well, and where it cannot be had theirs is tried (scripts/runtime_environment.sh).
# WINVLLM_TEST_JOBS (2): pytest processes.
# WINVLLM_TEST_CACHE (build/test-cache): what is downloaded and made once; a CI that keeps it has it at once.
set -u
. "$(dirname -- "$0")/environment.sh"

begin test
need_programs
find_python

cache=${WINVLLM_TEST_CACHE:-$root/build/test-cache}
case $cache in /*) ;; *) cache=$root/$cache ;; esac

# make_engines: what the scripts say is the reason that the tests skip with
make_engines() {
    export WINVLLM_TEST_CACHE="$cache"
    # shellcheck disable=SC2154 # set by find_python
    winsim_python=$python
    ! python3.11 -c '' 2>/dev/null || winsim_python=python3.11
    PYTHON=$winsim_python sh "$root/scripts/winsim_environment.sh" >"$cache/winsim.log" 2>&1 ||
        sh "$root/scripts/runtime_environment.sh" >"$cache/runtime.log" 2>&1
}

engines=
if [ -n "${CI:-}" ] && [ -z "${WINVLLM_TEST_RUNTIME_PYTHON:-}${WINVLLM_TEST_WINSIM_PYTHON:-}" ]; then
    mkdir -p "$cache"
    rm -f "$cache/winsim.log" "$cache/runtime.log"
    make_engines 9>&- &
    engines=$!
fi

make_environment "$root/.venv-test" "[lint,test]"

bin=$root/.venv-test/bin
cd "$root" || exit 5
failed=

check() {
    say "$*"
    command=$1
    shift
    "$bin/$command" "$@" 9>&- || failed="$failed, $command${1:+ $1}"
}

run_pytest() {
    say "pytest -n ${WINVLLM_TEST_JOBS:-2} --dist loadfile $*"
    "$bin/python" -m pytest -n "${WINVLLM_TEST_JOBS:-2}" --dist loadfile "$@" 9>&-
    code=$?
    [ "$status" -ne 0 ] || status=$code
}

check ruff check .
check ruff format --check .
check mypy
check mypy --platform win32 winvllm_build
if [ -n "$engines" ]; then
    wait "$engines" || true
    for log in "$cache/winsim.log" "$cache/runtime.log"; do
        [ ! -f "$log" ] || say "$(tail -n 2 "$log" | tr '\n' ' ')"
    done
fi

status=0
if [ $# -gt 0 ]; then
    run_pytest "$@"
else
    run_pytest --ignore=tests/winsim
    fast=$status
    run_pytest -m "not long" tests/winsim
    say "pytest ended with $fast for the fast tests, with $code for tests/winsim"
fi
if [ -n "$failed" ]; then
    printf 'test: error: failed before pytest: %s (see above)\n' "${failed#, }" >&2
    [ "$status" -ne 0 ] || status=1
fi
exit "$status"
