#!/bin/sh
# Runs the Node that the install brought, where that starts on this machine; else the machine's own,
# where it is new enough; else says what helps. Takes what node takes.
root=$(dirname "$(readlink -f "$0")")/..
# As package.json says; src/main.ts has it, too.
oldest='24.12'

# The package of this platform, not node_modules/.bin: npm 9 makes no link to it there.
said=
for own in "$root"/node_modules/node-*/bin/node; do
  [ -e "$own" ] || continue
  said=$("$own" --version 2>&1) && exec "$own" "$@"
done

is_new_enough() {
  "$1" -e 'const [of, least] = [process.versions.node, process.argv[1]].map(text => text.split(".").map(Number));
    process.exit(of[0] > least[0] || (of[0] === least[0] && of[1] >= least[1]) ? 0 : 1)' "$oldest" 2>/dev/null
}

# npm puts directories of node_modules first.
directories=$PATH:
while [ -n "$directories" ]; do
  directory=${directories%%:*}
  directories=${directories#*:}
  case $directory in */node_modules/.bin | */node-gyp-bin) continue ;; esac
  if is_new_enough "$directory/node"; then exec "$directory/node" "$@"; fi
done

if [ -z "$said" ]; then
  what='the install brought no Node for this machine (was it made with --omit=optional?)'
  help="run \"npm ci\", or install Node $oldest or newer"
else
  what="the Node that the install brought does not start here: $said"
  case $said in
  *libatomic.so.1*)
    if command -v dnf >/dev/null; then
      help='run: dnf install libatomic'
    else
      help='run: apt-get install libatomic1'
    fi
    ;;
  *) help="install Node $oldest or newer" ;;
  esac
fi
printf 'entrepot: %s; %s\n' "$what" "$help" >&2
exit 78
