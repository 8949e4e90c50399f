#!/usr/bin/env bash
# Installs browsers for the conformance tests on Debian, as root: `install.sh chromium firefox webkit`, or some of them.
# The other hosts come from package.json.
set -euo pipefail

packages=()
for name in "$@"; do
  case $name in
    chromium) packages+=(chromium) ;;
    firefox) packages+=(firefox-esr) ;;
    webkit) packages+=(libwebkit2gtk-4.1-0 webkit2gtk-driver xvfb dbus-x11) ;;
    *)
      echo "install.sh: expected chromium, firefox or webkit, got $name" >&2
      exit 2
      ;;
  esac
done
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null
