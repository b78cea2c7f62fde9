"""Queues and who consumes them: each message is a write that was acknowledged when it was put there, and has its effect later.

Both kinds take from a spec's `queue`: workers, deliveries (so many of a message at most; any number if left out), then (`dead`: what
was delivered so often stands with the dead letters; else it is dropped), again (seconds until a message whose delivery failed is
delivered once more), takes (seconds that a delivery takes besides). `log` is a file in which what really happened stands, a word and
an id each: acked, delivered, done, dead, dropped.
"""
import asyncio
import collections
import threading
import time


class Log:
    def __init__(self, path):
        self.file, self.lock = open(path, "a"), threading.Lock()

    def __call__(self, word, one):
        with self.lock:
            self.file.write(f"{word} {one}\n")
            self.file.flush()


class Queue:
    """Of our own, in the memory of the caller. `effect(id)` is awaited, and raises where it failed."""

    def __init__(self, spec, effect):
        self.spec, self.effect, self.log = spec, effect, Log(spec["log"])
        # How often each message that is still queued, or under way, was delivered.
        self.queued, self.dead = {}, []
        self.waiting, self.workers = collections.deque(), []
        self.filled = asyncio.Event()

    def put(self, one):
        self.workers = self.workers or [asyncio.ensure_future(self.work()) for _ in range(self.spec["workers"])]
        self.queued[one] = 0
        self.log("acked", one)
        self.deliver_again(one)

    def deliver_again(self, one):
        self.waiting.append(one)
        self.filled.set()

    async def work(self):
        while True:
            while not self.waiting:
                self.filled.clear()
                await self.filled.wait()
            one = self.waiting.popleft()
            self.queued[one] += 1
            self.log("delivered", one)
            try:
                await asyncio.sleep(self.spec.get("takes", 0.0))
                await self.effect(one)
                self.leaves("done", one)
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                self.failed(one)

    def failed(self, one):
        if self.queued[one] < self.spec.get("deliveries", 1e9):
            asyncio.get_running_loop().call_later(self.spec["again"], self.deliver_again, one)
        elif self.spec.get("then") == "dead":
            self.dead.append(one)
            self.leaves("dead", one)
        else:
            self.leaves("dropped", one)

    def leaves(self, word, one):
        del self.queued[one]
        self.log(word, one)


class Stream:
    """A stream of Redis and a group of consumers. The queue itself is asked for at `at`, past the edge; effects pass the edge.

    poison (one of so many cannot be handled, whatever is well), known (an effect that is there already is not made again), forgets
    (a message is acknowledged before its effect)
    """

    NAME, GROUP, DEAD = "queue", "workers", "dead"

    def __init__(self, spec, queue, effects):
        import redis

        self.spec, self.queue, self.effects, self.log = spec, queue, effects, Log(spec["log"])
        self.failures = (redis.RedisError, OSError, ValueError)
        queue.xgroup_create(self.NAME, self.GROUP, id="0", mkstream=True)
        for number in range(spec["workers"]):
            threading.Thread(target=self.work, args=(f"worker-{number}",), daemon=True).start()

    def put(self, path):
        one = path[len("/write/"):]
        added = self.queue.xadd(self.NAME, {"id": one})
        self.log("acked", one)
        return added

    def work(self, name):
        cursor = "0-0"
        while True:
            cursor, claimed, *_ = self.queue.xautoclaim(self.NAME, self.GROUP, name, int(self.spec["again"] * 1000), cursor, count=1)
            if not claimed:
                came = self.queue.xreadgroup(self.GROUP, name, {self.NAME: ">"}, count=1, block=50)
                claimed = next(iter(dict(came).values())) if came else []
            # That of an answer in protocol 3 stands in one list more.
            for entry, fields in claimed[0] if claimed and isinstance(claimed[0], list) else claimed:
                self.deliver(entry, fields[b"id"].decode())

    def deliver(self, entry, one):
        self.log("delivered", one)
        if self.spec.get("forgets"):
            self.leaves(entry)
        try:
            time.sleep(self.spec.get("takes", 0.0))
            self.effect(one)
        except self.failures:
            self.failed(entry, one)
            return
        self.log("done", one)
        self.leaves(entry)

    def effect(self, one):
        if is_poison(one, self.spec):
            raise ValueError("cannot be handled")
        if self.spec.get("known"):
            self.effects.sadd("known", one)
        else:
            self.effects.rpush("writes", one)

    def failed(self, entry, one):
        if self.spec.get("forgets"):
            self.log("dropped", one)
            return
        pending = self.queue.xpending_range(self.NAME, self.GROUP, entry, entry, 1)
        if pending[0]["times_delivered"] < self.spec.get("deliveries", 1e9):
            return  # pending, and claimed by whoever comes first when it has been so for long enough
        if self.spec.get("then") == "dead":
            self.queue.rpush(self.DEAD, one)
        self.log("dead" if self.spec.get("then") == "dead" else "dropped", one)
        self.leaves(entry)

    def leaves(self, entry):
        both = self.queue.pipeline()
        both.xack(self.NAME, self.GROUP, entry)
        both.xdel(self.NAME, entry)
        both.execute()


def is_poison(one, spec):
    """True for one of so many writes, by the last digits of its id: it cannot be handled, however often it is delivered."""
    return "poison" in spec and int(one[-6:], 16) % spec["poison"] == 0
