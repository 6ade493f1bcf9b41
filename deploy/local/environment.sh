#!/usr/bin/env bash
# Makes .venv and brings it to the lock asked for: `environment.sh runtime` or `environment.sh dev`.
# A second call costs two file comparisons. What is missing on the machine is said in one sentence.
set -euo pipefail
cd "$(dirname "$0")/../.."

wanted=${1:?runtime or dev}
venv=.venv
free_megabytes_needed=3000 # wheels and what they unpack to, measured: 2.4 GB

say() { printf '%s\n' "$*"; }
give_up() {
    printf 'CodexOS: %s\n' "$*" >&2
    exit 1
}

# The development lock holds everything of the runtime lock, so it serves both.
is_synced() {
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -c '' 2>/dev/null || return 1
    cmp -s requirements-dev.lock "$venv/synced-dev.lock" && return 0
    [ "$wanted" = runtime ] && cmp -s requirements.lock "$venv/synced-runtime.lock"
}

# A name on PATH proves nothing: version managers leave shims that fail when they are run.
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

choose_python() {
    local candidate version seen=""
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        version=$(version_of "$candidate") || continue
        case $version in
            3.11 | 3.12 | 3.13) command -v "$candidate" && return ;;
            *) seen="$seen $candidate is $version;" ;;
        esac
    done
    if [ -n "$seen" ]; then
        give_up "Python 3.11, 3.12 or 3.13 is needed, and here${seen%;}. Install one of them and run this again."
    fi
    give_up "no Python was found that runs; install Python 3.11, 3.12 or 3.13 and run this again."
}

free_megabytes() { df -Pm "$1" | awk 'NR == 2 { print $4 }'; }

check_disk() {
    local free
    free=$(free_megabytes .)
    [ "$free" -ge "$1" ] || give_up "the disk is full: $free MB are free here and the environment needs $1 MB."
}

make_venv() {
    local python
    python=$(choose_python) || exit 1
    check_disk "$free_megabytes_needed"
    say "Making $venv with $python ($("$python" -V 2>&1))"
    rm -rf "$venv"
    if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then
        uv venv --quiet --python "$python" "$venv"
    elif ! "$python" -m venv "$venv" >"$venv.log" 2>&1; then
        rm -rf "$venv" "$venv.log"
        give_up "$python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv."
    fi
    rm -f "$venv.log"
}

# uv of the machine, or one of our own beside the environment's packages, where syncing does not remove it.
find_uv() {
    if command -v uv >/dev/null && uv --version >/dev/null 2>&1; then
        uv=uv
        return
    fi
    uv=$venv/uv/bin/uv
    "$uv" --version >/dev/null 2>&1 && return
    say "Fetching uv, the installer"
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null 2>&1 || true
    rm -rf "$venv/uv"
    explained "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        --no-deps --target "$venv/uv" -r requirements-uv.lock
}

# Runs a command, shows what it shows (less uv's list of packages), and adds the sentence that its failure deserves.
explained() {
    local log=$venv/install.log
    "$@" 2>&1 | tee "$log" | { grep --line-buffered -vE '^ [+-] ' || true; } && return
    if grep -qiE 'no space left|disk quota' "$log" || [ "$(free_megabytes .)" -lt 50 ]; then
        give_up "the disk is full: $(free_megabytes .) MB are free here and the environment needs $free_megabytes_needed MB."
    elif grep -qiE 'compiler|gcc|clang|command .?cc' "$log" && ! command -v cc gcc clang >/dev/null; then
        give_up "a requirement has no ready-made wheel for this machine and no C compiler was found to build it; on Debian and Ubuntu: apt install build-essential."
    elif grep -qiE 'dns|resolve host|connection|timed out|network|could not find a version|error sending request' "$log"; then
        give_up "the package registry could not be reached; the lines above say why. What was fetched is kept: run this again."
    fi
    give_up "the environment could not be installed; the lines above say why."
}

is_synced && exit 0
is_usable() { version=$(version_of "$venv/bin/python") && case $version in 3.1[123]) ;; *) false ;; esac; }
is_usable || make_venv

lock=requirements.lock
[ "$wanted" = dev ] && lock=requirements-dev.lock
find_uv
say "Installing $lock into $venv (about 700 MB to fetch the first time)"
rm -f "$venv"/synced-*.lock
# Compiled now, once: otherwise the first start of each process pays, and every start where bytecode is not written.
explained "$uv" pip sync --python "$venv/bin/python" --require-hashes --compile-bytecode "$lock"
cp "$lock" "$venv/synced-$wanted.lock"
