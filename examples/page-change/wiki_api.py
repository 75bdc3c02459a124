"""A wiki's API in small: GET /revision/ID answers with the text of that revision. Alone: PORT=9011 python3 wiki_api.py"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REVISIONS = {
    1001: {"source": "'''Zürich''' is the largest city of [[Switzerland]].", "categories": ["Cities in Switzerland"]},
    1002: {"source": "The '''post horn''' is a brass instrument without valves.", "categories": ["Brass instruments"]},
    1003: {"source": "'''Ōsaka''' lies at the mouth of the [[Yodo River]].", "categories": ["Cities in Japan", "Ports"]},
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind, _, name = self.path.strip("/").partition("/")
        revision = REVISIONS.get(int(name)) if kind == "revision" and name.isdecimal() else None
        body = json.dumps(revision or {"error": "no such revision"}).encode()
        self.send_response(200 if revision else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 9011))), Handler).serve_forever()
