#!/bin/sh
# Make sure that the browser tests find a Chromium: the system's, else Debian's package where it may be installed.
# Where none can be had the tests say so in their closing lines, and fail under CI.
set -u
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done
command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ] || exit 0
echo "Installing Chromium and fonts for the browser tests …"
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk fonts-noto-color-emoji; } \
    >/dev/null 2>&1 || echo "Chromium could not be installed; the browser tests will say so."
