"""The shop's web service: products through a cache, orders through payments into the database.

It is written to degrade gracefully. Every call has a limit in time. Without the cache, products come from the database.
Without payments, an order is taken as `pending` (202). Without the database, products come from the cache as long as they
are there, and what cannot be done is refused at once with 503 and Retry-After. CARELESS=1 takes all of that out.
"""
import json
import os
import queue
import select
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2
import psycopg2.extensions
import redis

CARELESS = bool(os.environ.get("CARELESS"))
CACHE_TIMEOUT = 60 if CARELESS else 0.1
DB_TIMEOUT = 60 if CARELESS else 1.0
PAYMENTS_TIMEOUT = 60 if CARELESS else 0.8
POOL_SIZE = 8
POOL_WAIT = 60 if CARELESS else 0.3
FRESH_FOR = 30


class Unavailable(Exception):
    """Something that is needed is not there now; the caller may ask again."""


class Breaker:
    """After three failures in a row, nothing is asked for a second; then one call tries."""

    def __init__(self):
        self.failures, self.closed_again_at, self.lock = 0, 0.0, threading.Lock()

    def allows(self):
        with self.lock:
            if CARELESS or self.failures < 3:
                return True
            if time.monotonic() < self.closed_again_at:
                return False
            self.closed_again_at = time.monotonic() + 1
            return True

    def note(self, ok):
        with self.lock:
            self.failures = 0 if ok else self.failures + 1
            self.closed_again_at = time.monotonic() + 1


def wait_in_time(connection):
    """psycopg2's hook: waits for the server, but not for ever. A limit in the server is no use when it is frozen."""
    deadline = time.monotonic() + DB_TIMEOUT
    while True:
        state = connection.poll()
        if state == psycopg2.extensions.POLL_OK:
            return
        left = deadline - time.monotonic()
        reading = [connection.fileno()] if state == psycopg2.extensions.POLL_READ else []
        writing = [connection.fileno()] if state == psycopg2.extensions.POLL_WRITE else []
        if left <= 0 or select.select(reading, writing, [], left) == ([], [], []):
            raise psycopg2.OperationalError(f"the database did not answer within {DB_TIMEOUT:g} s")


psycopg2.extensions.set_wait_callback(wait_in_time)


class Database:
    """A few connections that are shared; one that failed is thrown away."""

    def __init__(self, where):
        self.where, self.places, self.breaker = where, queue.LifoQueue(), Breaker()
        for _ in range(POOL_SIZE):
            self.places.put(None)

    def run(self, statement, values):
        if not self.breaker.allows():
            raise Unavailable("database: breaker open")
        try:
            connection = self.places.get(timeout=POOL_WAIT)
        except queue.Empty:
            raise Unavailable("database: all connections are busy") from None
        try:
            if connection is None:
                connection = psycopg2.connect(self.where)
                connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                rows = cursor.fetchall() if cursor.description else []
            self.breaker.note(True)
            return rows
        except psycopg2.Error as error:
            self.breaker.note(False)
            if connection is not None:
                try:
                    connection.close()
                except psycopg2.Error:
                    pass
                connection = None
            raise Unavailable(f"database: {error}".strip()) from None
        finally:
            self.places.put(connection)


database = Database(os.environ["DATABASE"])
cache_host, cache_port = os.environ["CACHE"].rsplit(":", 1)
cache = redis.Redis(
    host=cache_host,
    port=int(cache_port),
    socket_timeout=CACHE_TIMEOUT,
    socket_connect_timeout=CACHE_TIMEOUT,
    retry_on_timeout=False,
)
cache_breaker, payments_breaker = Breaker(), Breaker()


def in_cache(action):
    """Asks the cache; `None` if it cannot answer now. The careless shop cannot do without it."""
    if not cache_breaker.allows():
        return None
    try:
        answer = action(cache)
        cache_breaker.note(True)
        return answer
    except redis.RedisError as error:
        cache_breaker.note(False)
        if CARELESS:
            raise Unavailable(f"cache: {error}") from None
        return None


def product(number):
    key = f"product:{number}"
    kept = in_cache(lambda c: c.get(key))
    if kept is not None:
        return json.loads(kept)
    rows = database.run("SELECT id, name, cents FROM products WHERE id = %s", (number,))
    if not rows:
        return None
    found = dict(zip(("id", "name", "cents"), rows[0]))
    in_cache(lambda c: c.set(key, json.dumps(found), ex=FRESH_FOR))
    return found


def charge(key, cents):
    """True if it is paid. The key makes a repeated charge harmless, so one repetition is allowed."""
    body = json.dumps({"key": key, "cents": cents}).encode()
    for _ in range(1 if CARELESS else 2):
        if not payments_breaker.allows():
            break
        request = urllib.request.Request(
            os.environ["PAYMENTS"] + "/charge", data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=PAYMENTS_TIMEOUT) as answer:
                answer.read()
            payments_breaker.note(True)
            return True
        except (OSError, urllib.error.URLError) as error:
            payments_breaker.note(False)
            print(f"payments: {error}", file=sys.stderr)
    if CARELESS:
        raise Unavailable("payments")
    return False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, headers=()):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def carefully(self, action):
        try:
            action()
        except Unavailable as error:
            print(error, file=sys.stderr)
            self.answer(503, {"error": "try again"}, [("Retry-After", "1")])

    def do_GET(self):
        self.carefully(self.get)

    def do_POST(self):
        self.carefully(self.post)

    def get(self):
        head, _, tail = self.path.strip("/").partition("/")
        if head == "health":
            return self.answer(200, {"ok": True})
        if head == "ready":
            database.run("SELECT 1", ())
            return self.answer(200, {"ready": True})
        if head == "products" and tail.isdigit():
            found = product(int(tail))
            return self.answer(200, found) if found else self.answer(404, {"error": "no such product"})
        self.answer(404, {"error": "no such page"})

    def post(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/orders":
            return self.answer(404, {"error": "no such page"})
        try:
            number = int(json.loads(text)["product"])
        except (ValueError, KeyError, TypeError):
            return self.answer(400, {"error": "want {product}"})
        found = product(number)
        if found is None:
            return self.answer(404, {"error": "no such product"})
        key = self.headers.get("Idempotency-Key") or uuid.uuid4().hex
        state = "paid" if charge(key, found["cents"]) else "pending"
        database.run(
            "INSERT INTO orders (key, product, state) VALUES (%s, %s, %s)"
            " ON CONFLICT (key) DO UPDATE SET state = EXCLUDED.state",
            (key, number, state),
        )
        self.answer(201 if state == "paid" else 202, {"order": key, "state": state})

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("web listens on 8000", "(careless)" if CARELESS else "")
    Server(("0.0.0.0", 8000), Handler).serve_forever()
