#!/bin/sh
# The pointers of everybody on one page: many small binary messages a second, in a room that keeps none of them.
#
# Usage: examples/cursors/start.sh [http://127.0.0.1:8080] [8000]     (the server, and the port of the page; needs Python)
#
# The room's rules are for the server: tidings serve --config examples/cursors/tidings.toml
set -eu
server=${1:-http://127.0.0.1:8080}
port=${2:-8000}
echo "Open http://127.0.0.1:$port/?server=$server&user=ana, and beside it once more as somebody else."
exec "${PYTHON:-python3}" -m http.server --bind 127.0.0.1 --directory "$(dirname "$0")" "$port"
