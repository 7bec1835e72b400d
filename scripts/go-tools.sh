#!/usr/bin/env bash
# Builds clients and registries that distributions do not package, or package only in old versions,
# from their Go modules at pinned versions. Needs Go 1.26 or newer and a Go module proxy; takes some
# minutes once, nothing after that.
#
#   scripts/go-tools.sh NAME...     builds what is missing and prints one path per name
#   scripts/go-tools.sh --list      prints the names and the modules they come from
#
# Binaries are kept in $E2E_TOOLS, by default ~/.cache/entrepot-tools. A changed version below is
# built anew.
set -euo pipefail

cache=${E2E_TOOLS:-$HOME/.cache/entrepot-tools}
BUILDS_AT_ONCE=2

# name, package, version; what is no main package is built as the program of its tests
pins='
crane        github.com/google/go-containerregistry/cmd/crane    v0.22.1
containerd   github.com/containerd/containerd/v2/cmd/containerd  v2.4.2
ctr          github.com/containerd/containerd/v2/cmd/ctr         v2.4.2
buildkitd    github.com/moby/buildkit/cmd/buildkitd              v0.34.2
buildctl     github.com/moby/buildkit/cmd/buildctl               v0.34.2
dockerd      github.com/moby/moby/v2/cmd/dockerd                 v2.0.0-beta.24
distribution github.com/distribution/distribution/v3/cmd/registry v3.1.2
regctl       github.com/regclient/regclient/cmd/regctl           v0.11.7
oras         oras.land/oras/cmd/oras                             v1.3.6
helm         helm.sh/helm/v3/cmd/helm                            v3.22.0
cosign       github.com/sigstore/cosign/v3/cmd/cosign            v3.1.3
conformance  github.com/opencontainers/distribution-spec/conformance v0.0.0-20260831232431-97274622c111
conformance-before-1.1 github.com/opencontainers/distribution-spec/conformance v0.0.0-20231101194043-f2182352d4cc
'

die() {
  echo "go-tools: $*" >&2
  exit 1
}

# Prints "package version" of the tool named $1.
pin_of() {
  awk -v name="$1" '$1 == name { print $2, $3; found = 1 } END { exit !found }' <<<"$pins"
}

# `go install package@version` refuses a module that has replace directives; requiring it from an
# empty module does not.
build() {
  local name=$1 package=$2 version=$3 module
  module=$(mktemp -d "$cache/build.XXXXXX")
  (
    cd "$module"
    export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS='-mod=mod -buildvcs=false'
    go mod init "build.invalid/$name"
    go get -t "$package@$version"
    # Nobody debugs them: a sixth less to compute, and a third less to write. They wait more than
    # they compute: without inlining, a fifth less to compile.
    local flags=(-ldflags='-s -w' -gcflags='all=-dwarf=false -l' -o "$module/out")
    case $(go list -f '{{.Name}}' "$package") in
      main) go build "${flags[@]}" "$package" ;;
      *) go test -c "${flags[@]}" "$package" ;;
    esac
  ) >"$module/log" 2>&1 || {
    tail -n 5 "$module/log" >&2
    die "cannot build $name ($package@$version); the whole log is $module/log"
  }
  mv "$module/out" "$cache/$name"
  echo "$version" >"$cache/$name.version"
  rm -rf "$module"
}

if [ "${1:-}" = --list ]; then
  grep . <<<"$pins"
  exit 0
fi
[ $# -gt 0 ] || die 'name at least one tool, or --list'
mkdir -p "$cache"
building=0
for name in "$@"; do
  read -r package version <<<"$(pin_of "$name")" || true
  [ -n "$package" ] || die "unknown tool: $name (see --list)"
  if [ ! -x "$cache/$name" ] || [ "$(cat "$cache/$name.version" 2>/dev/null)" != "$version" ]; then
    command -v go >/dev/null || die "$name must be built, and there is no go command: install Go 1.26 or newer"
    # While one is fetched, which waits for the network, another one is compiled.
    if ((building == BUILDS_AT_ONCE)); then
      wait -n || { wait; exit 1; }
      building=$((building - 1))
    fi
    echo "go-tools: building $name $version" >&2
    build "$name" "$package" "$version" >/dev/null &
    building=$((building + 1))
  fi
done
for ((; building > 0; building--)); do wait -n || { wait; exit 1; }; done
for name in "$@"; do echo "$cache/$name"; done
