#!/bin/sh
# Every check of this checkout, in an environment of its own (.venv-test): ruff, mypy, pytest.
#
#   sh scripts/test.sh                           everything
#   sh scripts/test.sh tests/unit -k profile     arguments go to pytest
#
# Needs git, a C++ compiler and Python >= 3.10 (PYTHON names another one than python3).
# On CI the environment of tests/fallback (scripts/runtime_environment.sh) is made beside ruff and mypy, where pip can.
# WINVLLM_TEST_JOBS (2): pytest processes. WINVLLM_TEST_CACHE (build/test-cache): what slow tests download once.
set -u
. "$(dirname -- "$0")/environment.sh"

begin test
need_programs
find_python
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

runtime=
runtime_log=${WINVLLM_TEST_CACHE:-$root/build/test-cache}/runtime.log
if [ -n "${CI:-}" ] && [ -z "${WINVLLM_TEST_RUNTIME_PYTHON:-}${WINVLLM_TEST_WINSIM_PYTHON:-}" ]; then
    mkdir -p "$(dirname -- "$runtime_log")"
    sh "$root/scripts/runtime_environment.sh" >"$runtime_log" 2>&1 9>&- &
    runtime=$!
fi

check ruff check .
check ruff format --check .
check mypy
check mypy --platform win32 winvllm_build
if [ -n "$runtime" ]; then
    wait "$runtime" || true # what it said is the reason that tests/fallback skips with
    say "$(tail -n 2 "$runtime_log" | tr '\n' ' ')"
fi
say "pytest -n ${WINVLLM_TEST_JOBS:-2} --dist loadfile $*"
"$bin/python" -m pytest -n "${WINVLLM_TEST_JOBS:-2}" --dist loadfile "$@" 9>&-
status=$?
if [ -n "$failed" ]; then
    printf 'test: error: failed before pytest: %s (see above)\n' "${failed#, }" >&2
    [ "$status" -ne 0 ] || status=1
fi
exit "$status"
