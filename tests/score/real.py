"""Further cells of the score: real libraries and real servers. What is true follows from how they are configured, and the
configuration is drawn at random.
"""
import math

from cell import EDGE, NOT_SPARED, SPARED, Cell, close, raised

# ------------------------------------------------------------------- F3: calls for each request


def f3_urllib3(rng):
    attempts = rng.randint(2, 4)
    return Cell(
        {"library": "urllib3", "attempts": attempts, "wait": {"base": rng.uniform(0.01, 0.05)}},
        "reset",
        {("amplification", EDGE): ("present", {"ratio": close(attempts, 0.05)})},
        library="urllib3.Retry",
    )


def f3_httpx(rng):
    """Told to try again, but httpx does so only where no connection comes about; an answer that is an error is handed on."""
    return Cell(
        {"library": "httpx", "connects": rng.randint(2, 5), "timeout": rng.uniform(1.0, 2.0)},
        "abort 503",
        {("amplification", EDGE): ("absent", {"ratio": close(1, 0.05)}), ("attempts", EDGE): ("absent", {})},
        library="httpx HTTPTransport(retries)",
    )


# ------------------------------------------------------------------- F4: breakers


def f4_haproxy(rng):
    """Takes its only server out after so many errors, and asks it for its health before it calls it again. Of connections that are
    reset before the request is out it counts only some, so the errors are answers."""
    errors, every = rng.randint(3, 9), rng.randint(2000, 3500) / 1000
    return Cell(
        {"timeout": 2, "observe": {"errors": errors, "every": every, "rise": 1}},
        "abort 503",
        {("breaker", EDGE): ("present", {"calls-to-open": (errors, 1), "silence": close(every, 0.05, 0.12)})},
        phases=(1, 8, 16, 6),
        library="HAProxy observe layer7",
        front="haproxy",
    )


def f4_haproxy_rise(rng):
    """Takes its server back once so many checks in a row have passed: it is asked again before it is called again."""
    cell = f4_haproxy(rng)
    how = cell.spec["observe"]
    how["every"], how["rise"] = rng.randint(1000, 2500) / 1000, rng.randint(2, 3)
    closes = ((how["rise"] - 0.5) * how["every"], 0.5 * how["every"] + 0.3)
    cell.truth = {("breaker", EDGE): ("present", {"calls-to-open": (how["errors"], 1), "closes": closes})}
    cell.phases = (1, 8, 16, math.ceil(how["rise"] * how["every"]) + 8)
    return cell


# ------------------------------------------------------------------- F5: pools and isolation


def beside(spec, places, isolation, **more):
    truth = {("pool", EDGE): ("present", {"limit": (places, 1)}), ("isolation", "free"): (isolation, {})}
    phases = SPARED if isolation == "present" else NOT_SPARED
    return Cell({"timeout": 60, **spec}, "blackhole", truth, loads=["/", "/free"], phases=phases, timeout=5, **more)


def f5_httpx(rng):
    places = rng.randint(6, 14)
    cell = beside({"library": "httpx", "pool": places}, places, "present", library="httpx Limits(max_connections)")
    cell.truth[("fail-fast", "user")] = ("absent", {})
    return cell


def f5_haproxy(rng):
    """So many connections to the server; who needs it queues, and who does not is answered."""
    places = rng.randint(6, 14)
    return beside({"server_places": places, "queue": 60}, places, "present", library="HAProxy server maxconn", front="haproxy")


def f5_haproxy_shared(rng):
    """So many connections of users: those who do not need the server wait with those who do."""
    places = rng.randint(6, 14)
    return beside({"user_places": places}, places, "absent", library="HAProxy frontend maxconn", front="haproxy")


# ------------------------------------------------------------------- F6: fallbacks and dependency


def f6_nginx_stale(rng):
    return Cell(
        {"timeout": rng.randint(200, 500) / 1000, "cache": {"seconds": rng.randint(1, 2), "stale": True}},
        rng.choice(["reset", "blackhole"]),
        {("fallback", "user"): ("present", {}), ("dependency", "user"): ("absent", {})},
        phases=(1, 12, 15, 6),
        rate=30,
        library="nginx proxy_cache_use_stale",
        front="nginx",
    )


def f6_nginx_cache(rng):
    """Has a cache, and once that is too old hands the error on."""
    return Cell(
        {"timeout": rng.randint(200, 500) / 1000, "cache": {"seconds": rng.randint(1, 2), "stale": False}},
        rng.choice(["reset", "blackhole"]),
        {("fallback", "user"): ("trap", {}), ("dependency", "user"): ("present", {}), ("fail-fast", "user"): ("present", {})},
        phases=(1, 12, 15, 6),
        library="nginx proxy_cache",
        front="nginx",
    )


# ------------------------------------------------------------------- F7: shedding


def f7_nginx(rng):
    limit = rng.randint(12, 20)
    return Cell(
        {"timeout": 20, "user_places": limit},
        f"latency {rng.randint(900, 1200)}ms",
        {("shedding", "user"): ("present", {"limit": (limit, 2), "retry-after": (0.0, 0.02)})},
        rate=40,
        library="nginx limit_conn",
        front="nginx",
    )


def f7_nginx_pace(rng):
    """Refuses who comes too fast, and nobody does: users pile up all the same."""
    return Cell(
        {"timeout": 20, "pace": {"rate": rng.randint(70, 100), "burst": rng.randint(40, 60)}},
        f"latency {rng.randint(1400, 1800)}ms",
        {("shedding", "user"): ("absent", {})},
        rate=40,
        library="nginx limit_req",
        front="nginx",
    )


def f7_haproxy(rng):
    """Who does not come to the server's turn at once is refused."""
    limit = rng.randint(12, 20)
    return Cell(
        {"timeout": 20, "server_places": limit, "queue": rng.randint(20, 60) / 1000},
        f"latency {rng.randint(900, 1200)}ms",
        {("shedding", "user"): ("present", {"limit": (limit, 2)})},
        rate=40,
        library="HAProxy timeout queue",
        front="haproxy",
    )


def f7_nginx_rate(rng):
    """Lets so many through a second."""
    rate = rng.randint(50, 90)
    spec = {"timeout": 20, "pace": {"rate": rate, "burst": rng.randint(5, 10)}}
    return raised(spec, "present", rate, library="nginx limit_req", front="nginx")


def f7_nginx_unlimited(rng):
    return raised({"timeout": 20}, "absent", library="nginx", front="nginx")


def f7_haproxy_queue(rng):
    """Hands on to a server that serves one after the other, and has the others wait."""
    capacity = rng.uniform(50, 90)
    spec = {"timeout": 20, "server_places": rng.randint(2, 4), "queue": 60}
    return raised(spec, "present", capacity, library="HAProxy server maxconn", front="haproxy", serves={"capacity": capacity})


# ------------------------------------------------------------------- F8: health checks


def checks(rng):
    return {"every": rng.randint(300, 600) / 1000, "rise": rng.randint(1, 2), "fall": rng.randint(2, 3)}


def f8_haproxy(rng):
    """Says that it is not ready while its server does not pass its checks."""
    check, fault = checks(rng), rng.choice(["reset", "blackhole"])
    # The fault meets a server whose next check comes at any moment. One that is not answered is given up after the time between
    # two checks, and the next comes as long after that; one that is reset takes no time. Readiness is asked for once a second.
    spans = 2 * check["fall"] - 0.5 if fault == "blackhole" else check["fall"] - 0.5
    lag = spans * check["every"] + 0.5
    return Cell(
        {"timeout": 0.5, "check": check, "monitor": "deep"},
        fault,
        {("health", "ready"): ("present", {"lag": (lag, check["every"] / 2 + 0.5 + 0.3)})},
        ready=True,
        library="HAProxy monitor fail",
        front="haproxy",
    )


def f8_haproxy_shallow(rng):
    """Checks its server just as well, and says that it is ready as long as it runs."""
    return Cell(
        {"timeout": 0.5, "check": checks(rng), "monitor": "shallow"},
        rng.choice(["reset", "blackhole"]),
        {("health", "ready"): ("absent", {})},
        ready=True,
        library="HAProxy monitor-uri",
        front="haproxy",
    )


# ------------------------------------------------------------------- F9: connections


def herd(rng, truth, wait, spread, library):
    spec = {"library": "redis", "timeout": 0.3, "herd": {"connections": rng.randint(40, 60), "wait": wait, "spread": spread}}
    return Cell(spec, "reset", {("reconnect", EDGE): (truth, {})}, rate=5, phases=(2, 10, 8, 12), callee="redis", library=library)


def f9_redis_herd(rng):
    return herd(rng, "present", rng.uniform(0.3, 0.5), False, "redis-py ConstantBackoff")


def f9_redis_spread(rng):
    return herd(rng, "absent", rng.uniform(8.0, 10.0), True, "redis-py FullJitterBackoff")


def streamed(rng, truth, leak, library):
    spec = {"library": "httpx", "timeout": 2.0, "leak": leak}
    return Cell(spec, "abort 503", {("leak", EDGE): (truth, {})}, rate=rng.uniform(4, 8), phases=(1, 10, 40, 10), cycles=5, library=library)


def f9_httpx_leak(rng):
    """Streams answers, and forgets to close those that are errors."""
    return streamed(rng, "present", True, "httpx send(stream=True)")


def f9_httpx_closed(rng):
    return streamed(rng, "absent", False, "httpx stream()")


# ------------------------------------------------------------------- F10: coming back


def f10_haproxy(rng):
    """Calls its server again once so many checks in a row have passed."""
    check = {"every": rng.randint(1000, 2000) / 1000, "rise": rng.randint(2, 3), "fall": 2}
    # The first good check comes at any moment after the lift; users are looked at by the second.
    wait = (check["rise"] - 0.5) * check["every"] + 0.5
    return Cell(
        {"timeout": 2, "check": check},
        "reset",
        {
            ("recovery", "user"): ("present", {"time": (wait, check["every"] / 2 + 0.5 + 0.4)}),
            ("metastability", "user"): ("absent", {"outcome": "recovered"}),
        },
        rate=30,
        phases=(1, 10, 6, 22),
        library="HAProxy check rise",
        front="haproxy",
    )


# ------------------------------------------------------------------- F10: writes


def writes(rng, spec, callee, store, fault, lost, duplicates, library):
    return Cell(
        spec,
        fault,
        {("lost", "user"): lost, ("duplicates", "user"): duplicates},
        callee=callee,
        store=store,
        rate=rng.uniform(30, 50),
        phases=(1, 8, 6, 12),
        timeout=5,
        library=library,
    )


def f10_postgres(rng):
    """Killed, but each commit was on disk before it was acknowledged."""
    store = {"synchronous_commit": "on"}
    return writes(rng, {"library": "psycopg_pool"}, "postgres", store, "kill", ("absent", {}), ("absent", {}), "PostgreSQL")


def f10_postgres_behind(rng):
    """Acknowledges before the commit is on disk, and is killed. A page of commits that is full is written at once, so that only
    those of the last page are lost: seldom none."""
    store = {"synchronous_commit": "off", "wal_writer_delay": f"{rng.randint(2000, 6000)}ms"}
    lost = ("counted", {"lost": ("lost", 2)})
    return writes(rng, {"library": "psycopg_pool"}, "postgres", store, "kill", lost, ("absent", {}), "PostgreSQL synchronous_commit=off")


def f10_redis_snapshot(rng):
    """Writes to disk every few seconds all that it has, and is killed in between: seldom just after it."""
    store = {"save": f"{rng.randint(2, 4)} 1", "appendonly": "no"}
    lost = ("counted", {"lost": ("lost", 2)})
    return writes(rng, {"library": "redis", "timeout": 1.0}, "redis", store, "kill", lost, ("absent", {}), "Redis save")


def f10_redis_log(rng):
    """Killed, but each command was on disk before it was answered."""
    store = {"save": "", "appendonly": "yes", "appendfsync": "always"}
    return writes(rng, {"library": "redis", "timeout": 1.0}, "redis", store, "kill", ("absent", {}), ("absent", {}), "Redis appendfsync always")


def f10_redis_twice(rng):
    """The answer is late, and redis-py sends the command once more."""
    store = {"save": "", "appendonly": "yes", "appendfsync": "always"}
    spec = {"library": "redis", "timeout": 0.25, "attempts": rng.randint(2, 3), "protocol": 2}
    twice = ("present", {"duplicates": ("twice", 0)})
    return writes(rng, spec, "redis", store, f"latency {rng.randint(400, 700)}ms", ("absent", {}), twice, "redis-py Retry")
