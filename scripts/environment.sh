# shellcheck shell=sh
# The environment of a checkout, made, updated and repaired; sourced by quickstart.sh and test.sh.
#
#   begin NAME                         name for messages; starts the clock
#   find_python                        sets $python to a Python >= 3.10, 3.11 or newer where there is one
#   make_environment FOLDER EXTRAS     FOLDER gets this checkout, editable, with EXTRAS ("" or "[a,b]")
#
# FOLDER/winvllm-build.state says how far an earlier run came. Its last line is written when all is
# installed, so a run that was killed is recognised and continued.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P) || exit 5

begin() {
    program=$1
    started=$(date +%s)
}

say() {
    printf '[%3d s] %s\n' "$(($(date +%s) - started))" "$*" >&2
}

# fail CODE MESSAGE FIX: the codes are those of docs/exit-codes.md
fail() {
    printf '%s: error: %s\nfix: %s\n' "$program" "$2" "$3" >&2
    exit "$1"
}

# how_to_install PACKAGE...: the command for Debian's names, or plain words
how_to_install() {
    if command -v apt-get >/dev/null 2>&1; then
        printf 'apt-get install %s   (as root)' "$*"
    else
        printf 'install %s with your package manager' "$*"
    fi
}

need_programs() {
    missing=
    command -v git >/dev/null 2>&1 || missing="$missing git"
    command -v "${CXX:-c++}" >/dev/null 2>&1 || command -v g++ >/dev/null 2>&1 ||
        command -v clang++ >/dev/null 2>&1 || missing="$missing g++"
    [ -z "$missing" ] || fail 4 "not installed or not on PATH:$missing" "$(how_to_install "${missing# }")"
}

# new_enough PYTHON [MINOR]: it is a Python 3.MINOR or newer
new_enough() {
    "$1" -c "import sys; sys.exit(sys.version_info < (3, ${2:-10}))" >/dev/null 2>&1 </dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" ||
            fail 4 "PYTHON=$PYTHON does not run or is older than 3.10" "set PYTHON to a Python 3.10 or newer, or unset it"
        python=$PYTHON
        return
    fi
    # the newer tags, quickstart's among them, want 3.11; 3.10 is for those that do with it
    python_on_path 11 || python_of_uv || python_on_path 10 ||
        fail 4 "no Python 3.10 or newer on PATH, and no uv that gets one" \
            "$(how_to_install python3 python3-venv), or set PYTHON to one that lies elsewhere"
}

# python_on_path MINOR: sets $python to one that is new enough
python_on_path() {
    for python in python3 python3.13 python3.12 python3.11 python3.10 python3.14 python; do
        if command -v "$python" >/dev/null 2>&1 && new_enough "$python" "$1"; then
            return 0
        fi
    done
    return 1
}

# True if uv is there and has a Python, or gets one; it checks the hashes of what it downloads.
python_of_uv() {
    command -v uv >/dev/null 2>&1 || return 1
    say "no Python 3.11 or newer on PATH: uv gets 3.12"
    uv python install 3.12 >&2 && python=$(uv python find 3.12) && new_enough "$python"
}

# What the installed environment depends on: a change of it installs again.
fingerprint() {
    commit=$(git -C "$root" rev-parse --verify --quiet HEAD 2>/dev/null) || commit=no-commit
    printf '%s %s %s' "$commit" "$(cksum <"$root/pyproject.toml" | tr ' \t' '--')" "$1"
}

state_of() {
    [ ! -f "$1/winvllm-build.state" ] || tail -n 1 "$1/winvllm-build.state"
}

note_state() {
    printf '%s\n' "$2" >>"$1/winvllm-build.state" ||
        fail 12 "cannot write $1" "make $root writable, or clone it to a folder that is"
}

is_ready() {
    [ "$(state_of "$1")" = "ready $2" ] && [ -x "$1/bin/winvllm-build" ] && new_enough "$1/bin/python"
}

make_environment() {
    folder=$1 extras=$2
    wanted=$(fingerprint "$extras")
    is_ready "$folder" "$wanted" || lock_environment "$folder"
    if is_ready "$folder" "$wanted"; then
        say "environment $folder is up to date"
        return
    fi
    usable_environment "$folder" || create_environment "$folder"
    install_checkout "$folder" "$extras"
    note_state "$folder" "ready $wanted"
    say "environment $folder is ready"
}

# One install at a time. The kernel frees the lock when the last holder ends: this shell, and the pip that
# outlives it when it alone is killed. Without flock, none is taken.
lock_environment() {
    command -v flock >/dev/null 2>&1 || return 0
    { mkdir -p "$root/build" && [ -w "$root/build" ]; } ||
        fail 12 "cannot write $root/build" "make it writable, or clone the checkout to a folder that is"
    exec 9>"$root/build/$(basename "$1").lock"
    flock -n 9 || { say "waiting for another install into $1"; flock 9; }
}

# True if packages can be installed into it: one we finished once, or one the user made.
usable_environment() {
    [ -d "$1" ] || return 1
    if [ -f "$1/winvllm-build.state" ] && ! grep -q '^ready ' "$1/winvllm-build.state"; then
        say "removing $1: an earlier run was ended while making it"
        remove_environment "$1"
        return 1
    fi
    if new_enough "$1/bin/python" && has_pip "$1/bin/python"; then
        return 0
    fi
    [ -f "$1/winvllm-build.state" ] ||
        fail 4 "$1 exists, was not made by this script, and holds no working Python >= 3.10 with pip" "rm -r '$1'"
    say "removing $1: its Python does not run any more"
    remove_environment "$1"
    return 1
}

# has_pip PYTHON: pip is there, or Python's own copy of it could be put there (uv makes environments without)
has_pip() {
    "$1" -m pip --version >/dev/null 2>&1 && return 0
    "$1" -m ensurepip >/dev/null 2>&1 && "$1" -m pip --version >/dev/null 2>&1
}

remove_environment() {
    # the state goes last: what is left of an interrupted removal is still known as ours
    { find "$1" -mindepth 1 -maxdepth 1 ! -name winvllm-build.state -exec rm -rf {} + && rm -rf "$1"; } ||
        fail 12 "cannot remove $1" "rm -r '$1'"
}

create_environment() {
    say "making $1 with $("$python" --version 2>&1) ($(command -v "$python"))"
    mkdir -p "$1" || fail 12 "cannot create $1" "make $root writable, or clone it to a folder that is"
    note_state "$1" creating
    log=$1/winvllm-build.log
    if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        "$python" -m venv "$1" >"$log" 2>&1
    elif command -v uv >/dev/null 2>&1; then
        uv venv --quiet --seed --allow-existing --python "$python" "$1" >"$log" 2>&1
    elif "$python" -m virtualenv --version >/dev/null 2>&1; then
        "$python" -m virtualenv --quiet "$1" >"$log" 2>&1
    elif "$python" -m pip --version >/dev/null 2>&1; then
        # the module is put beside the environment: nothing of the user's Python changes
        "$python" -m pip install --quiet --disable-pip-version-check --target "$1/.virtualenv" virtualenv >"$log" 2>&1 &&
            PYTHONPATH=$1/.virtualenv "$python" -m virtualenv --quiet "$1" >>"$log" 2>&1 &&
            rm -rf "$1/.virtualenv"
    else
        fail 4 "$python cannot make environments (no venv, virtualenv, uv or pip)" "$(how_to_install python3-venv)"
    fi || failed_step "$log" 4 "$python could not make $1" "$(how_to_install python3-venv)"
}

install_checkout() {
    say "installing this checkout and what it needs (log: $1/winvllm-build.log)"
    note_state "$1" installing
    (
        unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV
        "$1/bin/python" -m pip install --disable-pip-version-check --no-input --editable "$root$2"
    ) >"$1/winvllm-build.log" 2>&1 ||
        failed_step "$1/winvllm-build.log" 8 "pip could not install $root$2" \
            "read the lines above; check the network or pip's index settings (pip config list), then run again"
    [ -x "$1/bin/winvllm-build" ] ||
        fail 4 "the installed environment $1 lacks bin/winvllm-build" "rm -r '$1', then run again"
}

# failed_step LOG CODE MESSAGE FIX: shows the end of the log first
failed_step() {
    tail -n 15 "$1" | sed 's/^/  | /' >&2
    fail "$2" "$3 (log: $1)" "$4"
}
