"""Small services whose behaviour is known because it was asked for: what the detectors of Murphy are held to.

    fixture.py callee --listen HOST:PORT
    fixture.py caller --listen HOST:PORT --upstream HOST:PORT[,HOST:PORT…] --spec JSON [--truth FILE] [--acks FILE]
    fixture.py store --listen HOST:PORT --spec JSON --truth FILE

The store keeps what it is asked for as `/write/ID`, and shows all of it as `/writes`; see `Store`. A caller hands `/write/ID` on;
those that a real library acknowledged stand in the file for acks.

The caller serves `/` (asks the callee), `/free` (does not), `/live` and `/ready`. `spec` says how it treats its callee; see
`Own` for its own loops and `libraries.py` for real libraries. Counts go to the truth file, not through the proxy.
Needs Python 3.9 and nothing else, but for the library that a spec names.
"""
import argparse
import asyncio
import collections
import heapq
import json
import os
import random
import sys
import threading
import time

from consumers import Queue, is_poison
from libraries import LIBRARIES, address

# ---------------------------------------------------------------- a small HTTP server and client, on asyncio

REASONS = {200: "OK", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


async def read_head(reader):
    """The first line and the length of the body; None at the end of the stream."""
    first = await reader.readline()
    if not first:
        return None
    length, close = 0, False
    while True:
        line = (await reader.readline()).strip().lower()
        if not line:
            return first.decode("latin-1").split(), length, close
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        if line == b"connection: close":
            close = True


async def serve(listen, handler, obliging=True):
    """`handler(path)` gives (status, headers, body). `obliging` closes where it is asked to; else the caller must."""

    async def connection(reader, writer):
        try:
            while True:
                head = await read_head(reader)
                if head is None:
                    return
                (_, path, *_), length, close = head
                await reader.readexactly(length)
                task = asyncio.ensure_future(handler(path))
                gone = asyncio.ensure_future(reader.read(1)) if getattr(handler, "cascades", False) else None
                if gone is not None:
                    await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
                    if not task.done():
                        task.cancel()  # the user has left: so does the call
                        return
                    gone.cancel()
                status, headers, body = await task
                more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                writer.write(
                    f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\n{more}\r\n".encode() + body
                )
                await writer.drain()
                if close and obliging or gone is not None:
                    return
        except (ConnectionError, asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connection, *address(listen), backlog=1024)
    async with server:
        await server.serve_forever()


async def get(upstream, keep=None, path="/", ask_to_close=True):
    """One GET on a connection of its own. `keep` gets the connection instead of closing it where the call fails; a callee or a
    proxy that is asked to close does it for the caller."""
    reader, writer = await asyncio.open_connection(*address(upstream))
    try:
        close = "Connection: close\r\n" if ask_to_close else ""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: callee\r\n{close}\r\n".encode())
        await writer.drain()
        head = await read_head(reader)
        if head is None:
            raise ConnectionError("closed without an answer")
        (_, status, *_), length, _ = head
        body = await reader.readexactly(length)
        if status != "200":
            raise ConnectionError(f"status {status}")
    except BaseException:
        if keep is not None:
            keep.append(writer)
        else:
            writer.transport.abort() if not isinstance(sys.exc_info()[1], ConnectionError) else writer.close()
        raise
    writer.close()
    return body


async def callee(args):
    """capacity (requests a second, one after the other, those included whose caller has left), queue (how many may wait; a
    further one is refused), same (answers all with the same body)"""
    spec = json.loads(args.spec)
    each, most = 1.0 / spec["capacity"] if spec.get("capacity") else None, spec.get("queue")
    count, free_at = 0, 0.0

    async def handler(_path):
        nonlocal count, free_at
        count += 1
        if each is None:
            await asyncio.sleep(random.uniform(0.001, 0.004))
        else:
            now = time.monotonic()
            if most is not None and free_at - now > most * each:
                return 503, {}, b"{}"
            free_at = max(free_at, now) + each
            await asyncio.sleep(free_at - now)
        return 200, {}, json.dumps({"count": 1 if spec.get("same") else count}).encode()

    await serve(args.listen, handler, obliging=False)


# ---------------------------------------------------------------- a store


class Store:
    """behind (a write is on disk only so long after it was acknowledged), unique (the same id is kept once), hidden (a write
    is shown only so long after it came), fails (the share that is kept and answered with 500), poison (one of so many is refused,
    and not kept)

    What is kept is in the truth file, and stays if the process is killed. What was acknowledged stands in a file beside it.
    """

    def __init__(self, spec, truth):
        self.spec = spec
        self.file, self.acks = open(truth, "a+"), open(truth + ".acks", "a")
        self.file.seek(0)
        self.kept = [(0.0, line.strip()) for line in self.file]
        self.ids = {one for _, one in self.kept}

    def sync(self, one):
        self.file.write(one + "\n")
        self.file.flush()

    async def __call__(self, path):
        if path == "/writes":
            now, hidden = time.monotonic(), self.spec.get("hidden", 0.0)
            shown = [one for at, one in self.kept if now - at >= hidden]
            return 200, {}, json.dumps({"writes": shown}).encode()
        if not path.startswith("/write/"):
            return 200, {}, b"{}"
        one = path[len("/write/"):]
        if is_poison(one, self.spec):
            return 422, {}, b"{}"
        if not (self.spec.get("unique") and one in self.ids):
            self.ids.add(one)
            self.kept.append((time.monotonic(), one))
            behind = self.spec.get("behind")
            if behind:
                asyncio.get_running_loop().call_later(behind, self.sync, one)
            else:
                self.sync(one)
        if random.random() < self.spec.get("fails", 0.0):
            return 500, {}, b"{}"
        self.acks.write(one + "\n")
        self.acks.flush()
        return 200, {}, b"{}"


async def store(args):
    await serve(args.listen, Store(json.loads(args.spec), args.truth))


# ---------------------------------------------------------------- a caller with loops of its own


class Truth:
    """What really happened, on a way that does not pass the proxy."""

    def __init__(self, path):
        self.path, self.counts, self.lock = path, {}, threading.Lock()

    def count(self, what, by=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + by

    def write(self):
        if self.path:
            with self.lock, open(self.path, "w") as file:
                json.dump(self.counts, file)


class Own:
    """timeout, attempts, wait {shape, base, factor, cap, jitter}, budget, breaker {failures (in a row), or of and share (so many of
    so many calls of late), open, around (counts all tries of a call as one)}, throttle {window, factor} (turns calls away by
    chance, the more of late have failed), pool, shared, shed, stale, silent (says nothing of a stale answer), says (what an answer
    of its own is said to be, in place of the callee's), empty (that answer has no body), fan, hedge, leak, keeps (leaks no more
    than so many), die, poison, cache, cool, live and ready (see `Check`), remembers (for so long, what a check heard), polls (asks
    its callee now and then for itself), herd {connections, spread}, forgets (the share of calls that wait without end), needs (the
    share of requests that make a call), work {places, time, queue} (answers by
    itself: so many requests at once, each for so long, and so many that wait; any number if left out), queue (writes are
    acknowledged at once and have their effect later, see `consumers.py`); and before it listens,
    start {takes (seconds), needs (waits, ends: what it does while its callee does not answer)}"""

    def __init__(self, spec, upstream, truth):
        self.spec, self.upstream, self.truth = spec, upstream, truth
        self.places = asyncio.Semaphore(spec["pool"]) if spec.get("pool") else None
        self.running, self.last_good, self.last_good_at = 0, None, 0.0
        self.failures, self.open_until, self.trying = 0, 0.0, False
        self.results = collections.deque(maxlen=spec.get("breaker", {}).get("of", 1))
        self.leaked, self.tokens, self.bad_until = [], 5.0, 0.0
        self.cached_until = 0.0
        self.of_late = collections.deque()
        self.live, self.ready = (Check(self, spec.get(which, "shallow")) for which in ("live", "ready"))
        self.free_at = [0.0] * spec.get("work", {}).get("places", 0)
        self.queue = Queue(spec["queue"], self.effect) if "queue" in spec else None

    async def worked(self):
        """By the clock: who wakes late takes nothing from those who come after. Whose user has left is worked for all the same."""
        work, now = self.spec["work"], time.monotonic()
        wait = max(self.free_at[0] - now, 0.0)
        if "queue" in work and wait > work["queue"] * work["time"] / work["places"]:
            self.truth.count("refused")
            return 503, {}, b"{}"
        end = now + wait + work["time"]
        heapq.heapreplace(self.free_at, end)
        await asyncio.sleep(end - now)
        return 200, {}, b"{}"

    async def effect(self, one):
        """Of a message that was queued."""
        await asyncio.wait_for(get(self.upstream, path=f"/write/{one}"), self.spec["timeout"])

    async def handed_on(self, path):
        """A write for the store."""
        if self.queue:
            self.queue.put(path[len("/write/"):])
            return 200, {}, b"{}"
        for _ in range(self.spec.get("attempts", 1)):
            try:
                await asyncio.wait_for(get(self.upstream, path=path), self.spec["timeout"])
                return 200, {}, b"{}"
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                pass
        return 502, {}, b"{}"

    async def call(self):
        self.truth.count("calls")
        keep = self.leaked if self.spec.get("leak") and len(self.leaked) < self.spec.get("keeps", 1e9) else None
        wait = self.spec.get("timeout")
        if wait is None or random.random() < self.spec.get("forgets", 0.0):
            return await get(self.upstream, keep)
        return await asyncio.wait_for(get(self.upstream, keep, ask_to_close="leak" not in self.spec), wait)

    def wait(self, index):
        how = self.spec.get("wait")
        if not how:
            return 0.0
        base = how["base"]
        wait = {
            "constant": base,
            "linear": base * (index + 1),
            "exponential": base * how.get("factor", 2.0) ** index,
        }[how["shape"]]
        wait = min(wait, how.get("cap", 1e9))
        jitter = how.get("jitter")
        if jitter == "full":
            return random.uniform(0.0, wait)
        return wait * (1.0 + random.uniform(-1.0, 1.0) * (jitter or 0.0))

    async def throttled(self):
        """A call, unless it is turned away: client-side throttling as in the book on site reliability engineering, chapter 21."""
        how = self.spec.get("throttle")
        if how is None:
            return await self.call()
        now = time.monotonic()
        while self.of_late and self.of_late[0][0] < now - how["window"]:
            self.of_late.popleft()
        accepts = sum(good for _, good in self.of_late)
        wanted = [now, False]
        self.of_late.append(wanted)
        if random.random() < (len(self.of_late) - how["factor"] * accepts) / (len(self.of_late) + 1):
            raise ConnectionError("turned away")
        body = await self.call()
        wanted[1] = True
        return body

    async def guarded(self, call):
        """A call through the breaker."""
        limits = self.spec.get("breaker")
        now = time.monotonic()
        if limits and self.is_tripped(limits):
            if now < self.open_until or self.trying:
                raise ConnectionError("open")
            self.trying = True
        try:
            body = await call()
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            self.failures += 1
            self.results.append(False)
            if limits and self.is_tripped(limits):
                self.open_until = time.monotonic() + limits["open"]
                self.truth.count("opened")
            raise
        finally:
            self.trying = False
        self.failures = 0
        if limits and self.is_tripped(limits):
            self.results.clear()
        self.results.append(True)
        return body

    def is_tripped(self, limits):
        if "of" in limits:
            return len(self.results) == limits["of"] and self.results.count(False) >= limits["share"] * limits["of"]
        return self.failures >= limits["failures"]

    async def tried(self):
        if self.spec.get("breaker", {}).get("around"):
            return await self.guarded(lambda: self.repeated(self.throttled))
        return await self.repeated(lambda: self.guarded(self.throttled))

    async def repeated(self, call):
        attempts = self.spec.get("attempts", 1)
        for index in range(attempts):
            try:
                if self.spec.get("hedge"):
                    return await self.hedged()
                return await call()
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                if index + 1 == attempts or not self.may_retry():
                    raise
                await asyncio.sleep(self.wait(index))

    def may_retry(self):
        budget = self.spec.get("budget")
        if budget is None:
            return True
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True

    async def hedged(self):
        first = asyncio.ensure_future(self.call())
        done, _ = await asyncio.wait({first}, timeout=self.spec["hedge"])
        if done:
            return first.result()
        second = asyncio.ensure_future(self.call())
        done, left = await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        return done.pop().result()

    async def asked(self):
        if self.places is None:
            return await self.tried()
        async with self.places:
            return await self.tried()

    async def polling(self):
        """Asks for itself, whatever users do."""
        while True:
            await asyncio.sleep(self.spec["polls"])
            try:
                await asyncio.wait_for(get(self.upstream), 0.5)
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                pass

    async def __call__(self, path):
        if path.startswith("/free"):
            if self.places is not None and self.spec.get("shared"):
                async with self.places:
                    return 200, {}, b"{}"
            return 200, {}, b"{}"
        if path.startswith("/live"):
            return await self.live.status(), {}, b"{}"
        if path.startswith("/write/"):
            return await self.handed_on(path)
        if path in ("/queued", "/dead"):
            return 200, {}, json.dumps(list(self.queue.queued if path == "/queued" else self.queue.dead)).encode()
        if path == "/" and "work" in self.spec:
            return await self.worked()
        if path.startswith("/ready"):
            return await self.ready.status(), {}, b"{}"
        if self.spec.get("poison") and self.truth.counts.get("failed", 0) >= self.spec["poison"]:
            return 502, {}, b"{}"
        if random.random() >= self.spec.get("needs", 1.0):
            return 200, {}, b"{}"
        shed = self.spec.get("shed")
        if shed and self.running >= shed:
            self.truth.count("shed")
            return 503, {"Retry-After": "1"}, b"{}"
        if self.spec.get("budget") is not None:
            self.tokens = min(self.tokens + self.spec["budget"], 5.0)
        now = time.monotonic()
        cache = self.spec.get("cache")
        if cache and now < self.cached_until:
            return 200, {}, self.last_good
        self.running += 1
        try:
            body = b"{}"
            for _ in range(self.spec.get("fan", 1)):
                body = await self.asked()
            self.last_good, self.last_good_at = body, time.monotonic()
            if cache:
                self.cached_until = self.last_good_at + cache
            if time.monotonic() < self.bad_until:
                return 502, {}, b"{}"
            return 200, {}, body
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            self.truth.count("failed")
            if self.spec.get("die") and self.truth.counts["failed"] >= self.spec["die"]:
                self.truth.write()
                os._exit(3)
            if self.spec.get("cool"):
                self.bad_until = time.monotonic() + self.spec["cool"]
            if self.spec.get("stale") and self.last_good is not None:
                age = int(time.monotonic() - self.last_good_at)
                return 200, {} if self.spec.get("silent") else {"X-Served": "stale", "Age": str(age)}, self.last_good
            if "says" in self.spec:
                body = b"" if self.spec.get("empty") else b'{"count": 0}'
                return 200, {"X-Served": self.spec["says"]} if self.spec["says"] else {}, body
            return self.spec.get("error", 502), {}, b"{}"
        finally:
            self.running -= 1


class Check:
    """A health check: shallow, deep, open (asks, and does not care), {flaps: {bad, good}} (while its callee does not answer it is bad
    so many times and then good so many times, again and again), {restless: {bad, good}} (the same, whatever its callee does)"""

    def __init__(self, own, how):
        self.own, self.how, self.heard = own, how, None
        self.turns = how.get("flaps") or how.get("restless") if isinstance(how, dict) else None
        self.asked, self.last = 0, None

    async def status(self):
        if self.how == "shallow":
            return 200
        if self.turns and "restless" in self.how:
            return self.turn()
        if self.heard is None or time.monotonic() - self.heard[0] > self.own.spec.get("remembers", 0.0):
            try:
                await asyncio.wait_for(get(self.own.upstream), 0.5)
                status, self.asked, self.last = 200, 0, None
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                status = 200 if self.how == "open" else self.turn() if self.turns else 503
            self.heard = time.monotonic(), status
        return self.heard[1]

    def turn(self):
        is_bad = self.asked % (self.turns["bad"] + self.turns["good"]) < self.turns["bad"]
        if self.last not in (None, is_bad):
            self.own.truth.count("flips")
        self.asked, self.last = self.asked + 1, is_bad
        return 503 if is_bad else 200


class Balanced:
    """A caller of several instances of one callee. `balance`: retry (at the next one), eject {failures, seconds}, breaker
    {failures, seconds} (over all of them), sticky (one connection, kept to the last one)"""

    def __init__(self, spec, upstreams, truth):
        self.how, self.wait = spec["balance"], spec["timeout"]
        self.upstreams, self.truth = upstreams, truth
        self.turn, self.open_until = 0, 0.0
        self.failures, self.out_until = [0] * len(upstreams), [0.0] * len(upstreams)
        self.kept, self.lock = None, asyncio.Lock()

    async def __call__(self, path):
        if path != "/":
            return 200, {}, b"{}"
        if time.monotonic() < self.open_until:
            return 503, {}, b"{}"
        if self.how.get("sticky"):
            async with self.lock:
                return await self.over_the_kept_one()
        self.turn += 1
        order = [(self.turn + index) % len(self.upstreams) for index in range(len(self.upstreams))]
        order = [one for one in order if time.monotonic() >= self.out_until[one]]
        for one in order if self.how.get("retry") else order[:1]:
            eject = self.how.get("eject")
            if eject and self.failures[one] >= eject["failures"]:
                self.out_until[one] = time.monotonic() + eject["seconds"]  # one try alone
            try:
                body = await asyncio.wait_for(get(self.upstreams[one]), self.wait)
                self.failures[one], self.out_until[one] = 0, 0.0
                return 200, {}, body
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                self.failed(one, eject)
        return 502, {}, b"{}"

    def failed(self, one, eject):
        self.failures[one] += 1
        if eject and self.failures[one] >= eject["failures"]:
            self.out_until[one] = time.monotonic() + eject["seconds"]
        breaker = self.how.get("breaker")
        if breaker and self.failures[one] >= breaker["failures"]:
            self.open_until = time.monotonic() + breaker["seconds"]

    async def over_the_kept_one(self):
        if self.kept is None:
            self.kept = await asyncio.open_connection(*address(self.upstreams[-1]))
        reader, writer = self.kept
        writer.write(b"GET / HTTP/1.1\r\nHost: callee\r\n\r\n")
        head = await read_head(reader)
        if head is None:
            self.kept = None
            return 502, {}, b"{}"
        return 200, {}, await reader.readexactly(head[1])


async def herd(spec, upstream):
    """Holds connections open, as a pool does, and opens each anew when it breaks."""

    async def member():
        while True:
            try:
                reader, writer = await asyncio.open_connection(*address(upstream))
                while await reader.read(100):
                    pass
                writer.close()
            except OSError:
                pass
            wait = spec["wait"]
            await asyncio.sleep(random.uniform(0.0, 2.0 * wait) if spec["spread"] else wait)

    await asyncio.gather(*(member() for _ in range(spec["connections"])))


async def prepared(start, upstream):
    """What a caller does before it listens."""
    await asyncio.sleep(start.get("takes", 0.0))
    while start.get("needs"):
        try:
            await asyncio.wait_for(get(upstream), 1.0)
            return
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            if start["needs"] == "ends":
                sys.exit("the callee does not answer")
            await asyncio.sleep(0.2)


async def caller(args):
    spec, truth = json.loads(args.spec), Truth(args.truth)
    await prepared(spec.get("start", {}), args.upstream)

    async def note():
        while True:
            await asyncio.sleep(0.5)
            truth.write()

    noting = asyncio.ensure_future(note())
    if spec.get("library"):
        from concurrent.futures import ThreadPoolExecutor

        call = LIBRARIES[spec["library"]](spec, args.upstream)
        threads = ThreadPoolExecutor(max_workers=200)
        acks = open(args.acks, "a") if args.acks else None

        async def handler(path):
            if path != "/" and not path.startswith("/write/"):
                return 200, {}, b"{}"
            truth.count("requests")
            try:
                body = await asyncio.get_running_loop().run_in_executor(threads, call, path)
            except Exception as error:  # whatever a library makes of a failure
                truth.count(type(error).__name__)
                return 502, {}, b"{}"
            if acks and path != "/":
                acks.write(path[len("/write/"):] + "\n")
                acks.flush()
            return 200, {}, body
    else:
        upstreams = args.upstream.split(",")
        own = Balanced(spec, upstreams, truth) if "balance" in spec else Own(spec, args.upstream, truth)

        async def handler(path):
            return await own(path)

        handler.cascades = bool(spec.get("cascades"))
    own_herd = spec.get("herd") and not spec.get("library")
    polling = asyncio.ensure_future(own.polling()) if spec.get("polls") and not spec.get("library") else None
    holding = asyncio.ensure_future(herd(spec["herd"], args.upstream)) if own_herd else None
    try:
        await serve(args.listen, handler)
    finally:
        noting.cancel()
        for task in filter(None, (holding, polling)):
            task.cancel()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["callee", "caller", "store"])
    parser.add_argument("--listen", required=True)
    parser.add_argument("--upstream")
    parser.add_argument("--spec", default="{}")
    parser.add_argument("--truth")
    parser.add_argument("--acks")
    args = parser.parse_args()
    try:
        asyncio.run({"callee": callee, "caller": caller, "store": store}[args.role](args))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
