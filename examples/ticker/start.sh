#!/bin/sh
# A publisher of prices, and a reader that prints them as they come. End with Ctrl-C.
#
# Usage: examples/ticker/start.sh [http://127.0.0.1:8080] [prices a second]     (nothing but Python)
#
# The room's rules are for the server: tidings serve --config examples/ticker/tidings.toml
# They matter to a reader that stops (kill -STOP, its number is told below) for longer than its connection can hold, some megabytes: when it
# goes on (kill -CONT), it has the newest price of each good after what was on its way, and not all that came between.
set -eu
here=$(dirname "$0")
python=${PYTHON:-python3}

"$python" "$here/publish.py" "${1:-http://127.0.0.1:8080}" "${2:-20}" &
publisher=$!
"$python" "$here/read.py" "${1:-http://127.0.0.1:8080}" &
reader=$!
trap 'kill $publisher $reader' EXIT
trap 'exit 1' INT TERM
echo "the reader is process $reader"
wait $reader
