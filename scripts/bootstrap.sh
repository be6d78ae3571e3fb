#!/bin/sh
# From a bare machine to a first build that can be loaded: Python, environment, this checkout, doctor, torch, build.
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

# with_choices COMMAND ARGUMENT...: the tool's command with those of a build's arguments that choose what is built;
# COMMAND may be two words
with_choices() {
    command=$1
    shift
    left=$#
    while [ "$left" -gt 0 ]; do
        case $1 in
            --profile | -p | --tag | --arch | --cuda-home | --python | --set)
                if [ "$left" -gt 1 ]; then
                    set -- "$@" "$1" "$2"
                    shift
                    left=$((left - 1))
                fi
                ;;
            --profile=* | -p?* | --tag=* | --arch=* | --cuda-home=* | --python=* | --set=*) set -- "$@" "$1" ;;
        esac
        shift
        left=$((left - 1))
    done
    say "winvllm-build $command $*"
    # shellcheck disable=SC2086 # two words
    "$tool" $command "$@" 9>&-
}

with_choices doctor "$@" || say "the doctor found problems (see above); the build tells whether they are in its way"
if [ -n "$with_torch" ]; then
    with_choices "toolchain torch" "$@" || exit
fi
say "winvllm-build build $*"
exec "$tool" build "$@" 9>&-
