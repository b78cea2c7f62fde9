"""Cells of the score that are about breakers, and about what looks like one."""
import math

from cell import EDGE, Cell, close
from shapes import breaker, closing

# Behind a breaker calls are few, and most requests make none.
VEILED = ("veiled", {})


def f4_breaker(rng):
    return breaker(rng)


def f4_tried_through(rng):
    """Each try passes the breaker, and is lost in no time while that is open."""
    cell = breaker(rng)
    cell.spec.update(attempts=rng.randint(2, 3))
    cell.truth[("attempts", EDGE)] = VEILED
    return cell


def f4_tenacity(rng):
    cell = breaker(rng, library=("tenacity", "tenacity around pybreaker"))
    cell.spec.update(attempts=rng.randint(2, 3), wait={"shape": "constant", "base": rng.uniform(0.01, 0.02)})
    cell.truth[("attempts", EDGE)] = VEILED
    return cell


def f4_around_tries(rng):
    """A call counts once for the breaker, however often it is tried."""
    cell, attempts = breaker(rng), rng.randint(2, 3)
    limits = cell.spec["breaker"]
    cell.spec.update(attempts=attempts, breaker={**limits, "around": True})
    state, told = cell.truth[("breaker", EDGE)]
    calls = limits["failures"] * attempts
    cell.truth[("breaker", EDGE)] = (state, {**told, "calls-to-open": (calls, attempts), "probes": (attempts, 0)})
    cell.truth[("attempts", EDGE)] = VEILED
    return cell


def stacked(rng, attempts, failures, around):
    """Tries and a breaker, for so long that enough of those who called were alone."""
    window, rate = rng.uniform(1.4, 1.8), 12
    wait = {"shape": "constant", "base": rng.uniform(0.004, 0.008)}
    spec = {"attempts": attempts, "wait": wait, "breaker": {"failures": failures, "open": window, "around": around}}
    opens = (failures * attempts, attempts) if around else (failures, 1)
    told = {"calls-to-open": opens, "silence": close(window, 0.05, 0.12), "probes": (attempts if around else 1, 0)}
    truth = {
        ("breaker", EDGE): ("present", told),
        # Most who call do so while it is half open, and it opens again behind them: more than so many tries may have been due.
        ("attempts", EDGE): ("present", {"least": (attempts, 0)}),
        # There are fewer calls than in health, tried again or not.
        ("amplification", EDGE): ("absent", {}),
    }
    return Cell(spec, "reset", truth, phases=(1, 12, math.ceil(36 * (window + 0.1)), 6), rate=rate, arrivals="constant")


def f4_tries_inside(rng):
    return stacked(rng, rng.randint(2, 4), rng.randint(3, 9), around=True)


def f4_tries_outside(rng):
    attempts = rng.randint(2, 3)
    return stacked(rng, attempts, attempts + rng.randint(1, 5), around=False)


def f4_rate(rng):
    """Opens once so many of so many calls have failed; those before the fault were good."""
    cell = breaker(rng)
    of, share = rng.randint(10, 24), rng.uniform(0.3, 0.6)
    cell.spec["breaker"] = {"of": of, "share": share, "open": cell.spec["breaker"]["open"]}
    state, told = cell.truth[("breaker", EDGE)]
    cell.truth[("breaker", EDGE)] = (state, {**told, "calls-to-open": (math.ceil(share * of), 1)})
    return cell


def f4_hung(rng):
    """Its calls hang, and are given up: those that are under way when it opens fail later."""
    cell = breaker(rng)
    cell.spec["timeout"], cell.fault = rng.uniform(0.15, 0.4), "blackhole"
    state, told = cell.truth[("breaker", EDGE)]
    cell.truth[("breaker", EDGE)] = (state, {"silence": told["silence"]})
    return cell


def f4_closes(rng):
    return closing(rng, breaker(rng))


def f4_pybreaker_closes(rng):
    return closing(rng, breaker(rng, library=("pybreaker", "pybreaker")))


def f4_polled(rng):
    """Without a breaker, and somebody else asks the callee once a second."""
    cell = f4_none(rng)
    cell.spec["polls"] = 1.0
    return cell


def f4_breaker_polled(rng):
    """Somebody else asks the callee once a second, and cuts into the silences; also just before it closes."""
    cell = closing(rng, breaker(rng), times=(5, 6), window=(4.0, 6.0))
    cell.spec["polls"] = 1.0
    closes, off = cell.truth[("breaker", EDGE)][1]["closes"]
    cell.truth = {("breaker", EDGE): ("present", {"closes": (closes, off + 0.2)}), ("fail-fast", "user"): ("present", {})}
    return cell


def f4_throttle(rng):
    """Turns most of its calls away by chance, the more of late have failed: no breaker, for it never stops for good."""
    spec = {"throttle": {"window": rng.uniform(2.0, 4.0), "factor": 2.0}}
    return Cell(spec, "reset", {("breaker", EDGE): ("trap", {})}, phases=(1, 8, 40, 6), rate=rng.uniform(20, 30))


def f4_pybreaker(rng):
    return breaker(rng, library=("pybreaker", "pybreaker"))


def f4_nginx(rng):
    cell = breaker(rng)
    window = rng.randint(2, 3)
    cell.spec = {"max_fails": rng.randint(1, 3), "fail_timeout": window, "timeout": 1, "attempts": 1}
    cell.truth = {("breaker", EDGE): ("present", {})}
    cell.front, cell.library = "nginx", "nginx max_fails"
    return cell


def f4_long(rng):
    """Opens once, for longer than the fault."""
    cell = breaker(rng)
    cell.spec["breaker"]["open"] = rng.uniform(30.0, 60.0)
    cell.truth = {("breaker", EDGE): ("present", {"calls-to-open": (cell.spec["breaker"]["failures"], 1)})}
    return cell


def f4_none(rng):
    truth = {("breaker", EDGE): ("absent", {}), ("fail-fast", "user"): ("present", {})}
    return Cell({}, "reset", truth, rate=rng.uniform(18, 30), phases=(1, 8, 12, 4))


def f4_retries(rng):
    """Tries again and again, and never stops."""
    spec = {"attempts": rng.randint(2, 3), "wait": {"shape": "exponential", "base": 0.05}}
    return Cell(spec, "reset", {("breaker", EDGE): ("absent", {})}, phases=(1, 8, 12, 4))


def f4_pool(rng):
    """Silent because its pool is full."""
    return Cell({"pool": rng.randint(6, 14)}, "blackhole", {("breaker", EDGE): ("trap", {})}, rate=30)


def f4_exit(rng):
    """Silent because it is dead."""
    return Cell({"die": rng.randint(5, 20)}, "reset", {("breaker", EDGE): ("trap", {}), ("fail-fast", "user"): ("trap", {})})


def f4_cache(rng):
    """Silent because it has a cache."""
    return Cell(
        {"cache": rng.uniform(1.0, 2.5), "timeout": 0.4, "stale": True},
        f"latency {rng.randint(50, 120)}ms",
        {("breaker", EDGE): ("trap", {}), ("fail-fast", "user"): ("trap", {})},
    )
