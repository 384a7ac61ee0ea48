"""The smallest platform process: ready at once on ELSON_PORT, ends at SIGTERM. Its argument makes it misbehave."""

from __future__ import annotations

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


behaviour = sys.argv[1] if len(sys.argv) > 1 else "serve"
if behaviour == "refuse":
    sys.exit("no lease for the likes of me")
if behaviour == "dawdle":
    print("thinking about it", flush=True)  # noqa: T201
    time.sleep(60)
HTTPServer((os.environ["ELSON_HOST"], int(os.environ["ELSON_PORT"])), Answer).serve_forever()
