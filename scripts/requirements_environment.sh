# shellcheck shell=sh
# An environment that tests need, made from a list of requirements; sourced by runtime_environment.sh and
# winsim_environment.sh.
#
#   begin NAME REQUIREMENTS [FOLDER]     its folder, else NAME in WINVLLM_TEST_CACHE; ends here if it is up to date
#   need_space GIGABYTES                 where the folder will be
#   make_environment PYTHON FITS WORDS   FITS is what Python says of sys.version_info[:2], WORDS the same for people
#   pip_install WORDS...
#   refuse_cuda                          if pip's settings lead to a PyTorch for CUDA, 3 GB more
#   finish
#
# FOLDER/NAME.state is written last: an environment without it, or made from another list, is filled again, and one
# that was kept when its Python was not is made anew.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P) || exit 5

fail() {
    printf '%s_environment: error: %s\nfix: %s\n' "$name" "$1" "$2" >&2
    exit 4
}

begin() {
    name=$1 requirements=$2
    folder=${3:-${WINVLLM_TEST_CACHE:-$root/build/test-cache}/$name}
    wanted=$(cksum <"$root/$requirements")
    if [ "$(cat "$folder/$name.state" 2>/dev/null)" = "$wanted" ] && runs; then
        echo "$folder is up to date"
        exit 0
    fi
}

runs() {
    "$folder/bin/python" -c '' 2>/dev/null
}

need_space() {
    place=$(dirname -- "$folder")
    mkdir -p "$place"
    # shellcheck disable=SC2046 # the fourth word is what is free, in KiB
    set -- "$1" $(df -Pk "$place" | tail -n 1)
    [ "${5:-0}" -ge "$(($1 * 1000000))" ] || fail "less than $1 GB are free in $place" "free some, or name another folder: sh $0 FOLDER"
}

make_environment() {
    "$1" -c "import sys, ensurepip, venv; sys.exit(not sys.version_info[:2] $2)" 2>/dev/null ||
        fail "$1 is no $3 that can make environments" "install one and name it: PYTHON=... sh $0"
    [ ! -e "$folder" ] || [ -f "$folder/pyvenv.cfg" ] ||
        fail "$folder exists and is no environment" "name another folder: sh $0 FOLDER"
    mkdir -p "$folder"
    rm -f "$folder/$name.state"
    if runs; then "$1" -m venv "$folder"; else "$1" -m venv "$folder" --clear; fi
}

pip_install() {
    "$folder/bin/python" -m pip install --disable-pip-version-check --no-input "$@" ||
        fail "pip could not install $requirements" "read the lines above; check pip's index settings (pip config list)"
}

refuse_cuda() {
    pip_install -qq --dry-run --no-deps --report "$folder/torch.json" "$(grep '^torch==' "$root/$requirements")"
    ! grep -qE '"(nvidia|cuda)-' "$folder/torch.json" ||
        fail "pip's settings lead to a PyTorch for CUDA" "add an index that has one without: PIP_EXTRA_INDEX_URL=..., or PIP_FIND_LINKS=FOLDER"
}

finish() {
    printf '%s\n' "$wanted" >"$folder/$name.state"
    echo "$folder is ready"
}
