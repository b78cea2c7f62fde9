"""Takes payments. The same key is charged once, however often it is asked for."""
import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

charged = {}
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/health":
            return self.answer(200, {"ok": True})
        self.answer(404, {"error": "no such page"})

    def do_POST(self):
        try:
            request = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            key, cents = str(request["key"]), int(request["cents"])
        except (ValueError, KeyError, TypeError):
            return self.answer(400, {"error": "want {key, cents}"})
        if self.path != "/charge":
            return self.answer(404, {"error": "no such page"})
        with lock:
            again = key in charged
            charged.setdefault(key, cents)
        self.answer(200, {"charged": charged[key], "again": again})

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("payments listens on 8000")
    ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
