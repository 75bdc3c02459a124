"""Answers a page change with the same event plus the page's text, which the wiki's API is asked for.

The answer is a CloudEvent in binary mode: attributes as ce- headers, data as body. Posthorn gives it to the broker
like any event that is posted. Alone: PORT=9012 WIKI_API=http://127.0.0.1:9011 python3 enrich.py
"""

import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

WIKI_API = os.environ.get("WIKI_API", "http://127.0.0.1:9011")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            change = json.loads(body)
            if change["page_change_kind"] == "delete":
                return self.answer(204)  # no text to add, so no event in answer
            meta, revision = change["meta"], change["revision"]
            with urllib.request.urlopen(f'{WIKI_API}/revision/{revision["rev_id"]}', timeout=5) as found:
                page = json.load(found)
        except OSError as error:  # the API is away or has not got the revision yet: Posthorn tries again later
            print("the wiki's API failed:", error, flush=True)
            return self.answer(503)
        except (ValueError, KeyError, TypeError):
            return self.answer(400)  # no page change: to the dead letters

        revision["content_slots"]["main"]["content_body"] = page["source"]
        change["page"]["categories"] = page["categories"]
        # Made of the first event's id: should that be delivered twice, both answers are the same event.
        meta |= {"id": self.headers["ce-id"] + "-content", "stream": "mediawiki.page_content_change.v1"}
        print("enriched", change["page"]["page_title"], flush=True)
        self.answer(
            200,
            {
                "ce-specversion": "1.0",
                "ce-id": meta["id"],
                "ce-source": "/examples/page-change/enrich",
                "ce-type": meta["stream"],
                "ce-subject": quote(change["page"]["page_title"]),
                "Content-Type": "application/json",
            },
            json.dumps(change).encode(),
        )

    def answer(self, status, headers={}, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 9012))), Handler).serve_forever()
