"""Callers made of real libraries: `LIBRARIES[name](spec, upstream)` gives what answers a path, in a thread of its own, and
raises whatever the library makes of a failure.
"""
import threading


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def plain(upstream, timeout):
    """A GET by the standard library; raises on anything but 200."""
    import http.client

    connection = http.client.HTTPConnection(*address(upstream), timeout=timeout)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise ConnectionError(f"status {answer.status}")
        return body
    finally:
        connection.close()


def with_tenacity(spec, upstream):
    """breaker (each try passes one of pybreaker)"""
    import tenacity

    how = spec["wait"]
    wait = {
        "constant": lambda: tenacity.wait_fixed(how["base"]),
        "linear": lambda: tenacity.wait_incrementing(start=how["base"], increment=how["base"]),
        # tenacity waits multiplier * 2 ** (attempt - 1)
        "exponential": lambda: tenacity.wait_exponential(multiplier=how["base"], min=0, max=how.get("cap", 60)),
        "full": lambda: tenacity.wait_random_exponential(multiplier=how["base"], max=how.get("cap", 60)),
    }["full" if how.get("jitter") == "full" else how["shape"]]()
    once = plain
    if "breaker" in spec:
        through = with_pybreaker(spec, upstream)
        once = lambda *_: through(None)
    call = tenacity.retry(stop=tenacity.stop_after_attempt(spec["attempts"]), wait=wait, reraise=True)(once)
    return lambda _path: call(upstream, spec.get("timeout", 10))


def with_pybreaker(spec, upstream):
    import pybreaker

    limits = spec["breaker"]
    breaker = pybreaker.CircuitBreaker(fail_max=limits["failures"], reset_timeout=limits["open"])
    return lambda _path: breaker.call(plain, upstream, spec.get("timeout", 10))


def with_urllib3(spec, upstream):
    import urllib3

    how = spec.get("wait") or {}
    retries = urllib3.Retry(
        total=spec.get("attempts", 1) - 1,
        backoff_factor=how.get("base", 0),
        backoff_jitter=how.get("jitter") or 0.0,
        allowed_methods=None,
    )
    pool = urllib3.PoolManager(num_pools=1, maxsize=64, retries=retries, timeout=urllib3.Timeout(spec.get("timeout", 10)))

    def call(_path):
        answer = pool.request("GET", f"http://{upstream}/", headers={"Connection": "close"})
        if answer.status != 200:
            raise ConnectionError(f"status {answer.status}")
        return answer.data

    return call


def with_httpx(spec, upstream):
    """pool (so many connections; who waits for one waits for long), connects (tries to connect), leak (an answer is streamed, and
    is closed, or not, if it is an error)"""
    import httpx

    timeout = httpx.Timeout(spec.get("timeout", 10), pool=60)
    transport = httpx.HTTPTransport(retries=spec.get("connects", 1) - 1, limits=httpx.Limits(max_connections=spec.get("pool")))
    client = httpx.Client(timeout=timeout, transport=transport)
    url = f"http://{upstream}/"

    def call(_path):
        answer = client.get(url, headers={"Connection": "close"})
        answer.raise_for_status()
        return answer.content

    def closed(_path):
        with client.stream("GET", url) as answer:
            answer.raise_for_status()
            return answer.read()

    def left_open(_path):
        answer = client.send(client.build_request("GET", url), stream=True)
        answer.raise_for_status()
        body = answer.read()
        answer.close()
        return body

    if "leak" not in spec:
        return call
    return left_open if spec["leak"] else closed


def with_requests(spec, upstream):
    import requests

    def call(_path):
        answer = requests.get(f"http://{upstream}/", timeout=spec.get("timeout"), headers={"Connection": "close"})
        answer.raise_for_status()
        return answer.content

    return call


def redis_client(spec, upstream, backoff, retries, timeout):
    import redis
    from redis.retry import Retry

    host, port = address(upstream)
    errors = (redis.ConnectionError, redis.TimeoutError, OSError)
    # Protocol 3 begins each connection with a question; with 2 the first thing said is the command.
    more = {"protocol": spec["protocol"]} if "protocol" in spec else {}
    return redis.Redis(
        host=host,
        port=port,
        socket_timeout=timeout,
        retry=Retry(backoff, retries, supported_errors=errors),
        max_connections=200,
        driver_info=None,
        **more,
    )


def with_redis(spec, upstream):
    from redis.backoff import ConstantBackoff, ExponentialBackoff, FullJitterBackoff, NoBackoff

    how = spec.get("wait")
    if not how:
        backoff = NoBackoff()
    elif how.get("jitter") == "full":
        backoff = FullJitterBackoff(cap=how.get("cap", 60), base=how["base"])
    elif how["shape"] == "constant":
        backoff = ConstantBackoff(how["base"])
    else:
        backoff = ExponentialBackoff(cap=how.get("cap", 60), base=how["base"])
    client = redis_client(spec, upstream, backoff, spec.get("attempts", 1) - 1, spec.get("timeout", 10))
    if spec.get("herd"):
        redis_herd(spec, upstream)

    def call(path):
        if path.startswith("/write/"):
            return str(client.rpush("writes", path[len("/write/"):])).encode()
        return str(client.get("key")).encode()

    return call


def with_redis_stream(spec, upstream):
    from consumers import Stream
    from redis.backoff import NoBackoff

    queue = redis_client(spec, spec["queue"]["at"], NoBackoff(), 0, 10)
    effects = redis_client(spec, upstream, NoBackoff(), 0, spec["timeout"])
    return Stream(spec["queue"], queue, effects).put


def redis_herd(spec, upstream):
    """Clients that each wait for an element of a list that nobody fills, and connect anew when their connection breaks."""
    from redis.backoff import ConstantBackoff, FullJitterBackoff

    how = spec["herd"]

    def wait_for_ever():
        backoff = FullJitterBackoff(cap=how["wait"], base=how["wait"]) if how["spread"] else ConstantBackoff(how["wait"])
        client = redis_client(spec, upstream, backoff, -1, None)
        while True:
            client.blpop(["nothing"], timeout=0)

    for _ in range(how["connections"]):
        threading.Thread(target=wait_for_ever, daemon=True).start()


def with_psycopg_pool(spec, upstream):
    import psycopg_pool

    host, port = address(upstream)
    pool = psycopg_pool.ConnectionPool(
        f"host={host} port={port} user=postgres dbname=postgres connect_timeout=2",
        kwargs={"autocommit": True},
        min_size=4,
        max_size=16,
        timeout=1.0,
        open=True,
    )

    def call(path):
        with pool.connection() as connection:
            if path.startswith("/write/"):
                connection.execute("insert into writes values (%s)", (path[len("/write/"):],))
            else:
                connection.execute("select 1")
        return b"{}"

    return call


LIBRARIES = {
    "tenacity": with_tenacity,
    "pybreaker": with_pybreaker,
    "urllib3": with_urllib3,
    "httpx": with_httpx,
    "requests": with_requests,
    "redis": with_redis,
    "redis_stream": with_redis_stream,
    "psycopg_pool": with_psycopg_pool,
}
