#!/usr/bin/env bash
# Brings what the project needs, once; says nothing and takes no time when it is all there.
#   tools/setup.sh python   a Python with the locked packages in .venv (no root)
#   tools/setup.sh host     the programs that raise a cluster on this host (root, only if one is missing)
#   tools/setup.sh          both
#   tools/setup.sh tests    what `make test` needs beside: firewalls of others to lay and to read (root)
#   tools/setup.sh guests   what `make e2e` needs beside that: to boot other hosts as guests (root)
# Starts no service, changes no setting, and writes only to .venv, the caches and Debian's packages.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
# PROGRAM:PACKAGE. The same table as risen.adapters.local.host.PACKAGES, and what baking needs.
NEEDED="systemd-nspawn:systemd-container haproxy:haproxy nft:nftables mmdebstrap:mmdebstrap ip:iproute2
  mkfs.ext4:e2fsprogs modprobe:kmod conntrack:conntrack curl:curl openssl:openssl tar:tar zstd:zstd
  mount:mount nsenter:util-linux"
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
HOME="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
export PATH HOME

say() { printf 'setup   %s\n' "$*" >&2; }
die() { printf 'setup   %s\n' "$@" >&2; exit 1; }

# --- programs of the host -------------------------------------------------------------------------------
missing_packages() {
  local pair
  for pair in $NEEDED; do
    command -v "${pair%%:*}" >/dev/null || printf '%s\n' "${pair##*:}"
  done
  [ -s /etc/ssl/certs/ca-certificates.crt ] || [ -d /etc/pki/tls/certs ] || echo ca-certificates
  [ -s /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
}

# Debian starts a service when its package is installed; HAProxy and nftables of the host are not ours to start.
no_service_starts() {
  [ -e /usr/sbin/policy-rc.d ] && return
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
}

apt() {
  local try
  for try in 1 2 3 4 5 6; do
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
      apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null >"$log" 2>&1 && return
    grep -q 'Could not get lock\|Unable to lock' "$log" || return 1
    say "apt is busy elsewhere, waiting ($try of 6)"
    sleep 10
  done
  return 1
}

install_packages() {
  [ "$(id -u)" = 0 ] || die "missing: $*" "root is needed to install them: sudo make setup"
  command -v apt-get >/dev/null || die "missing: $*" "only Debian and Ubuntu are installed for: install them yourself"
  say "installing: $*"
  log=$(mktemp)
  no_service_starts
  apt install -y --no-install-recommends "$@" || {
    apt update || say "apt-get update failed, trying with the lists that are there"
    apt install -y --no-install-recommends "$@" || { cat "$log" >&2; die "apt-get could not install: $*"; }
  }
  rm -f "$log"
  # HAProxy was not here before, so nobody wants it as a service at the next boot.
  case " $* " in *" haproxy "*) systemctl disable haproxy >/dev/null 2>&1 || true ;; esac
}

set_up_host() {
  [ "$(uname -s)" = Linux ] || die "a local cluster needs Linux; everywhere else: risen demo, make check"
  local packages
  packages=$(missing_packages | sort -u | tr '\n' ' ')
  # shellcheck disable=SC2086  # one word a package
  [ -z "$packages" ] || install_packages $packages
}

# --- Python ---------------------------------------------------------------------------------------------
usable() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local name
  for name in python3 python3.13 python3.12 python3.11 python3.14 /usr/bin/python3; do
    if command -v "$name" >/dev/null && usable "$name"; then command -v "$name"; return; fi
  done
  return 1
}

need_python() {
  find_python && return
  local name packages=""
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    if [ "$(python3 -c 'import sys; print(sys.version_info >= (3, 11))' 2>/dev/null)" = True ]; then
      packages="python3-venv"
    else
      for name in python3.13 python3.12 python3.11; do
        if apt-cache show "$name-venv" >/dev/null 2>&1; then packages="$name-venv"; break; fi
      done
    fi
    install_packages "${packages:-python3-venv}" >&2
    find_python && return
  fi
  die "no Python 3.11 or newer with venv was found" "Debian and Ubuntu: apt-get install python3-venv"
}

# uv is one program: taken out of a throw-away environment, put in place by rename, shared by checkouts.
need_uv() {
  local folder="${XDG_CACHE_HOME:-$HOME/.cache}/risen" uv work
  uv="$folder/uv-$UV_VERSION"
  if ! "$uv" --version >/dev/null 2>&1; then
    say "fetching uv $UV_VERSION"
    mkdir -p "$folder"
    work=$(mktemp -d "$folder/uv.XXXXXX")
    "$1" -m venv "$work" >&2
    "$work/bin/python" -m pip --quiet install --disable-pip-version-check "uv==$UV_VERSION" >&2 </dev/null || {
      rm -rf "$work"
      die "uv $UV_VERSION could not be installed from PyPI"
    }
    mv -f "$work/bin/uv" "$uv"
    rm -rf "$work"
  fi
  printf '%s\n' "$uv"
}

set_up_python() {
  local stamp=.venv/.risen-locked python uv wanted
  wanted=$(cat uv.lock pyproject.toml | cksum)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted$PWD" ] && .venv/bin/python -c '' 2>/dev/null; then return; fi
  python=$(need_python)
  uv=$(need_uv "$python")
  say "installing the locked packages into .venv"
  UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=true UV_NATIVE_TLS=true UV_NO_PROGRESS=1 VIRTUAL_ENV= \
    "$uv" sync --quiet --locked --no-config --compile-bytecode --python "$python" </dev/null || die "uv sync failed"
  # Compiled once here: where Python may not write bytecode, each command would take half a second more.
  .venv/bin/python -m compileall -q src/risen
  printf '%s' "$wanted$PWD" >"$stamp"
}

[ $# -le 1 ] || die "one word at a time, not: $*"
case "${1:-all}" in
  python) set_up_python ;;
  host) set_up_host ;;
  all) set_up_host; set_up_python ;;
  tests) NEEDED="iptables:iptables"; set_up_host ;;
  guests) NEEDED="qemu-system-x86_64:qemu-system-x86"; set_up_host ;;
  *) die "what is '$1'? tools/setup.sh [python|host|tests|guests]" ;;
esac
