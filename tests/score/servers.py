"""Real servers: how each is configured and started, and what the stores among them kept.

nginx and HAProxy stand between users and the callee. Redis and PostgreSQL are the callee; where a cell looks for writes, what
they have on disk when all is over is the truth.
"""
import glob
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time

FIXTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixture.py")


class Refused(Exception):
    """A server could not be prepared, or read when all was over."""


GIVEN, GIVING = set(), threading.Lock()


def free_ports(count):
    """Ports of loopback that are free, and that this process is given only once: whoever is to listen there may take its time, and
    of runs that begin at the same moment two would else be given the same one now and then."""
    ports = []
    with GIVING:
        if len(GIVEN) > 5000:  # whoever was given one of the first has long ended
            GIVEN.clear()
        while len(ports) < count:
            port = random.randint(17000, 29999)  # below the range from which the system itself draws
            if port not in GIVEN and is_free(port):
                GIVEN.add(port)
                ports.append(port)
    return ports


def is_free(port):
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


# ---------------------------------------------------------------- before the callee: nginx and HAProxy

NGINX = """daemon off; master_process off; error_log {dir}/nginx.log; pid {dir}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  {zones}
  upstream callee {{ {servers} }}
  server {{
    listen {listen};
    location / {{
      proxy_pass http://callee; proxy_connect_timeout {timeout}ms; proxy_read_timeout {timeout}ms;
      proxy_next_upstream error timeout; proxy_next_upstream_tries {attempts};
      {more}
    }}
    location = /live {{ return 200; }}
  }}
}}
"""

HAPROXY = """global
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server {timeout}ms
  retries {retries}
  {retry_on}
frontend front
  bind {listen}
  {front}
  http-request return status 200 if {{ path /live /free }}
  default_backend callee
backend callee
  http-reuse never
  {back}
{servers}
"""


def front(cell, where, listen, upstreams):
    """The command of a caller that is nginx or HAProxy, with its configuration written."""
    write = {"nginx": nginx, "haproxy": haproxy}[cell.front]
    text, path, command = write(cell.spec, where, listen, upstreams)
    with open(path, "w") as file:
        file.write(text)
    return command


def nginx(spec, where, listen, upstreams):
    """max_fails, fail_timeout; user_places (so many requests at once), pace {rate, burst}, cache {seconds, stale}"""
    attempts = spec.get("attempts", 1)
    if "max_fails" in spec:
        # A lone server is never taken out; two of one address are.
        named = upstreams if len(upstreams) > 1 else upstreams * 2
        servers = "".join(f"server {one} max_fails={spec['max_fails']} fail_timeout={spec['fail_timeout']}s;" for one in named)
    else:
        servers = f"server {upstreams[0]} max_fails=0;" * max(attempts, 1)
    zones, more = [], []
    if "user_places" in spec:
        zones.append("limit_conn_zone $server_port zone=places:1m;")
        more.append(f"limit_conn places {spec['user_places']}; limit_conn_status 503;")
    if "pace" in spec:
        zones.append(f"limit_req_zone $server_port zone=pace:1m rate={spec['pace']['rate']}r/s;")
        more.append(f"limit_req zone=pace burst={spec['pace']['burst']} nodelay; limit_req_status 503;")
    if "cache" in spec:
        zones.append(f"proxy_cache_path {where}/cache keys_zone=cache:1m;")
        zones.append('map $upstream_cache_status $served { STALE stale; default ""; }')
        more.append(f"proxy_cache cache; proxy_cache_valid 200 {spec['cache']['seconds']}s; add_header X-Served $served always;")
        more.append("proxy_cache_use_stale error timeout;" if spec["cache"]["stale"] else "proxy_cache_use_stale off;")
    text = NGINX.format(
        dir=where,
        listen=listen,
        servers=servers,
        timeout=int(spec["timeout"] * 1000),
        attempts=attempts,
        zones="\n  ".join(zones),
        more="\n      ".join(more),
    )
    path = os.path.join(where, "nginx.conf")
    return text, path, ["nginx", "-e", os.path.join(where, "nginx.log"), "-c", path]


def haproxy(spec, where, listen, upstreams):
    """observe {errors, every, rise}, check {every, rise, fall}, monitor (deep, shallow), server_places (so many connections
    to a server), queue (how long who finds none may wait), user_places (so many connections of users)"""
    attempts = spec.get("attempts", 1)
    before, back, each = [], [], ""
    if len(upstreams) > 1:
        back += ["balance roundrobin", "option redispatch 1"]
    if "observe" in spec:
        how = spec["observe"]
        back.append("option httpchk GET /live")
        each = f" check inter {int(how['every'] * 1000)}ms rise {how['rise']} fall 2 observe layer7 error-limit {how['errors']} on-error mark-down"
    if "check" in spec:
        how = spec["check"]
        back.append("option httpchk GET /live")
        each = f" check inter {int(how['every'] * 1000)}ms rise {how['rise']} fall {how['fall']}"
    if "monitor" in spec:
        before.append("monitor-uri /ready")
        if spec["monitor"] == "deep":
            before += ["acl gone nbsrv(callee) lt 1", "monitor fail if gone"]
    if "server_places" in spec:
        each += f" maxconn {spec['server_places']}"
        back.append(f"timeout queue {int(spec['queue'] * 1000)}ms")
    if "user_places" in spec:
        # A connection that a user keeps open would hold its place.
        before += [f"maxconn {spec['user_places']}", "backlog 1024", "option httpclose"]
    text = HAPROXY.format(
        listen=listen,
        timeout=int(spec["timeout"] * 1000),
        retries=attempts - 1,
        retry_on="retry-on all-retryable-errors" if attempts > 1 else "",
        front="\n  ".join(before),
        back="\n  ".join(back),
        servers="\n".join(f"  server s{index} {one}{each}" for index, one in enumerate(upstreams)),
    )
    path = os.path.join(where, "haproxy.cfg")
    return text, path, ["haproxy", "-db", "-f", path]


# ---------------------------------------------------------------- behind it: Redis, PostgreSQL, and our own


def callee(cell, where, listen, direct):
    """The service behind the edge, made ready to be started, and the questions that read all writes back, by place."""
    reads = {}
    if cell.callee == "redis":
        command = redis_server(cell.store or {"save": "", "appendonly": "no"}, where, direct)
        reads = redis_reads(cell, direct)
    elif cell.callee == "postgres":
        command = postgres(cell.store, where, direct)
        reads = {"read": {"postgres": direct, "database": "postgres", "query": "select id from writes"}}
    elif cell.store is not None:
        command = own("store", direct, cell.store) + ["--truth", os.path.join(where, "kept")]
        places = {"read": f"{direct}/writes", "dead-letters": f"{listen}/dead", "queued": f"{listen}/queued"}
        reads = {place: {"http": f"GET http://{asked}"} for place, asked in places.items()}
    else:
        command = own("callee", direct, cell.serves)
    return {"run": command, "ready": {"tcp": direct}, "within": "30s"}, {place: reads[place] for place in cell.reads if place in reads}


def redis_reads(cell, direct):
    known = cell.spec.get("queue", {}).get("known")
    asked = {
        "read": ["SMEMBERS", "known"] if known else ["LRANGE", "writes", "0", "-1"],
        "dead-letters": ["LRANGE", "dead", "0", "-1"],
        "queued": ["XRANGE", "queue", "-", "+"],
    }
    return {place: {"redis": direct, "send": command} for place, command in asked.items()}


def own(role, listen, spec):
    # -B: no compiled files beside the sources.
    return [sys.executable, "-B", FIXTURE, role, "--listen", listen, "--spec", json.dumps(spec)]


def kept(cell, where):
    """What the store has of the writes, each as often as it is there."""
    if cell.callee == "redis":
        return left_in_redis(cell, where, effects_in_redis)
    if cell.callee == "postgres":
        return kept_by_postgres(where)
    with open(os.path.join(where, "kept")) as file:
        return file.read().split()


def effects_in_redis(client):
    return client.lrange("writes", 0, -1) + list(client.smembers("known"))


def places(cell, where, told):
    """Where the messages of a queue are when all is over, by place. Those of a queue of our own went with its process, and are only
    in what its log `told`."""
    if cell.callee == "redis":
        return {
            "read": left_in_redis(cell, where, effects_in_redis),
            "dead-letters": left_in_redis(cell, where, lambda client: client.lrange("dead", 0, -1)),
            "queued": left_in_redis(cell, where, lambda client: [fields[b"id"] for _, fields in client.xrange("queue")]),
        }
    gone = {one for word in ("done", "dead", "dropped") for one in told[word]}
    return {"read": kept(cell, where), "dead-letters": list(told["dead"]), "queued": [one for one in told["acked"] if one not in gone]}


def redis_server(settings, where, listen):
    command = ["redis-server", "--port", listen.rsplit(":", 1)[1], "--bind", "127.0.0.1", "--dir", where]
    return command + [word for name, value in settings.items() for word in (f"--{name}", *(value.split() or [""]))]


def left_in_redis(cell, where, ask):
    """Starts it once more, on what it left on disk."""
    import redis

    port = free_ports(1)[0]
    server = subprocess.Popen(redis_server(cell.store, where, f"127.0.0.1:{port}"), stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port, socket_timeout=10)
        until = time.monotonic() + 20
        while True:
            try:
                return [one.decode() for one in ask(client)]
            except redis.ConnectionError:
                if time.monotonic() > until or server.poll() is not None:
                    raise Refused("redis-server does not start again")
                time.sleep(0.1)
    finally:
        server.kill()
        server.wait()


def of_postgres(program):
    """Debian keeps its programs out of the path."""
    return shutil.which(program) or max(glob.glob(f"/usr/lib/postgresql/*/bin/{program}"), default=None)


NOBODY = 65534


def as_nobody(command):
    """It does not run as root."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]


def alone(where, statement):
    """A statement to a database that no server has open."""
    command = as_nobody([of_postgres("postgres"), "--single", "-D", os.path.join(where, "data"), "postgres"])
    done = subprocess.run(command, input=statement + "\n", capture_output=True, text=True, cwd=os.path.join(where, "data"))
    if done.returncode != 0 or "ERROR" in done.stderr:
        raise Refused(f"{statement}: {done.stderr[-500:]}")
    return done.stdout


def postgres(settings, where, listen):
    data = os.path.join(where, "data")
    os.mkdir(data, 0o700)
    if os.geteuid() == 0:
        os.chmod(where, 0o711)
        os.chown(data, NOBODY, NOBODY)
    made = [of_postgres("initdb"), "-D", data, "--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    done = subprocess.run(as_nobody(made), capture_output=True, text=True, cwd=data)
    if done.returncode != 0:
        raise Refused(f"initdb: {done.stderr[-500:]}")
    alone(where, "create table writes (id text)")
    # Asked to end by SIGTERM it would wait for those who are connected; SIGINT sends them away.
    politely = ["sh", "-c", 'trap "kill -INT \\$p" TERM; "$@" & p=$!; wait $p; wait $p', "sh"]
    command = politely + [of_postgres("postgres"), "-D", data, "-p", listen.rsplit(":", 1)[1]]
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "autovacuum": "off", **settings}
    return as_nobody(command + [word for name, value in settings.items() for word in ("-c", f"{name}={value}")])


def kept_by_postgres(where):
    # A row is shown as `1: id = "…"`.
    lines = alone(where, "select id from writes").splitlines()
    return [line.split('"')[1] for line in lines if line.strip().startswith("1: id = ")]


def example(cell, murphy):
    """A caller that Cargo builds as an example, beside murphy."""
    return os.path.join(os.path.dirname(murphy), "examples", cell.example)


def missing(cell, murphy):
    """What a cell needs and is not there; None if it can run."""
    if cell.example and not os.path.exists(example(cell, murphy)):
        return f"no {cell.example}"
    library = cell.spec.get("library")
    library = {"redis_stream": "redis"}.get(library, library)
    if library:
        try:
            __import__(library)
        except ImportError:
            return f"no {library}"
    programs = {"nginx": cell.front == "nginx", "haproxy": cell.front == "haproxy", "redis-server": cell.callee == "redis"}
    for program, wanted in programs.items():
        if wanted and not shutil.which(program):
            return f"no {program}"
    if cell.callee == "postgres" and not of_postgres("initdb"):
        return "no PostgreSQL"
    return None
