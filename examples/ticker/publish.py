"""Makes up prices and publishes them, each under the name of its good, so that a newer one may take an older one's place.

Usage: python publish.py [http://127.0.0.1:8080] [prices a second]     (nothing but Python)
"""

import http.client
import json
import random
import sys
import time
from urllib.parse import urlsplit

ADDRESS, PER_SECOND = (sys.argv[1:] + ["http://127.0.0.1:8080", "20"][len(sys.argv) - 1 :])[:2]
prices = {"barley": 188.0, "cocoa": 96.0, "copper": 412.0, "tin": 275.0, "wool": 134.0}

server = http.client.HTTPConnection(urlsplit(ADDRESS).netloc, timeout=10)
while True:
    good = random.choice(list(prices))
    prices[good] *= random.uniform(0.99, 1.01)
    price = {"key": good, "data": {"price": round(prices[good], 2)}}
    try:
        server.request("POST", "/rooms/ticker/messages", json.dumps(price), {"Content-Type": "application/json"})
        answer = server.getresponse()
        body = answer.read().decode()
        if answer.status != 200:
            print(body, file=sys.stderr)
    except (OSError, http.client.HTTPException):
        server.close()  # The next request connects anew; by then there is a newer price.
        time.sleep(1)
    time.sleep(1 / float(PER_SECOND))
