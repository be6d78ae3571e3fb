#!/bin/sh
# From a bare machine to a first build that can be loaded: Python, environment, this checkout, torch, doctor, build.
#
#   sh scripts/bootstrap.sh                      the profile quickstart
#   sh scripts/bootstrap.sh --profile sm86       arguments go to `winvllm-build build`
#   sh scripts/bootstrap.sh --no-torch ...       without torch (2 GB): what is compiled is checked, not loaded
#
# quickstart.sh is this without torch and doctor. Needs git and a C++ compiler; Python >= 3.10 is taken from PATH
# (PYTHON names another one) or got by uv. Running it again continues where the last run was ended.
set -u
. "$(dirname -- "$0")/environment.sh"

begin bootstrap
need_programs
find_python
make_environment "$root/.venv" ""
tool=$root/.venv/bin/winvllm-build

with_torch=yes
if [ "${1:-}" = --no-torch ]; then
    with_torch=
    shift
fi
[ $# -gt 0 ] || set -- --profile quickstart

# profile_of ARGUMENT...: the profile that the build will take, as one word
profile_of() {
    while [ $# -gt 0 ]; do
        case $1 in
            --profile | -p) printf '%s' "${2:-}"; return ;;
            --profile=*) printf '%s' "${1#*=}"; return ;;
        esac
        shift
    done
}

profile=$(profile_of "$@")
if [ -n "$with_torch" ]; then
    say "winvllm-build toolchain torch${profile:+ --profile $profile}"
    "$tool" toolchain torch ${profile:+--profile "$profile"} 9>&- || exit
fi
say "winvllm-build doctor"
"$tool" doctor 9>&- || say "the doctor found problems (see above); the build tells whether they are in its way"
say "winvllm-build build $*"
exec "$tool" build "$@" 9>&-
