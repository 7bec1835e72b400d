#!/bin/sh
# The command line of an install, by the Node that fits: `entrepot status` on a machine whose own
# Node is old, or none.
root=$(dirname "$(readlink -f "$0")")/..
if [ ! -e "$root/dist/main.js" ]; then
  echo 'entrepot: it is not built yet: run "npm run build" in its directory' >&2
  exit 78
fi
exec "$root/scripts/node.sh" "$root/dist/main.js" "$@"
