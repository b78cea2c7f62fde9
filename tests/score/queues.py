"""Cells of the score in which a write is acknowledged when it is in a queue, and has its effect later, or more than once, or never.

What the consumer really did stands in a log of its own; what is kept, with the dead letters, or queued still, is looked up where it
stands when all is over. Cells that are about a second delivery are no runs at all if there was none.
"""
from cell import Cell

ALL = ("read", "dead-letters", "queued")
NONE = ("absent", {})
# None lost, and so many with the dead letters, and queued still.
ELSEWHERE = ("absent", {"dead-lettered": ("dead-letters", 0), "queued": ("queued", 0)})


def queue(rng, how, lost=NONE, twice=NONE, **more):
    how = {"workers": rng.randint(6, 10), "again": rng.uniform(0.1, 0.3), **how}
    spec = {"timeout": rng.uniform(0.2, 0.3), "queue": how, **more.pop("spec", {})}
    truth = {("lost", "user"): lost, ("duplicates", "user"): twice}
    fault = more.pop("fault", None) or rng.choice(["reset", "abort 503"])
    return Cell(spec, fault, truth, store=more.pop("store", {}), rate=more.pop("rate", rng.uniform(30, 50)), phases=(1, 8, 6, 8), timeout=5, **more)


def late(rng):
    """Answers come when the consumer has given them up, and the effect is there all the same."""
    return f"latency {rng.randint(400, 700)}ms"


def until_dead(rng):
    return {"deliveries": rng.randint(2, 5), "then": "dead"}


# Of so many writes one can never be handled.
def poison(rng):
    return rng.randint(9, 20)


# A call that the fault meets under way may have had its effect.
PENDING = ("pending", {})
# No fault asks for it, but where the machine stalls a message is delivered again to somebody else while its effect is under way: what
# the store has tells.
SELDOM = ("counted", {"duplicates": ("twice", 0)})
LOST, TWICE = ("present", {"lost": ("lost", 0)}), ("present", {"duplicates": ("twice", 0)})


def f10_redelivered(rng):
    """A delivery that timed out is made once more, and the effect as well."""
    return queue(rng, {}, twice=TWICE, fault=late(rng), again_at_least=1)


def f10_redelivered_known(rng):
    """Delivered as often, but the store knows which effects it has."""
    return queue(rng, {}, fault=late(rng), store={"unique": True}, again_at_least=1)


def f10_dropped(rng):
    """Given up after some deliveries, and nobody keeps what is."""
    return queue(rng, {"deliveries": rng.randint(1, 4), "then": "drop"}, lost=LOST, twice=SELDOM)


def f10_dead_letters(rng):
    """Given up just so, and what is stands with the dead letters."""
    return queue(rng, until_dead(rng), store={"poison": poison(rng)}, lost=ELSEWHERE, twice=SELDOM, reads=ALL, again_at_least=1)


def f10_still_queued(rng):
    """What failed once is delivered again only when all is over."""
    return queue(rng, {"again": rng.uniform(50, 90)}, lost=ELSEWHERE, twice=PENDING, reads=ALL)


def f10_queue_behind(rng):
    """A queue that grows all the time: most of what has no effect yet will have one."""
    rate, workers = rng.uniform(35, 45), rng.randint(2, 4)
    how = {"workers": workers, "takes": workers / (rate * rng.uniform(0.4, 0.5))}
    return queue(rng, how, lost=("trap", {}), twice=("trap", {}), rate=rate, fault="latency 50ms")


def stream(rng, how, library, **more):
    store = {"save": "", "appendonly": "yes", "appendfsync": "always"}
    # Longer than an effect is waited for: else a message is claimed from who is still at it.
    how = {"again": rng.uniform(0.35, 0.5), **how}
    cell = queue(rng, how, store=store, spec={"library": "redis_stream", "protocol": 2}, callee="redis", fault=more.pop("fault", "reset"), **more)
    cell.library = library
    return cell


def f10_stream_redelivered(rng):
    return stream(rng, {}, "Redis XAUTOCLAIM, RPUSH", twice=TWICE, fault=late(rng), again_at_least=1)


def f10_stream_redelivered_known(rng):
    return stream(rng, {"known": True}, "Redis XAUTOCLAIM, SADD", fault=late(rng), again_at_least=1)


def f10_stream_forgets(rng):
    """Acknowledges a message before its effect: delivered at most once."""
    return stream(rng, {"forgets": True}, "Redis XACK first", lost=LOST)


def f10_stream_dead_letters(rng):
    how = {**until_dead(rng), "poison": poison(rng)}
    return stream(rng, how, "Redis XAUTOCLAIM, dead letters", lost=ELSEWHERE, twice=SELDOM, reads=ALL, again_at_least=1)


def f10_stream_pending(rng):
    """Claimed by nobody until all is over."""
    return stream(rng, {"again": rng.uniform(50, 90)}, "Redis XAUTOCLAIM, long idle time", lost=ELSEWHERE, twice=PENDING, reads=ALL)
