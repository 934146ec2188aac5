#!/bin/sh
# Installs what the tests need beyond npm, a Redis server, HAProxy and Chromium, where they are missing.
set -eu

has() {
  for name in "$@"; do
    if command -v "$name" >/dev/null 2>&1; then return 0; fi
  done
  return 1
}

# redis-server.ts, haproxy.ts and chromium.ts look for the same names.
has_redis() { has redis-server valkey-server; }
has_haproxy() { has haproxy && has openssl; }
has_chromium() {
  [ -n "${CHROMIUM_PATH:-}" ] || has chromium chromium-browser google-chrome ||
    [ -d '/Applications/Google Chrome.app' ] || [ -d '/Applications/Chromium.app' ]
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

if has_redis && has_haproxy && has_chromium; then exit 0; fi

if has apt-get; then
  set --
  has_redis || set -- "$@" redis-server
  has_haproxy || set -- "$@" haproxy openssl
  has_chromium || set -- "$@" chromium
  as_root apt-get update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null
elif has brew; then
  has_redis || brew install redis
  has_haproxy || brew install haproxy openssl
  has_chromium || brew install --cask google-chrome
fi

if has_redis && has_haproxy && has_chromium; then exit 0; fi
echo 'The tests need redis-server (or valkey-server), haproxy, openssl and Chromium: install them, or name a browser in CHROMIUM_PATH.' >&2
exit 1
