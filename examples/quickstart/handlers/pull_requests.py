"""Prints pull requests as they are opened. Alone: PORT=9002 python3 pull_requests.py"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps the connection open from one event to the next

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            pull = json.loads(body)["pull_request"]
            print(f'{self.headers["ce-type"]}: {pull["user"]["login"]} opened "{pull["title"]}"', flush=True)
            self.answer(200)
        except (ValueError, KeyError, TypeError):
            self.answer(400)  # not tried again: the event goes to the dead letters

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 9002))), Handler).serve_forever()
