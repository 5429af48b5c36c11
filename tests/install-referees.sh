#!/bin/sh
# Make sure of the outside referees of a rendered mail: Chromium with fonts, SpamAssassin, Java for the HTML checker,
# and the Node packages of tests/node. Quick and silent where everything is there. Debian's packages are installed
# where root may; a plain user is never asked for a password. What cannot be had is said here in a line, and by the
# tests concerned, which fail under CI.
set -u
cd "$(dirname "$0")/node" || exit 1
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

missing() { # none of these commands is there
    for command in "$@"; do
        command -v "$command" >/dev/null 2>&1 && return 1
    done
    return 0
}

unpacked() { # this Debian package is there
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

run() { # quietly; where it fails, show why
    "$@" >"$log" 2>&1 </dev/null || { grep -E '^(E:|npm (error|ERR!))' "$log" | head -n 4; return 1; }
}

apt() { # wait for a machine that is just updating itself
    run apt-get -qq -o DPkg::Lock::Timeout=180 "$@"
}

install() { # what it is for people, then Debian's packages
    command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ] || return 0
    name=$1
    shift
    echo "Installing $name for the tests …"
    # The lists once only, before the first package.
    [ -n "${listed-}" ] || { apt update; listed=yes; }
    apt install -y --no-install-recommends "$@" || echo "$name could not be installed; the tests will say so."
}

missing chromium chromium-browser google-chrome && install Chromium chromium
{ unpacked fonts-noto-cjk && unpacked fonts-noto-color-emoji; } || install fonts fonts-noto-cjk fonts-noto-color-emoji
missing spamassassin && install SpamAssassin spamassassin
missing java && install Java default-jre-headless
missing node && install Node.js nodejs
missing npm && install npm npm

# The mark is written last: a broken installation is made anew.
if ! missing npm && ! cmp -s package-lock.json node_modules/.installed; then
    echo "Installing the Node packages of the tests …"
    if run npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error; then
        cp package-lock.json node_modules/.installed
    else
        echo "The Node packages could not be installed; the tests will say so."
    fi
fi
exit 0
