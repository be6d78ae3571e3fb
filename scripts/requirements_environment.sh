# shellcheck shell=sh
# An environment that tests need, made from a list of requirements; sourced by runtime_environment.sh and
# winsim_environment.sh.
#
#   begin NAME REQUIREMENTS [FOLDER]     its folder, else NAME in WINVLLM_TEST_CACHE; ends here if it is up to date
#   make_environment PYTHON FITS WORDS   FITS is what Python says of sys.version_info[:2], WORDS the same for people
#   pip_install WORDS...
#   finish
#
# FOLDER/NAME.state is written last: an environment without it, or made from another list, is filled again.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P) || exit 5

fail() {
    printf '%s_environment: error: %s\nfix: %s\n' "$name" "$1" "$2" >&2
    exit 4
}

begin() {
    name=$1 requirements=$2
    folder=${3:-${WINVLLM_TEST_CACHE:-$root/build/test-cache}/$name}
    wanted=$(cksum <"$root/$requirements")
    if [ "$(cat "$folder/$name.state" 2>/dev/null)" = "$wanted" ]; then
        echo "$folder is up to date"
        exit 0
    fi
}

make_environment() {
    "$1" -c "import sys, ensurepip, venv; sys.exit(not sys.version_info[:2] $2)" 2>/dev/null ||
        fail "$1 is no $3 that can make environments" "install one and name it: PYTHON=... sh $0"
    [ ! -e "$folder" ] || [ -f "$folder/pyvenv.cfg" ] ||
        fail "$folder exists and is no environment" "name another folder: sh $0 FOLDER"
    mkdir -p "$folder"
    rm -f "$folder/$name.state"
    "$1" -m venv "$folder"
}

pip_install() {
    "$folder/bin/python" -m pip install --disable-pip-version-check --no-input "$@" ||
        fail "pip could not install $requirements" "read the lines above; check pip's index settings (pip config list)"
}

finish() {
    printf '%s\n' "$wanted" >"$folder/$name.state"
    echo "$folder is ready"
}
