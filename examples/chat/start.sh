#!/bin/sh
# A chat page that uses the JavaScript client as an application would: `chat.js` is all of it.
#
# Usage: examples/chat/start.sh [http://127.0.0.1:8080] [8000]     (the server, and the port of the page; needs Python)
#
# The page is of another origin than the server. WebSockets do not mind; for browsers that have to fall back to event streams or long
# polls, the server is told whom it may answer: tidings serve --allowed-origin http://127.0.0.1:8000
set -eu
server=${1:-http://127.0.0.1:8080}
port=${2:-8000}
echo "Open http://127.0.0.1:$port/?server=$server&user=ana, and once more as somebody else."
exec "${PYTHON:-python3}" -m http.server --bind 127.0.0.1 --directory "$(dirname "$0")" "$port"
