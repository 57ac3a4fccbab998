#!/bin/sh
# Publishes to a room by HTTP and reads it back, as a backend or a cron job would.
# Usage: examples/publish.sh [http://127.0.0.1:8080] [room]
set -eu
address=${1:-http://127.0.0.1:8080}
room=${2:-lobby}

# The same Idempotency-Key within five minutes stores the message once, so a script may simply try again.
for attempt in 1 2; do
  curl --silent --show-error --fail-with-body --header 'Content-Type: application/json' --header 'Idempotency-Key: deploy-42' \
    --data '{"data": {"event": "deployed", "version": 42}}' "$address/rooms/$room/messages"
  echo
done

curl --silent --show-error --fail-with-body "$address/rooms/$room/messages?after=0&limit=10"
echo
