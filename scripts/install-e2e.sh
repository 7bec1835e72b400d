#!/usr/bin/env bash
# Installs what the end-to-end tests, the fault tests and the benchmark drive: Debian's container
# clients, registry, web server, balancer and forwarder, what they measure and shape networks with,
# and newer clients and registries built from Go modules. Needs Debian or Ubuntu, root, and Go 1.26.
# Does nothing, in well under a second, when everything is there; else fails with the names of what
# could not be had. No service is started: the tests run their own daemons in their own directories.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

# command → package that brings it
packages=(
  dockerd:docker.io
  containerd:containerd
  runc:runc
  iptables:iptables
  podman:podman
  skopeo:skopeo
  buildah:buildah
  umoci:umoci
  eatmydata:eatmydata
  mkfs.ext4:e2fsprogs
  perl:perl-base
  cc:gcc
  cc:libc6-dev
  docker-registry:docker-registry
  git:git
  strace:strace
  systemd-analyze:systemd
  curl:curl
  htpasswd:apache2-utils
  nginx:nginx-light
  haproxy:haproxy
  caddy:caddy
  socat:socat
  setpriv:util-linux
  wrk:wrk
  ss:iproute2
)
go_tools=(crane containerd ctr buildkitd buildctl dockerd distribution regctl oras helm cosign conformance conformance-before-1.1)

die() {
  echo "install-e2e: $*" >&2
  exit 1
}

# /usr/bin and not PATH: a newer docker or containerd elsewhere does not stand for the old one that
# is tested.
has() {
  [ -x "/usr/bin/$1" ] || [ -x "/usr/sbin/$1" ]
}

missing() {
  local pair
  for pair in "${packages[@]}"; do
    has "${pair%%:*}" || echo "${pair#*:}"
  done
}

# Packages must not start their daemons: a policy file says so for as long as apt runs.
policy=/usr/sbin/policy-rc.d
forbid_services() {
  [ -e "$policy" ] && return
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
}

wanted=$(missing)
if [ -n "$wanted" ]; then
  [ "$(id -u)" = 0 ] || die "root is needed to install:" $wanted
  command -v apt-get >/dev/null || die "there is no apt-get here; install by hand:" $wanted
  forbid_services
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || die "apt-get update failed; still missing:" $wanted
  # shellcheck disable=SC2086 # a list of names
  apt-get install -y -qq --no-install-recommends $wanted >&2 || die "apt-get could not install:" $wanted
  left=$(missing)
  [ -z "$left" ] || die "still missing after apt-get:" $left
fi
"$here/go-tools.sh" "${go_tools[@]}" >/dev/null || die "a Go tool could not be built (see above)"
