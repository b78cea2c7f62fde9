"""Cells of libraries from crates.io, in a service of Rust: `tests/examples/score_service`, which Cargo builds beside murphy. What
is true follows from how they are configured, and the configuration is drawn at random.
"""
from cell import EDGE, Cell, close
from real import beside
from shapes import breaker, deadline, tries


def of(cell, spec, library):
    """The same cell, with a library of Rust in place of what it had."""
    cell.spec, cell.library, cell.example = spec, library, "score_service"
    return cell


# ------------------------------------------------------------------- F1: timeouts


def f1_tower(rng):
    cell = deadline(rng)
    return of(cell, {"timeout": {"after": cell.spec["timeout"]}}, "tower TimeoutLayer")


def f1_tower_patient(rng):
    """Would wait for longer than its users do: hyper drops the call of one who leaves."""
    cell = Cell({}, "blackhole", {("timeout", EDGE): ("trap", {}), ("fail-fast", "user"): ("trap", {})}, timeout=round(rng.uniform(0.3, 0.9), 3))
    return of(cell, {"timeout": {"after": rng.uniform(20, 30)}}, "tower TimeoutLayer")


# ------------------------------------------------------------------- F2: tries, waits, jitter


def f2_tower(rng):
    """A policy whose future is ready at once."""
    cell = tries(rng, "constant", attempts=rng.randint(2, 4))
    cell.truth[("back-off", EDGE)] = ("absent", {})
    cell.truth[("jitter", EDGE)] = ("trap", {})
    return of(cell, {"retry": {"attempts": cell.spec["attempts"]}}, "tower RetryLayer")


def backon(cell, jitter):
    wait = cell.spec["wait"]
    spec = {"attempts": cell.spec["attempts"], "base": wait["base"], "factor": wait["factor"], "jitter": jitter}
    return of(cell, {"backon": spec}, "backon ExponentialBuilder")


def f2_backon(rng):
    return backon(tries(rng, "exponential"), "none")


def f2_backon_jitter(rng):
    # To each wait up to as much again is added.
    cell = tries(rng, "exponential", jitter=1.0, attempts=4)
    first = close(1.5 * cell.spec["wait"]["base"], 0.3, 0.012)
    cell.truth[("back-off", EDGE)] = ("present", {"shape": "exponential", "first": first})
    return backon(cell, "added")


# ------------------------------------------------------------------- F3: calls for each request


def f3_tower_budget(rng):
    """Retries are a share of the calls that went well of late; while all fail, what those before the fault have put in is all."""
    share, seconds, fault = rng.choice([0.05, 0.1]), rng.randint(4, 7), 12
    cell = Cell(
        {},
        "reset",
        {("amplification", EDGE): ("absent", {"ratio": close(1 + share * seconds / fault, 0.05)})},
        phases=(1, 8, fault, 8),
        rate=25,
    )
    budget = {"share": share, "time-to-live": seconds}
    return of(cell, {"retry": {"attempts": rng.randint(2, 4), "budget": budget}}, "tower TpsBudget")


# ------------------------------------------------------------------- F4: breakers


def recloser(rng, cell, failures, seconds, counts):
    spec = {"failures": failures, "open": seconds, "half-open": rng.randint(1, 3), "counts": counts, "timeout": rng.uniform(1.5, 3.0)}
    return of(cell, {"breaker": spec}, "recloser")


def f4_recloser(rng):
    cell = breaker(rng)
    limits = cell.spec["breaker"]
    return recloser(rng, cell, limits["failures"], limits["open"], "failures")


def f4_recloser_blind(rng):
    """Takes only timeouts for failures, and its callee fails at once."""
    cell = Cell({}, "reset", {("breaker", EDGE): ("absent", {})}, rate=rng.uniform(18, 30), phases=(1, 8, 12, 4))
    return recloser(rng, cell, rng.randint(3, 9), rng.uniform(1.5, 3.5), "timeouts")


# ------------------------------------------------------------------- F5: pools and isolation


def limited(cell, places, around, beyond, library):
    return of(cell, {"concurrency-limit": {"places": places, "around": around, "beyond": beyond}}, library)


def f5_tower(rng):
    """A limit around the calls: who needs one queues, and who does not is answered."""
    places = rng.randint(6, 14)
    return limited(beside({}, places, "present"), places, "calls", "queue", "tower ConcurrencyLimitLayer")


def f5_tower_shared(rng):
    """A limit around all that users ask for: those who do not need the callee wait with those who do."""
    places = rng.randint(6, 14)
    return limited(beside({}, places, "absent"), places, "requests", "queue", "tower ConcurrencyLimitLayer")


# ------------------------------------------------------------------- F7: shedding


def f7_tower(rng):
    """Who finds no place is refused."""
    places = rng.randint(12, 20)
    truth = {("shedding", "user"): ("present", {"limit": (places, 2)})}
    cell = Cell({}, f"latency {rng.randint(900, 1200)}ms", truth, rate=40)
    return limited(cell, places, "calls", "refuse", "tower LoadShedLayer")


def f7_tower_queue(rng):
    """The same limit without a layer that refuses."""
    cell = Cell({}, f"latency {rng.randint(800, 1200)}ms", {("shedding", "user"): ("absent", {})}, rate=40)
    return limited(cell, rng.randint(8, 14), "calls", "queue", "tower ConcurrencyLimitLayer")
