"""Drives a running `murphy serve` with two unmodified Python clients of Toxiproxy.

Usage: python_clients.py PORT. Prints a line for each thing shown; any surprise is an exception and a non-zero exit.
"""

import json
import socket
import sys
import threading
import time

from chaoslib.experiment import run_experiment
from toxiproxy import Toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

PORT = int(sys.argv[1])


def echo_server():
    """A dependency that answers what it is sent."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def call(address, data=b"hello"):
    """One question and its answer over a connection of its own: the answer and the seconds that it took."""
    host, port = address.rsplit(":", 1)
    begun = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(data)
        answer = b""
        while len(answer) < len(data) and (more := connection.recv(65536)):
            answer += more
    return answer, time.monotonic() - begun


def raises(error, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


def toxiproxy_python(upstream):
    client = Toxiproxy()
    client.update_api_consumer("127.0.0.1", PORT)
    assert client.running()
    assert json.loads(client.version())["version"] == "2.12.0", client.version()
    proxy = client.create(name="echo", upstream=f"127.0.0.1:{upstream}")
    assert call(proxy.listen)[0] == b"hello"
    raises(ProxyExists, client.create, name="echo", upstream="a:1")

    proxy.add_toxic(type="latency", attributes={"latency": 300, "jitter": 1})
    answer, took = call(proxy.listen)
    assert answer == b"hello" and took >= 0.298, took
    toxic = proxy.get_toxic("latency_downstream")
    assert (toxic.type, toxic.stream, toxic.toxicity) == ("latency", "downstream", 1)
    assert toxic.attributes == {"latency": 300, "jitter": 1}, toxic.attributes
    raises(ProxyExists, proxy.add_toxic, type="latency")
    raises(InvalidToxic, proxy.add_toxic, type="nonsense")
    proxy.destroy_toxic("latency_downstream")
    raises(NotFound, proxy.destroy_toxic, "latency_downstream")
    assert min(call(proxy.listen)[1] for _ in range(5)) < 0.25  # this machine may stand still once

    proxy.add_toxic(name="cut", type="limit_data", stream="upstream", attributes={"bytes": 3})
    assert len(call(proxy.listen)[0]) <= 3  # what came through may still be answered
    proxy.add_toxic(name="slow", type="bandwidth", toxicity=0.5, attributes={"rate": 1000})
    assert set(proxy.toxics()) == {"cut", "slow"}
    with proxy.down():
        raises(ConnectionRefusedError, call, proxy.listen)
    assert set(client.get_proxy("echo").toxics()) == {"cut", "slow"}
    proxy.disable()
    assert client.get_proxy("echo").enabled is False
    raises(ConnectionRefusedError, call, proxy.listen)
    proxy.enable()
    assert client.get_proxy("echo").enabled is True
    # A reset takes all toxics off and switches all proxies on.
    proxy.disable()
    assert client.reset()
    assert proxy.toxics() == {} and call(proxy.listen)[0] == b"hello"

    # Every kind of toxic, each as it was asked for. This client changes none: it takes one off and puts another on.
    kinds = {
        "latency": {"latency": 10, "jitter": 1},
        "bandwidth": {"rate": 1000},
        "slow_close": {"delay": 10},
        "timeout": {"timeout": 10},
        "reset_peer": {"timeout": 10},
        "slicer": {"average_size": 100, "size_variation": 10, "delay": 1},
        "limit_data": {"bytes": 100},
    }
    for stream in ("upstream", "downstream"):
        for kind, attributes in kinds.items():
            proxy.add_toxic(type=kind, stream=stream, toxicity=0.5, attributes=attributes)
            toxic = proxy.get_toxic(f"{kind}_{stream}")
            assert (toxic.type, toxic.stream, toxic.toxicity) == (kind, stream, 0.5)
            assert toxic.attributes == attributes, toxic.attributes
    assert len(proxy.toxics()) == 2 * len(kinds)
    for toxic in proxy.toxics():
        assert proxy.destroy_toxic(toxic)
    assert proxy.toxics() == {} and call(proxy.listen)[0] == b"hello"
    later = client.create(name="later", upstream=f"127.0.0.1:{upstream}", enabled=False)
    later.enable()
    assert call(client.get_proxy("later").listen)[0] == b"hello"
    assert later.destroy()

    made = client.populate([
        {"name": "echo", "upstream": f"127.0.0.1:{upstream}", "listen": proxy.listen},
        {"name": "second", "upstream": f"127.0.0.1:{upstream}", "listen": "127.0.0.1:0"},
    ])
    assert [proxy.name for proxy in made] == ["second"]
    assert set(client.proxies()) == {"echo", "second"}
    client.destroy_all()
    assert client.proxies() == {} and client.get_proxy("echo") is None
    print("toxiproxy-python: ok")


def chaostoolkit(upstream):
    configuration = {"toxiproxy_host": "127.0.0.1", "toxiproxy_port": PORT}

    def provider(module, function, **arguments):
        return {"type": "python", "module": f"chaostoxi.{module}", "func": function, "arguments": arguments}

    def action(name, module, function, **arguments):
        return {"type": "action", "name": name, "provider": provider(module, function, **arguments)}

    toxic = {"for_proxy": "cart", "toxic_name": "slow"}
    experiment = {
        "version": "1.0.0",
        "title": "a proxy is made, harmed and mended",
        "description": "drives every kind of call of the extension",
        "configuration": configuration,
        "steady-state-hypothesis": {
            "title": "the proxy is there",
            "probes": [
                {
                    "type": "probe",
                    "name": "it exists",
                    "tolerance": True,
                    "provider": provider("proxy.probes", "proxy_exist", proxy_name="cart"),
                },
                {
                    "type": "probe",
                    "name": "it listens",
                    "tolerance": True,
                    "provider": provider("proxy.probes", "get_proxy_attribute", proxy_name="cart", attribute="enabled"),
                },
            ],
        },
        "method": [
            action("latency", "toxic.actions", "create_latency_toxic", latency=100, jitter=10, **toxic),
            action("lift", "toxic.actions", "delete_toxic", **toxic),
            action("bandwidth", "toxic.actions", "create_bandwith_degradation_toxic", rate=100, **toxic),
            action("lift", "toxic.actions", "delete_toxic", **toxic),
            action("slow close", "toxic.actions", "create_slow_connection_close_toxic", delay=10, **toxic),
            action("lift", "toxic.actions", "delete_toxic", **toxic),
            action("timeout", "toxic.actions", "create_timeout_toxic", timeout=10, **toxic),
            action("lift", "toxic.actions", "delete_toxic", **toxic),
            action("slicer", "toxic.actions", "create_slicer_toxic", average_size=9, size_variation=2, delay=1, **toxic),
            action("lift", "toxic.actions", "delete_toxic", **toxic),
            action("limiter", "toxic.actions", "create_limiter_toxic", bytes_limit=10, **toxic),
            action("reset toxics", "proxy.actions", "reset"),
            action("any type, no attributes", "toxic.actions", "create_toxic", toxic_type="noop", **toxic),
            action("off", "proxy.actions", "disable_proxy", proxy_name="cart"),
            action("on", "proxy.actions", "enable_proxy", proxy_name="cart"),
        ],
        "rollbacks": [action("gone", "proxy.actions", "delete_proxy", proxy_name="cart")],
    }
    from chaostoxi.proxy.actions import create_proxy
    from chaostoxi.proxy.probes import proxy_exist

    assert create_proxy("cart", "127.0.0.1", upstream, listen_host="127.0.0.1", configuration=configuration)
    chaostoolkit_acts(configuration, upstream)
    journal = run_experiment(experiment)
    for step in journal["run"] + journal["rollbacks"]:
        assert step["status"] == "succeeded", step
        assert step["output"] is not False, step
    assert journal["status"] == "completed" and not journal["deviated"], journal["status"]
    assert not proxy_exist("cart", configuration=configuration)
    print("chaostoolkit-toxiproxy: ok")


def chaostoolkit_acts(configuration, upstream):
    """What the calls of an experiment do is seen in traffic."""
    from chaostoxi.proxy import actions as proxies
    from chaostoxi.proxy.probes import get_proxy_attribute
    from chaostoxi.toxic import actions as toxics

    def listen():
        return get_proxy_attribute(proxy_name="cart", attribute="listen", configuration=configuration)

    assert call(listen())[0] == b"hello"
    assert toxics.create_latency_toxic("cart", "slow", 300, 1, configuration=configuration)
    assert call(listen())[1] >= 0.298
    assert toxics.delete_toxic("cart", "slow", configuration=configuration)
    assert not toxics.delete_toxic("cart", "slow", configuration=configuration)
    assert min(call(listen())[1] for _ in range(5)) < 0.25
    assert toxics.create_limiter_toxic("cart", "cut", 2, configuration=configuration)
    assert call(listen())[0] == b"he"
    assert proxies.disable_proxy("cart", configuration=configuration)
    raises(ConnectionRefusedError, call, listen())
    # A reset takes all toxics off and switches all proxies on.
    assert proxies.reset(configuration=configuration)
    assert call(listen())[0] == b"hello"
    # In front of something else, with nobody there, and back.
    nobody = socket.create_server(("127.0.0.1", 0))
    address = "127.0.0.1:%d" % nobody.getsockname()[1]
    nobody.close()
    assert proxies.modify_proxy("cart", upstream_address=address, configuration=configuration)
    assert get_proxy_attribute(proxy_name="cart", attribute="upstream", configuration=configuration) == address
    try:
        assert call(listen())[0] == b""
    except ConnectionResetError:
        pass
    back = f"127.0.0.1:{upstream}"
    assert proxies.modify_proxy("cart", upstream_address=back, configuration=configuration)
    assert call(listen())[0] == b"hello"


dependency = echo_server()
toxiproxy_python(dependency)
chaostoolkit(dependency)
