"""The cells of the score: services whose truth is known, each with parameters drawn at random from its seed.

A cell is a function of a `random.Random` that gives a `Cell`. No constant of a detector may appear here, and no constant
of a cell in a detector. Further cells of breakers stand in `breakers.py`, of queues in `queues.py`, of real libraries and servers in
`real.py`, those of Rust in `crates.py`.
"""
import math

import breakers
import crates
import queues
import real
from cell import EDGE, NOT_SPARED, SPARED, Cell, close, raised
from shapes import breaker, deadline, told_after, tries

# ------------------------------------------------------------------- F1: timeouts, and how soon users are told

# It waits for as long as its callee does, and so do its users.
NEVER = {("timeout", EDGE): ("absent", {}), ("fail-fast", "user"): ("absent", {})}


def f1_deadline(rng):
    return deadline(rng)


def f1_none(rng):
    return Cell({}, "blackhole", NEVER, rate=rng.uniform(12, 20), phases=(1, 8, 12, 4))


def f1_requests(rng):
    return deadline(rng, spec={"library": "requests"}, library="requests (Python)")


def f1_requests_none(rng):
    """As it is without a `timeout`; its threads are more than the calls that hang."""
    return Cell({"library": "requests"}, "blackhole", NEVER, rate=rng.uniform(12, 14), phases=(1, 8, 12, 4), library="requests without timeout")


def f1_httpx(rng):
    return deadline(rng, spec={"library": "httpx"}, library="httpx (Python)")


def f1_urllib3(rng):
    return deadline(rng, spec={"library": "urllib3"}, library="urllib3 (Python)")


def f1_redis(rng):
    return deadline(rng, spec={"library": "redis"}, library="redis-py (Python)", callee="redis")


def f1_nginx(rng):
    wait = rng.randint(150, 900) / 1000
    truth = {("timeout", EDGE): ("present", {"timeout": close(wait, 0.03, 0.025)}), ("fail-fast", "user"): told_after(wait)}
    cell = Cell({"timeout": wait}, "blackhole", truth)
    cell.front, cell.library = "nginx", "nginx proxy_read_timeout"
    return cell


def f1_haproxy(rng):
    wait = rng.randint(150, 900) / 1000
    truth = {("timeout", EDGE): ("present", {"timeout": close(wait, 0.03, 0.025)}), ("fail-fast", "user"): told_after(wait)}
    cell = Cell({"timeout": wait}, "blackhole", truth)
    cell.front, cell.library = "haproxy", "HAProxy timeout server"
    return cell


def f1_haproxy_patient(rng):
    cell = Cell({"timeout": rng.randint(25, 35)}, "blackhole", NEVER, rate=rng.uniform(12, 20), phases=(1, 8, 12, 4))
    cell.front, cell.library = "haproxy", "HAProxy timeout server"
    return cell


# The body of an answer, of which a byte comes now and then: all of it takes longer than any of these timeouts.
def trickle(rng):
    return {"drip": {"rate": f"{rng.randint(4, 5)}B/s"}}


# The head of an answer, and a part of its body.
STALL = {"truncate": {"bytes": "5B", "then": "stall"}}


def f1_trickle(rng):
    """The answer comes in drops, and the deadline is that of the whole call."""
    return deadline(rng, fault=trickle(rng))


def f1_trickle_requests(rng):
    """The timeout is one of a single read, and each drop comes before that."""
    truth = {("timeout", EDGE): ("absent", {})}
    spec = {"library": "requests", "timeout": rng.uniform(0.6, 0.9)}
    return Cell(spec, trickle(rng), truth, rate=rng.uniform(12, 20), phases=(1, 8, 12, 4), library="requests (Python)")


def f1_trickle_httpx(rng):
    truth = {("timeout", EDGE): ("absent", {})}
    spec = {"library": "httpx", "timeout": rng.uniform(0.6, 0.9)}
    return Cell(spec, trickle(rng), truth, rate=rng.uniform(12, 20), phases=(1, 8, 12, 4), library="httpx (Python)")


def f1_stall(rng):
    """The answer stops in the midst of its body."""
    return deadline(rng, fault=STALL)


def f1_stall_requests(rng):
    return deadline(rng, fault=STALL, spec={"library": "requests"}, library="requests (Python)")


def f1_stall_httpx(rng):
    return deadline(rng, fault=STALL, spec={"library": "httpx"}, library="httpx (Python)")


def f1_some_hang(rng):
    """Gives most calls up in time, and a few never."""
    spec = {"timeout": rng.uniform(0.15, 0.5), "forgets": rng.uniform(0.06, 0.1)}
    return Cell(spec, "blackhole", {("fail-fast", "user"): ("trap", {})}, rate=40)


def f1_few_need_it(rng):
    """Most users are answered well without a call; those who need one wait."""
    return Cell({"needs": rng.uniform(0.08, 0.15)}, "blackhole", {("fail-fast", "user"): ("trap", {})})


def f1_cascade(rng):
    """No timeout of its own: it lets go when its user does."""
    return Cell(
        {"cascades": True},
        "blackhole",
        {("timeout", EDGE): ("trap", {}), ("fail-fast", "user"): ("trap", {})},
        timeout=round(rng.uniform(0.3, 0.9), 3),
    )


# ------------------------------------------------------------------- F2: tries, waits, jitter


def f2_constant(rng):
    return tries(rng, "constant")


def f2_linear(rng):
    return tries(rng, "linear")


def f2_exponential(rng):
    return tries(rng, "exponential")


def f2_jitter(rng):
    return tries(rng, "exponential", jitter=rng.uniform(0.3, 0.5))


def f2_full_jitter(rng):
    return tries(rng, "exponential", jitter="full", attempts=4)


def f2_tenacity_fixed(rng):
    return tries(rng, "constant", library=("tenacity", "tenacity wait_fixed"))


def f2_tenacity_linear(rng):
    return tries(rng, "linear", library=("tenacity", "tenacity wait_incrementing"))


def f2_tenacity_exponential(rng):
    return tries(rng, "exponential", library=("tenacity", "tenacity wait_exponential"))


def f2_tenacity_random(rng):
    return tries(rng, "exponential", jitter="full", attempts=4, library=("tenacity", "tenacity wait_random_exponential"))


def f2_urllib3(rng):
    # urllib3 waits nothing before the second try, then factor * 2 ** (tries - 1).
    cell = tries(rng, "exponential", attempts=rng.randint(4, 5), base=rng.uniform(0.03, 0.06), library=("urllib3", "urllib3.Retry"))
    cell.truth[("back-off", EDGE)] = ("present", {})
    return cell


def f2_urllib3_jitter(rng):
    # To each wait but the first, which is none, up to so many seconds are added.
    base, jitter = rng.uniform(0.02, 0.035), rng.uniform(0.08, 0.16)
    cell = tries(rng, "exponential", attempts=4, base=base, library=("urllib3", "urllib3.Retry backoff_jitter"))
    cell.spec["wait"]["jitter"] = jitter
    cell.truth[("back-off", EDGE)] = ("present", {})
    cell.truth[("jitter", EDGE)] = ("present", {})
    return cell


def f2_redis(rng):
    # redis-py counts failures from 1: the first wait is base * 2.
    attempts = rng.randint(4, 5)
    base = rng.uniform(0.02, 0.04) if attempts == 4 else rng.uniform(0.015, 0.025)
    cell = tries(rng, "exponential", attempts=attempts, base=base, library=("redis", "redis-py ExponentialBackoff"), callee="redis")
    cell.truth[("back-off", EDGE)] = ("present", {"shape": "exponential"})
    return cell


def f2_at_once(rng):
    cell = tries(rng, "constant", attempts=rng.randint(2, 4))
    del cell.spec["wait"]
    cell.truth[("back-off", EDGE)] = ("absent", {})
    cell.truth[("jitter", EDGE)] = ("trap", {})
    return cell


def f2_nginx(rng):
    attempts = rng.randint(2, 4)
    cell = tries(rng, "constant", attempts=attempts)
    cell.spec = {"attempts": attempts, "timeout": 5}
    cell.truth = {
        ("attempts", EDGE): ("present", {"attempts": (attempts, 0)}),
        ("back-off", EDGE): ("absent", {}),
        ("jitter", EDGE): ("trap", {}),
    }
    cell.front, cell.library = "nginx", "nginx proxy_next_upstream"
    return cell


def f2_haproxy(rng):
    # After a connection that broke it waits for a second, or for none, as it takes the RST for a failure to connect or for an
    # empty answer; an answer that is an error is tried again at once.
    cell = f2_nginx(rng)
    cell.fault = "abort 503"
    cell.front, cell.library = "haproxy", "HAProxy retries"
    return cell


def f2_once(rng):
    cell = tries(rng, "constant", attempts=1)
    cell.spec = {"timeout": 2.0}
    cell.truth = {("attempts", EDGE): ("absent", {}), ("back-off", EDGE): ("trap", {}), ("jitter", EDGE): ("trap", {})}
    return cell


def f2_three(rng):
    """Two waits, of which the second is about twice as long: whether they grow linearly or not nobody can tell."""
    return tries(rng, rng.choice(["linear", "exponential"]), attempts=3, base=rng.uniform(0.08, 0.2))


def f2_endless(rng):
    """Tries again without end, until its user leaves or even after that: nobody can tell how often."""
    wait, patience = rng.uniform(0.15, 0.3), rng.uniform(1.0, 1.5)
    each = patience + 0.25
    spec = {"attempts": 10**6, "wait": {"shape": "constant", "base": wait}, "cascades": rng.random() < 0.5}
    truth = {("attempts", EDGE): ("present", {"least": (patience / wait + 0.5, 1.5)})}
    phases = (1, 12, math.ceil(36 * each), 2)
    return Cell(spec, "reset", truth, phases=phases, rate=1 / each, arrivals="constant", timeout=round(patience, 3))


def f2_polled(rng):
    """Tries once, and somebody else asks the callee now and then."""
    cell = f2_once(rng)
    cell.spec["polls"] = rng.uniform(0.2, 0.6)
    cell.truth = {("attempts", EDGE): ("trap", {}), ("back-off", EDGE): ("trap", {}), ("jitter", EDGE): ("trap", {})}
    return cell


def f2_fan_out(rng):
    cell = f2_once(rng)
    cell.spec = {"fan": rng.randint(2, 4), "timeout": 0.3, "stale": True}
    cell.fault = f"latency {rng.randint(40, 90)}ms"
    cell.truth = {("attempts", EDGE): ("trap", {}), ("back-off", EDGE): ("trap", {})}
    return cell


def f2_hedge(rng):
    cell = f2_once(rng)
    cell.spec = {"hedge": rng.uniform(0.05, 0.1), "timeout": 0.5}
    cell.fault = "blackhole"
    cell.truth = {("attempts", EDGE): ("trap", {}), ("back-off", EDGE): ("trap", {})}
    return cell


# ------------------------------------------------------------------- F3: calls for each request


def f3_storm(rng):
    attempts = rng.randint(2, 4)
    return Cell(
        {"attempts": attempts, "wait": {"shape": "constant", "base": rng.uniform(0.02, 0.1)}},
        "reset",
        {("amplification", EDGE): ("present", {"ratio": close(attempts, 0.05)})},
    )


def f3_budget(rng):
    budget = rng.choice([0.05, 0.1])
    # The bucket holds 5 tokens at the start: a retry for each of them, once.
    return Cell(
        {"attempts": 3, "budget": budget},
        "reset",
        {("amplification", EDGE): ("absent", {"ratio": close(1 + budget, 0.06)})},
        rate=25,
    )


def f3_none(rng):
    return Cell({"timeout": rng.uniform(1.0, 2.0)}, "reset", {("amplification", EDGE): ("absent", {"ratio": close(1, 0.05)})})


def f3_cache(rng):
    """One call each, but in health most requests are served from a cache, and in the fault it is empty."""
    truth = {("amplification", EDGE): ("trap", {}), ("attempts", EDGE): ("trap", {})}
    return Cell({"cache": rng.uniform(0.1, 0.2), "timeout": 1.0}, "reset", truth, phases=(1, 15, 12, 6), rate=rng.uniform(25, 35))


def f3_cache_polled(rng):
    """The same, and somebody else asks the callee now and then: that is nobody's second try."""
    cell = f3_cache(rng)
    cell.spec["polls"] = rng.uniform(0.15, 0.5)
    return cell


def f3_some(rng):
    """Only some requests make a call, and try it again while others come: no more calls than requests, and a storm all the same."""
    attempts = rng.randint(2, 3)
    spec = {"needs": rng.uniform(0.25, 0.32), "attempts": attempts, "timeout": rng.uniform(0.3, 0.5), "wait": {"shape": "constant", "base": 0.02}}
    truth = {("amplification", EDGE): ("present", {"ratio": close(attempts, 0.3)})}
    return Cell(spec, "blackhole", truth, phases=(1, 30, 25, 6), rate=rng.uniform(25, 35))


# ------------------------------------------------------------------- F5: pools and isolation


def f5_shared(rng):
    places = rng.randint(6, 14)
    return Cell(
        {"pool": places, "shared": True},
        "blackhole",
        {("pool", EDGE): ("present", {"limit": (places, 1)}), ("isolation", "free"): ("absent", {}), ("fail-fast", "user"): ("absent", {})},
        loads=["/", "/free"],
        phases=NOT_SPARED,
        timeout=5,
    )


def f5_apart(rng):
    places = rng.randint(6, 14)
    return Cell(
        {"pool": places},
        "blackhole",
        {("pool", EDGE): ("present", {"limit": (places, 1)}), ("isolation", "free"): ("present", {})},
        loads=["/", "/free"],
        phases=SPARED,
        timeout=5,
    )


def f5_unbounded(rng):
    # It gives up later than its users do, and so holds more than a hundred calls.
    return Cell(
        {"timeout": rng.uniform(7, 9)},
        "blackhole",
        {("pool", EDGE): ("absent", {}), ("isolation", "free"): ("present", {})},
        loads=["/", "/free"],
        phases=SPARED,
        timeout=rng.uniform(5, 7),
    )


def f5_low(rng):
    """A shared pool that is never full."""
    return Cell(
        {"pool": rng.randint(12, 20), "shared": True, "timeout": rng.uniform(0.1, 0.2)},
        "blackhole",
        {("pool", EDGE): ("trap", {}), ("isolation", "free"): ("trap", {})},
        loads=["/", "/free"],
        phases=NOT_SPARED,
        rate=15,
    )


# ------------------------------------------------------------------- F6: fallbacks and dependency


def f6_stale(rng):
    # The last good answer came just before the fault; its age is told in whole seconds.
    fault = rng.randint(12, 16)
    told = {"oldest": (fault - 0.5, 1.0), "stale": (1.0, 0.06)}
    truth = {("fallback", "user"): ("present", told), ("dependency", "user"): ("absent", {})}
    spec = {"stale": True, "timeout": rng.uniform(0.2, 0.5)}
    return Cell(spec, rng.choice(["reset", "blackhole"]), truth, phases=(1, 12, fault, 6), rate=30)


def f6_default(rng):
    """An answer of its own in place of the callee's, or a part of it, and says so."""
    says = rng.choice(["default", "partial"])
    # A call that is held at the end of the fault is answered then.
    truth = {("fallback", "user"): ("present", {says: (1.0, 0.06)}), ("dependency", "user"): ("absent", {})}
    spec = {"says": says, "timeout": rng.uniform(0.2, 0.5)}
    return Cell(spec, rng.choice(["reset", "blackhole"]), truth, phases=(1, 12, 15, 6), rate=30)


def f6_unsaid(rng):
    """The same, and does not say so: nobody can tell it from the callee's answer."""
    return unsaid(rng, {"says": ""})


def unsaid(rng, spec, **more):
    """Served without the callee, with nothing that says so: neither a fallback nor none."""
    truth = {("fallback", "user"): ("open", {}), ("dependency", "user"): ("absent", {})}
    spec = {**spec, "timeout": rng.uniform(0.2, 0.5)}
    return Cell(spec, rng.choice(["reset", "blackhole"]), truth, phases=(1, 12, 15, 6), rate=30, **more)


def f6_empty(rng):
    """200, and nothing in it."""
    return unsaid(rng, {"says": "", "empty": True})


def f6_immutable(rng):
    """What the callee says is always the same, so that an old answer is no other than a new one."""
    return unsaid(rng, {"stale": True, "silent": True}, serves={"same": True})


def f6_error(rng):
    return Cell(
        {"timeout": rng.uniform(0.2, 0.5)},
        rng.choice(["reset", "blackhole"]),
        {("fallback", "user"): ("trap", {}), ("dependency", "user"): ("present", {})},
    )


def declared(rng, stale, declares, word):
    """Users who need the callee, or are served stale answers without it, and what is declared of that."""
    return Cell(
        {"stale": stale, "timeout": rng.uniform(0.2, 0.5)},
        rng.choice(["reset", "blackhole"]),
        {("dependency", "user"): ("absent" if stale else "present", {"declared": word})},
        phases=(1, 12, 15, 6),
        rate=30,
        declares=declares,
    )


def f6_hidden(rng):
    return declared(rng, False, rng.choice([{EDGE: "soft"}, {}]), "hidden")


def f6_declared(rng):
    stale = rng.random() < 0.5
    return declared(rng, stale, {EDGE: "soft" if stale else "hard"}, "as declared")


def f6_not_needed(rng):
    return declared(rng, True, {EDGE: "hard"}, "not needed")


# ------------------------------------------------------------------- F7: shedding


def f7_shed(rng):
    limit = rng.randint(12, 25)
    return Cell(
        {"shed": limit},
        f"latency {rng.randint(1200, 1600)}ms",
        {
            ("shedding", "user"): ("present", {"limit": (limit, 2), "retry-after": (1.0, 0.02)}),
            ("fail-fast", "user"): ("present", {}),
        },
        rate=40,
    )


def f7_queue(rng):
    truth = {("shedding", "user"): ("absent", {}), ("fail-fast", "user"): ("absent", {})}
    return Cell({"pool": rng.randint(8, 14)}, f"latency {rng.randint(800, 1200)}ms", truth, rate=40)


def f7_passed_on(rng):
    """503, but it is the dependency's error."""
    return Cell({"error": 503}, "reset", {("shedding", "user"): ("trap", {})})


def f7_breaker(rng):
    """503, but from an open breaker."""
    cell = breaker(rng)
    cell.spec["error"] = 503
    cell.truth = {("shedding", "user"): ("trap", {})}
    return cell


def work(rng, **more):
    """So many requests at once, each for so long, and how many a second that is."""
    places, capacity = rng.randint(5, 8), rng.uniform(50, 90)
    return {"work": {"places": places, "time": places / capacity, **more}}, capacity


def f7_limit(rng):
    """Refuses who would wait behind too many."""
    spec, capacity = work(rng, queue=rng.randint(10, 20))
    cell = raised(spec, "present", capacity)
    state, told = cell.truth[("capacity", "user")]
    cell.truth[("capacity", "user")] = state, {**told, "served-beyond": (1.0, 0.2)}
    return cell


def f7_limit_queue(rng):
    """Everybody waits, until users have no more patience."""
    spec, capacity = work(rng)
    return raised(spec, "present", capacity, timeout=rng.uniform(1.5, 3.0))


def f7_unlimited(rng):
    return raised({"work": {"places": rng.randint(40, 80), "time": rng.uniform(0.02, 0.06)}}, "absent")


def f7_sender_limit(rng):
    """The service serves all; it is the sender that sends no more than so many at once."""
    spec = {"work": {"places": rng.randint(60, 90), "time": rng.uniform(0.1, 0.14)}}
    return raised(spec, "trap", in_flight=rng.randint(7, 10))


def f7_collapse(rng):
    """Works for all who came, in turn, and users leave sooner than that: beyond what it can do it serves nobody."""
    places, capacity = rng.randint(5, 8), rng.uniform(55, 65)
    cell = raised({"work": {"places": places, "time": places / capacity}}, "present", timeout=round(rng.uniform(0.5, 0.9), 3))
    cell.truth[("capacity", "user")] = ("present", {"served-beyond": (0.0, 0.3)})
    return cell


def f7_injected(rng):
    """Some calls are refused by the fault, in the callee's stead, and that is handed on at once while all others are served."""
    which = {"chance": f"{rng.randint(25, 60)}%"}
    return Cell({"error": 503, "timeout": 1.0}, "abort 503", {("shedding", "user"): ("trap", {})}, rate=rng.uniform(25, 40), which=which)


def f7_broken_late(rng):
    """Serves all, until the fault refuses all, in the midst of a ramp: that is no limit of the service."""
    steps, every, timeout = rng.randint(1, 2), 4, 1.0
    begins = (steps + rng.uniform(0.3, 0.8)) * every + timeout
    cell = raised({"error": 503, "timeout": 0.8}, "absent", fault="abort 503", timeout=timeout, begins=round(begins, 3))
    cell.truth[("capacity", "user")] = ("absent", {"capacity": close(cell.rate * 1.5**steps, 0.01)})
    return cell


# ------------------------------------------------------------------- F8: health checks


def f8_deep(rng):
    fault = rng.choice(["reset", "blackhole"])
    return Cell({"ready": "deep", "timeout": 0.5}, fault, {("health", "ready"): ("present", {"lag": (1.0, 2.0)})}, ready=True)


def f8_shallow(rng):
    fault = rng.choice(["reset", "blackhole"])
    return Cell({"timeout": 0.5}, fault, {("health", "ready"): ("absent", {})}, ready=True)


def f8_open(rng):
    """Asks its callee, and says that it is ready whatever it hears."""
    fault = rng.choice(["reset", "blackhole"])
    return Cell({"ready": "open", "timeout": 0.5}, fault, {("health", "ready"): ("absent", {})}, ready=True)


def f8_cached(rng):
    """What it says is older than the fault is long."""
    spec = {"ready": "deep", "remembers": rng.uniform(22.0, 26.0), "timeout": 0.5}
    return Cell(spec, rng.choice(["reset", "blackhole"]), {("health", "ready"): ("trap", {})}, ready=True)


def f8_flaps(rng):
    """Follows its callee, and changes its mind meanwhile."""
    turns = {"bad": rng.randint(3, 5), "good": rng.randint(1, 3)}
    truth = {("health", "ready"): ("present", {"lag": (1.0, 2.0), "changes": ("flips", 1)})}
    return Cell({"ready": {"flaps": turns}, "timeout": 0.5}, rng.choice(["reset", "blackhole"]), truth, ready=True, phases=(1, 8, 24, 8))


def f8_restless(rng):
    """Changes its mind all the time, whatever its callee does."""
    turns = {"bad": rng.randint(3, 4), "good": rng.randint(3, 4)}
    spec = {"ready": {"restless": turns}, "timeout": 0.5}
    return Cell(spec, rng.choice(["reset", "blackhole"]), {("health", "ready"): ("trap", {})}, ready=True, phases=(1, 10, 16, 8))


def f8_live_deep(rng):
    """Asks its callee whether it is alive itself: whoever restarts it for that mends nothing."""
    truth = {("health", "live"): ("present", {"lag": (1.0, 2.0)}), ("health", "ready"): ("absent", {})}
    return Cell({"live": "deep", "timeout": 0.5}, rng.choice(["reset", "blackhole"]), truth, ready=True, live=True)


def f8_live_apart(rng):
    """Is not ready without its callee, and alive all the same."""
    truth = {("health", "live"): ("absent", {}), ("health", "ready"): ("present", {"lag": (1.0, 2.0)})}
    return Cell({"ready": "deep", "timeout": 0.5}, rng.choice(["reset", "blackhole"]), truth, ready=True, live=True)


def started(rng, truth, start, **spec):
    """A caller that is killed in the fault, and starts again long before its callee is back."""
    return Cell(
        {"timeout": 0.3, "start": start, **spec},
        rng.choice(["refuse", "reset", "blackhole"]),
        {("start-up", "ready"): (truth, {})},
        phases=(1, 8, 16, 8),
        ready=True,
        restart=(rng.uniform(3.0, 4.0), rng.uniform(1.2, 1.8)),
    )


def f8_start_needs(rng):
    return started(rng, "present", {"needs": rng.choice(["waits", "ends"])})


def f8_start_alone(rng):
    return started(rng, "absent", {"takes": rng.uniform(0.0, 1.5)})


def f8_start_slow(rng):
    """Needs nobody, and takes longer than the fault lasts."""
    return started(rng, "trap", {"takes": rng.uniform(11.0, 13.0)})


def f8_start_follows(rng):
    """Starts at once, with a check that asks the callee."""
    return started(rng, "trap", {}, ready="deep")


# ------------------------------------------------------------------- F9: connections


def herd(spec, truth):
    return Cell(spec, "reset", {("reconnect", EDGE): truth}, rate=5, phases=(2, 10, 8, 12))


def herded(spec, share):
    """The part of all new connections in ten seconds that comes in the fullest one, if so many of the herd do: users come as well."""
    members, users = spec["herd"]["connections"], 5
    return (share * members + users) / (members + 10 * users), 0.15


def f9_herd(rng):
    spec = {"timeout": 0.3, "herd": {"connections": rng.randint(40, 60), "wait": rng.uniform(0.3, 0.5), "spread": False}}
    return herd(spec, ("present", {"in-one-second": herded(spec, 1.0)}))


def f9_spread(rng):
    spec = {"timeout": 0.3, "herd": {"connections": rng.randint(40, 60), "wait": rng.uniform(4.0, 5.0), "spread": True}}
    # A fifth or so of those that wait so long come in the first second.
    return herd(spec, ("absent", {"in-one-second": herded(spec, 0.25)}))


def f9_poisson(rng):
    """Opens a connection for each call, all the time."""
    return Cell({"timeout": 0.3}, "blackhole", {("reconnect", EDGE): ("absent", {})}, rate=rng.uniform(10, 30), phases=(1, 12, 8, 12))


def f9_warms(rng):
    """Keeps connections of calls that failed as well, but no more than so many: a pool that grows to its size."""
    rate = rng.uniform(4, 8)
    # In each of five cycles of 8 s so many calls fail; it is full after two of them.
    each = rate * 8 * 0.3
    spec = {"timeout": rng.uniform(0.2, 0.4), "leak": True, "keeps": round(each * rng.uniform(1.3, 1.8))}
    return Cell(spec, "blackhole", {("leak", EDGE): ("trap", {})}, rate=rate, phases=(1, 10, 40, 10), cycles=5)


def f9_leak(rng):
    spec = {"timeout": rng.uniform(0.2, 0.4), "leak": True}
    truth = {("leak", EDGE): ("present", {"each": ("each", 0.6)})}
    return Cell(spec, "blackhole", truth, rate=rng.uniform(4, 8), phases=(1, 10, 40, 10), cycles=5)


def f9_closed(rng):
    spec = {"timeout": rng.uniform(0.2, 0.4), "leak": False}
    return Cell(spec, "blackhole", {("leak", EDGE): ("absent", {})}, rate=rng.uniform(4, 8), phases=(1, 10, 40, 10), cycles=5)


# ------------------------------------------------------------------- F10: coming back


def f10_cool(rng):
    wait = rng.uniform(3.0, 6.0)
    spec = {"timeout": 2.0, "cool": wait}
    return Cell(spec, "reset", {("recovery", "user"): ("present", {"time": (wait, 1.6)}), ("metastability", "user"): ("absent", {})}, rate=30, phases=(1, 10, 6, 26))


def f10_at_once(rng):
    return Cell({"timeout": 2.0}, "reset", {("recovery", "user"): ("present", {"time": (0, 1.6)}), ("metastability", "user"): ("absent", {})}, rate=30, phases=(1, 10, 6, 20))


def queue(rng, caller, truth, load=None, **more):
    """A callee that serves one after the other, and works for callers who have left, for it does not notice."""
    capacity = rng.uniform(30, 45)
    serves = {"capacity": capacity, **more.pop("serves", {})}
    rate = capacity * (load or rng.uniform(0.45, 0.6))
    truth = {("metastability", "user"): truth}
    return Cell(caller, more.pop("fault", "latency 3s"), truth, rate=rate, serves=serves, timeout=more.pop("timeout", 5), **more)


def stormy(rng, **more):
    # A stall of the machine for as long as the timeout would begin the storm before the fault does.
    return {"timeout": rng.uniform(0.6, 0.9), "attempts": 3, **more}


def f10_storm(rng):
    """Three tries for each request are more than the callee can serve: it goes on working for those who have left."""
    truth = ("present", {"outcome": "metastable", "amplification": close(3, 0.08)})
    return queue(rng, stormy(rng), truth, phases=(1, 12, rng.randint(10, 13), 63), quiet=(150, 12))


def f10_storm_budget(rng):
    truth = ("absent", {"outcome": "recovered"})
    return queue(rng, stormy(rng, budget=0.1), truth, phases=(1, 12, rng.randint(10, 13), 20), quiet=(60, 12))


def f10_storm_refused(rng):
    truth = ("absent", {"outcome": "recovered"})
    serves = {"queue": rng.randint(3, 6)}
    return queue(rng, stormy(rng), truth, phases=(1, 12, rng.randint(10, 13), 20), quiet=(60, 12), serves=serves)


def drain(rng, truth, caller=None, **more):
    """Frozen for some seconds at a load that leaves little to catch up with."""
    share, fault = rng.uniform(0.94, 0.96), rng.randint(6, 8)
    return queue(
        rng, caller or {}, truth, load=share, fault="freeze", arrivals="constant", phases=(1, 12, fault, 63), quiet=(60, 12), **more
    )


def f10_drain(rng):
    return drain(rng, ("absent", {"outcome": "draining"}), timeout=30)


def f10_drain_unseen(rng):
    """Its users do not wait for so long, and the callee does not notice: nothing shows that the queue grows shorter."""
    return drain(rng, ("trap", {}), caller={"cascades": True}, timeout=rng.uniform(1.5, 2.5))


def f10_poisoned(rng):
    """Fails for good once it has failed a few times, whether there is load or not."""
    truth = ("absent", {"outcome": "stuck"})
    caller = {"timeout": rng.uniform(0.3, 0.6), "poison": rng.randint(5, 20)}
    return Cell(caller, "reset", {("metastability", "user"): truth}, rate=rng.uniform(15, 25), phases=(1, 12, 6, 63), quiet=(20, 12), timeout=5)


# ------------------------------------------------------------------- F10: writes


def writes(store, fault, lost, duplicates, **more):
    spec = {"timeout": 0.25, "attempts": more.pop("attempts", 1)}
    truth = {("lost", "user"): lost, ("duplicates", "user"): duplicates}
    return Cell(spec, fault, truth, store=store, rate=more.pop("rate", 40), phases=(1, 8, 6, 8), timeout=5, **more)


def f10_written_behind(rng):
    """Acknowledges before a write is on disk, and is killed."""
    store = {"behind": rng.uniform(0.3, 1.0)}
    return writes(store, "kill", ("present", {"lost": ("lost", 2)}), ("absent", {}))


def f10_written_first(rng):
    return writes({}, "kill", ("absent", {}), ("absent", {}), rate=rng.uniform(30, 60))


def f10_shown_late(rng):
    """What is kept can be read only some time later."""
    return writes({"hidden": rng.uniform(4.0, 8.0)}, "kill", ("trap", {}), ("trap", {}))


def f10_kept_but_refused(rng):
    """Keeps what it answers with an error."""
    return writes({"fails": rng.uniform(0.05, 0.15)}, "latency 50ms", ("trap", {}), ("trap", {}))


def f10_tried_again(rng):
    """The answer is late, the caller asks once more, and the store does not know that it is the same."""
    twice = ("present", {"duplicates": ("twice", 0)})
    return writes({}, f"latency {rng.randint(400, 700)}ms", ("absent", {}), twice, attempts=rng.randint(2, 3))


def f10_known_again(rng):
    store = {"unique": True}
    return writes(store, f"latency {rng.randint(400, 700)}ms", ("absent", {}), ("absent", {}), attempts=rng.randint(2, 3))


# ------------------------------------------------------------------- F11: several instances


def instances(rng, spec, wanted, library=None, front=None, fault=None, **parameters):
    """The fault sits on the first of them."""
    count = rng.randint(2, 3)
    fault = fault or rng.choice(["reset", "blackhole"])
    return Cell(
        {"timeout": rng.randint(150, 400) / 1000, **spec},
        fault,
        {("failover", EDGE): (wanted, parameters)},
        phases=(1, 10, 16, 14),
        rate=rng.uniform(10, 15) * count,
        timeout=5,
        library=library,
        front=front,
        instances=count,
    )


def f11_ejects(rng):
    failures, seconds = rng.randint(1, 4), rng.uniform(2.0, 4.0)
    spec = {"balance": {"retry": rng.random() < 0.5, "eject": {"failures": failures, "seconds": seconds}}}
    return instances(rng, spec, "present", fault="reset", calls=(failures, 1))


def f11_ejects_a_silent_one(rng):
    spec = {"balance": {"retry": True, "eject": {"failures": rng.randint(1, 4), "seconds": rng.uniform(2.0, 4.0)}}}
    return instances(rng, spec, "present", fault="blackhole")


def f11_in_turn(rng):
    return instances(rng, {"balance": {}}, "absent")


def f11_tried_elsewhere(rng):
    """Users are served by a second try: the sick instance is called for each of them."""
    return instances(rng, {"balance": {"retry": True}}, "trap")


def f11_sticks(rng):
    """Never calls the sick instance, before or after: its connection sticks to another one."""
    return instances(rng, {"balance": {"sticky": True}}, "trap")


def f11_breaks_for_all(rng):
    """Silent on the sick instance, because it is silent on all."""
    spec = {"balance": {"breaker": {"failures": rng.randint(2, 4), "seconds": rng.uniform(4.0, 8.0)}}}
    return instances(rng, spec, "trap", fault="reset")


def f11_nginx(rng):
    fails, seconds = rng.randint(1, 3), rng.randint(2, 4)
    spec = {"max_fails": fails, "fail_timeout": seconds, "attempts": 0}
    return instances(rng, spec, "present", library="nginx max_fails", front="nginx", fault="reset", calls=(fails, 1))


def f11_nginx_silent(rng):
    spec = {"max_fails": rng.randint(1, 3), "fail_timeout": rng.randint(2, 4), "attempts": 0}
    return instances(rng, spec, "present", library="nginx max_fails", front="nginx", fault="blackhole")


def f11_nginx_next(rng):
    """Passes each failed call on to the next instance, and never takes one out."""
    spec = {"max_fails": 0, "fail_timeout": 1, "attempts": 0}
    return instances(rng, spec, "trap", library="nginx proxy_next_upstream", front="nginx")


def f11_haproxy(rng):
    rise, every = rng.randint(1, 3), rng.randint(500, 1000) / 1000
    spec = {"attempts": 1, "observe": {"errors": rng.randint(1, 4), "every": every, "rise": rise}}
    # Back by the last of so many good checks, the first of which comes at any moment after the lift.
    back = ((rise - 0.5) * every, 0.5 * every + 0.5)
    return instances(rng, spec, "present", library="HAProxy observe layer7", front="haproxy", fault="reset", back=back)


def f11_haproxy_stays(rng):
    return instances(rng, {"attempts": 1}, "absent", library="HAProxy without checks", front="haproxy")


def f11_haproxy_retries(rng):
    """Tries each failed call at another instance, and never takes one out."""
    return instances(rng, {"attempts": 3}, "trap", library="HAProxy retries", front="haproxy")


CELLS = {name: cell for name, cell in sorted({**globals(), **vars(breakers), **vars(real), **vars(crates), **vars(queues)}.items()) if name[:1] == "f" and name[1:2].isdigit()}

# At least one of each detector that is a loop of our own, and so is there on every machine. The longest first, so that none is left alone at the end.
SMOKE = [
    "f10_storm_refused",
    "f2_full_jitter",
    "f9_leak",
    "f10_cool",
    "f11_ejects",
    "f11_tried_elsewhere",
    "f5_shared",
    "f7_limit",
    "f8_start_needs",
    "f9_herd",
    "f4_breaker",
    "f6_stale",
    "f1_cascade",
    "f1_deadline",
    "f1_nginx",
    "f1_tower",
    "f3_storm",
    "f7_shed",
    "f8_deep",
    "f4_none",
    "f10_tried_again",
    "f10_written_behind",
]
