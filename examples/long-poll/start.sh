#!/bin/sh
# Follows a room by long polls, and says in it what is typed: each line is a message. End with Ctrl-D; where it stopped is kept in cursor.txt.
#
# Usage: examples/long-poll/start.sh [http://127.0.0.1:8080] [room] [cursor.txt]     (nothing but Python and curl)
set -eu
server=${1:-http://127.0.0.1:8080}
room=${2:-lobby}

"${PYTHON:-python3}" "$(dirname "$0")/follow.py" "$server" "$room" "${3:-cursor.txt}" &
follower=$!
trap 'kill $follower' EXIT
trap 'exit 1' INT TERM
{ echo "Anybody here?"; cat; } | while read -r line; do
  curl --silent --show-error --fail-with-body --output /dev/null --get --request POST --data-urlencode "message=$line" --data-urlencode "room=$room" "$server/broadcast"
done
