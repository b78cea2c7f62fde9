"""Cells that a caller's own loop and real libraries have in common: a timeout, tries, a breaker."""
import math

from cell import EDGE, Cell, close


def told_after(wait):
    """Users get an error when the caller has waited for so long, and a little later on a busy machine."""
    return "present", {"errors-p95": close(wait, 0.05, 0.08)}


def deadline(rng, **more):
    wait = rng.uniform(0.15, 0.9)
    return Cell(
        {"timeout": wait, **more.pop("spec", {})},
        more.pop("fault", "blackhole"),
        {("timeout", EDGE): ("present", {"timeout": close(wait, 0.03, 0.025)}), ("fail-fast", "user"): told_after(wait)},
        **more,
    )


def tries(rng, shape, jitter=None, library=None, attempts=None, base=None, callee="own", **more):
    attempts = attempts or rng.randint(4, 5)
    factor = 2.0 if library else rng.uniform(1.8, 2.6)
    # The wait before each further try, in first ones.
    grow = {"constant": lambda place: 1.0, "linear": lambda place: place + 1.0, "exponential": lambda place: factor**place}[shape]
    first_ones = sum(grow(place) for place in range(attempts - 1))
    # Waits beside which the machine's own timing is small, all of them in less than a second.
    shortest, longest = {"constant": (0.1, 0.2), "linear": (0.05, 0.08), "exponential": (0.03, 0.07)}[shape]
    base = base or rng.uniform(shortest, max(shortest * 1.2, min(longest, 0.95 / max(first_ones, 1.0))))
    # A user comes when the one before is served, with all waits at their longest, and a little later: tries are told of one
    # who is alone.
    spread = jitter if isinstance(jitter, float) else 0.0
    each = max(1.0, base * first_ones * (1.0 + spread) + 0.2)
    spec = {
        "attempts": attempts,
        "wait": {"shape": shape, "base": base, "jitter": jitter, "factor": factor},
        **more.pop("spec", {}),
    }
    if library:
        spec["library"] = library[0]
    truth = {
        ("attempts", EDGE): ("present", {"attempts": (attempts, 0)}),
        ("back-off", EDGE): ("present", {"shape": shape, "first": close(base if jitter != "full" else base / 2, 0.1 if not jitter else 0.5, 0.012)}),
        ("jitter", EDGE): ("present" if jitter else "absent", {}),
    }
    return Cell(
        spec, "reset", truth, phases=(1, math.ceil(25 * each), math.ceil(45 * each), 2), rate=1 / each, arrivals="constant",
        timeout=8, library=library and library[1], callee=callee,
    )


def closing(rng, cell, times=(1, 3), window=(2.5, 4.0)):
    """The same breaker, of which a window is cut through by the end of the fault: it closes so much later, and users are regular
    enough to know when."""
    times, window, rate = rng.randint(*times), rng.uniform(*window), 20
    left = rng.uniform(0.2, 0.6) * window
    failures = cell.spec["breaker"]["failures"]
    # Each window ends with the next user, who comes half of the time between two of them later.
    fault = (failures - 0.5) / rate + times * (window + 0.5 / rate) - left
    cell.spec["breaker"]["open"] = window
    cell.truth = {("breaker", EDGE): ("present", {"calls-to-open": (failures, 1), "closes": (left, 0.1 + 0.03 * times)})}
    cell.phases, cell.rate, cell.arrivals = (1, 8, round(fault, 3), math.ceil(left) + 8), rate, "constant"
    return cell


def breaker(rng, library=None, **more):
    failures, window = rng.randint(3, 9), rng.uniform(1.5, 3.5)
    spec = {"breaker": {"failures": failures, "open": window}}
    if library:
        spec["library"] = library[0]
    truth = {
        ("breaker", EDGE): ("present", {"calls-to-open": (failures, 1), "silence": close(window, 0.05, 0.12)}),
        # Calls are reset, and errors come at once, whether it is open or not.
        ("fail-fast", "user"): ("present", {}),
    }
    return Cell(spec, "reset", truth, phases=(1, 8, 16, 6), library=library and library[1], **more)
