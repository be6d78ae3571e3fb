#!/bin/sh
# From a bare machine to the first build: environment in .venv, this checkout in it, then `winvllm-build build`.
#
#   sh scripts/quickstart.sh                     builds the profile quickstart
#   sh scripts/quickstart.sh --profile sm86      arguments go to `winvllm-build build`
#
# Needs git, a C++ compiler and Python >= 3.10, 3.11 for the profile quickstart (PYTHON names another one than
# python3). Running it again continues where the last run was ended, and takes no time where nothing changed.
set -u
. "$(dirname -- "$0")/environment.sh"

begin quickstart
need_programs
find_python
make_environment "$root/.venv" ""

[ $# -gt 0 ] || set -- --profile quickstart
say "winvllm-build build $*"
exec "$root/.venv/bin/winvllm-build" build "$@" 9>&-
