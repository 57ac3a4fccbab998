#!/bin/sh
# An inbox for ana, and a backend that notifies her; type more lines such as `ana: Your parcel is here`, end with Ctrl-D.
#
# Usage: examples/notifications/start.sh [http://127.0.0.1:8080]     (needs: pip install httpx websockets)
set -eu
here=$(dirname "$0")
export PYTHONPATH="$here/../../clients/python/src"
python=${PYTHON:-python3}

"$python" "$here/inbox.py" "${1:-http://127.0.0.1:8080}" ana &
inbox=$!
trap 'kill $inbox' EXIT
trap 'exit 1' INT TERM
{ echo "ana: Welcome"; cat; } | "$python" "$here/backend.py" "${1:-http://127.0.0.1:8080}"
