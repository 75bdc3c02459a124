"""Prints issues of which the signature is right. Alone: PORT=9021 python3 verify.py"""

import base64
import hashlib
import hmac
import json
import os
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOLERANCE_SECONDS = 300
SECRET_FILE = os.environ.get("SECRET_FILE", Path(__file__).parent.parent / "secrets" / "subscriber")
# One secret a line: the new one and the old one while it is being replaced.
KEYS = [base64.b64decode(line.removeprefix("whsec_")) for line in Path(SECRET_FILE).read_text().split()]
seen = OrderedDict()  # ids of deliveries that are dealt with; those beyond the tolerance need not be kept


def is_signed(headers, body):
    """Whether the request is signed as Standard Webhooks has it, with one of the keys, a short time ago."""
    try:
        message_id, timestamp = headers["webhook-id"], int(headers["webhook-timestamp"])
        given = headers["webhook-signature"].split()
    except (AttributeError, TypeError, ValueError):
        return False
    if abs(time.time() - timestamp) > TOLERANCE_SECONDS:
        return False
    signed = f"{message_id}.{timestamp}.".encode() + body
    wanted = ["v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in KEYS]
    # compare_digest takes as long for a signature that is nearly right as for any other
    return any(hmac.compare_digest(one.encode(), right.encode()) for one in given for right in wanted)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps the connection open from one event to the next

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))  # as it came: the bytes are what is signed
        if not is_signed(self.headers, body):
            return self.answer(401)
        message_id = self.headers["webhook-id"]
        if message_id not in seen:  # delivered at least once, so maybe twice; and nobody can send it once more
            event = json.loads(body)
            issue = event["data"]["issue"]
            print(f'verified {event["type"]}: #{issue["number"]} "{issue["title"]}"', flush=True)
            seen[message_id] = True
            if len(seen) > 10_000:
                seen.popitem(last=False)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 9021))), Handler).serve_forever()
