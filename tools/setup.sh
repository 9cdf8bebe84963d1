#!/usr/bin/env bash
# Brings what the Makefile needs: `venv LOCK`, `browser`, `java`, `nginx`, `trust` or `openstack`.
#
# As root on Debian, missing system packages are installed; anybody else is told what to install.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "setup: $*" >&2; }

need_packages() { # why, packages...
    local why=$1
    shift
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "$why. Install it and try again; on Debian or Ubuntu: apt-get install $*"
        exit 1
    fi
    say "$why; installing $*"
    local log
    log=$(mktemp)
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } \
        >"$log" 2>&1; then
        tail -20 "$log" >&2
        say "apt-get install $* failed (above); the whole log is $log"
        exit 1
    fi
    rm -f "$log"
}

find_python() {
    local name
    for name in "${PYTHON:-}" python3.11 python3.12 python3.13 python3.14 python3; do
        if [ -n "$name" ] && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

make_venv() {
    local python
    if [ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1; then return; fi
    find_python >/dev/null || need_packages "Python 3.11 or newer is not on this machine" python3 python3-venv
    python=$(find_python) || {
        say "the newest Python here is older than 3.11; name a newer one: make install PYTHON=/path/to/python3"
        exit 1
    }
    # Debian ships the interpreter without ensurepip, which a virtual environment needs for its pip.
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        need_packages "$python cannot make virtual environments" \
            "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    "$python" -m venv --clear .venv
}

fill_venv() { # lock
    # pip fetches uv with its hash; uv installs the rest in seconds where pip takes a minute. A site whose
    # mirror is known to pip only is served by pip.
    local pip=(.venv/bin/python -m pip install --quiet --disable-pip-version-check)
    "${pip[@]}" --require-hashes -r requirements/bootstrap.txt
    if ! .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r "$1"; then
        say "uv could not (above); trying with pip, which takes about a minute"
        "${pip[@]}" --require-hashes -r "$1"
    fi
    "${pip[@]}" --no-deps --no-index --no-build-isolation --editable .
}

case "${1:-}" in
venv)
    started=$SECONDS
    make_venv
    fill_venv "$2"
    say "$2 is installed in .venv ($((SECONDS - started)) s)"
    ;;
browser)
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
        if [ -n "$name" ] && command -v "$name" >/dev/null; then exit 0; fi
    done
    need_packages "the tests of the pages need Chromium" chromium
    ;;
java)
    command -v java >/dev/null || need_packages "the test of the Spark clusters needs Java 17" default-jre-headless
    ;;
nginx)
    # Debian keeps it where only root looks.
    PATH=$PATH:/usr/sbin command -v nginx >/dev/null || need_packages "the tests of scaling need nginx" nginx-light
    ;;
trust)
    missing=()
    command -v strace >/dev/null || missing+=(strace)
    command -v fiu-run >/dev/null || missing+=(fiu-utils)
    command -v faketime >/dev/null || missing+=(faketime)
    if [ ${#missing[@]} -gt 0 ]; then need_packages "the proofs of trust break real processes" "${missing[@]}"; fi
    ;;
openstack)
    # The tests start servers of their own from these programs; those that the packages start are left alone.
    missing=()
    PATH=$PATH:/usr/sbin command -v mariadbd >/dev/null || missing+=(mariadb-server)
    PATH=$PATH:/usr/sbin command -v rabbitmq-server >/dev/null || missing+=(rabbitmq-server)
    if [ ${#missing[@]} -gt 0 ]; then need_packages "the OpenStack of the tests needs its servers" "${missing[@]}"; fi
    ;;
*)
    say "usage: tools/setup.sh venv LOCK | browser | java | nginx | trust | openstack"
    exit 2
    ;;
esac
