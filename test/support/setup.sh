#!/bin/sh
# Installs what the tests need beyond npm where it is missing: Redis, PostgreSQL and MariaDB servers, HAProxy, nginx, Chromium.
set -eu

has() {
  for name in "$@"; do
    if command -v "$name" >/dev/null 2>&1; then return 0; fi
  done
  return 1
}

# The files of these names in test/support look in the same places.
has_redis() { has redis-server valkey-server; }
has_postgres() { has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
has_mariadb() { (PATH="$PATH:/usr/sbin:/usr/local/sbin"; has mariadbd && has mariadb-install-db); }
has_nginx() { has nginx || [ -x /usr/sbin/nginx ]; }
has_haproxy() { has haproxy && has openssl; }
has_chromium() {
  [ -n "${CHROMIUM_PATH:-}" ] || has chromium chromium-browser google-chrome ||
    [ -d '/Applications/Google Chrome.app' ] || [ -d '/Applications/Chromium.app' ]
}

has_all() { has_redis && has_postgres && has_mariadb && has_haproxy && has_nginx && has_chromium; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

if has_all; then exit 0; fi

if has apt-get; then
  set --
  has_redis || set -- "$@" redis-server
  has_postgres || set -- "$@" postgresql
  has_mariadb || set -- "$@" mariadb-server
  has_haproxy || set -- "$@" haproxy openssl
  has_nginx || set -- "$@" nginx-light
  has_chromium || set -- "$@" chromium
  as_root apt-get update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null
elif has brew; then
  has_redis || brew install redis
  has_postgres || brew install postgresql@17
  has_mariadb || brew install mariadb
  has_haproxy || brew install haproxy openssl
  has_nginx || brew install nginx
  has_chromium || brew install --cask google-chrome
fi

if has_all; then exit 0; fi
echo 'The tests need redis-server (or valkey-server), PostgreSQL, MariaDB, haproxy, nginx, openssl and Chromium: install them,' \
  'or name a browser in CHROMIUM_PATH.' >&2
exit 1
