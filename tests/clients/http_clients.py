"""Published HTTP clients and servers with `murphy proxy --http` between them, and no fault: nothing may be different.

Usage: http_clients.py MURPHY PORT, the port of a server of HTTP/2 without TLS that has /large and /small. Prints a line for each thing shown; any surprise is an exception and a non-zero exit.
Nothing here waits for a time to pass: where it matters that bytes are not kept back, the sender goes on only after the
receiver has what came before.
"""

import asyncio
import contextlib
import http.server
import json
import queue
import signal
import subprocess
import sys
import threading
from concurrent import futures

import grpc
import httpx
import requests
import websockets.asyncio.client
import websockets.asyncio.server
import websockets.exceptions

MURPHY = sys.argv[1]
NGINX = int(sys.argv[2])
PATIENCE = 20


class Proxy:
    """`murphy proxy --http` in front of a port; `summary` is there after the end of the block."""

    def __init__(self, upstream):
        self.command = [MURPHY, "proxy", "127.0.0.1:0", f"127.0.0.1:{upstream}", "--http", "--output", "json"]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        self.address = json.loads(self.process.stdout.readline())["listen"]
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=PATIENCE)
        self.summary = json.loads(output.splitlines()[-1])
        self.calls = self.summary["calls"]
        assert self.process.returncode == 0


class Pages(http.server.BaseHTTPRequestHandler):
    """`/item/N` with a length; `/events` in chunks, the second only after `released`; POST gives back what it got."""

    protocol_version = "HTTP/1.1"
    released = threading.Event()
    connections = set()

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.connections.add(self.client_address)
        if self.path == "/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.event("first")
            assert self.released.wait(PATIENCE), "the first event was kept back"
            self.event("second")
            self.wfile.write(b"0\r\n\r\n")
            return
        body = f"this is {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.end_headers()
        self.wfile.write(body)

    def event(self, name):
        data = f"data: {name}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def do_POST(self):
        body = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def pages():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


def kept_alive():
    """A pool as browsers have it: one connection for a hundred requests, one on the server's side as well."""
    with pages() as port:
        Pages.connections.clear()
        with Proxy(port) as proxy, requests.Session() as session:
            for n in range(100):
                answer = session.get(f"http://{proxy.address}/item/{n}", timeout=PATIENCE)
                assert (answer.status_code, answer.text) == (200, f"this is /item/{n}"), answer.text
                assert answer.raw.headers.getlist("set-cookie") == ["a=1", "b=2"]
            upload = session.post(f"http://{proxy.address}/", data=(b"x" * 1000 for _ in range(300)), timeout=PATIENCE)
            assert upload.status_code == 201 and upload.content == b"x" * 300_000
        assert len(Pages.connections) == 1, Pages.connections
        assert (proxy.calls["answered"], proxy.summary["connections"]) == (101, 1), proxy.summary
        assert proxy.calls["failed"] == proxy.calls["given-up"] == 0, proxy.calls
    print("requests: ok")


def events():
    """The first event comes while the answer is still open, and is not kept back for the second."""
    with pages() as port, Proxy(port) as proxy, httpx.Client(timeout=PATIENCE) as client:
        with client.stream("GET", f"http://{proxy.address}/events") as answer:
            seen = []
            for line in answer.iter_lines():
                seen += [line] if line else []
                Pages.released.set()
        assert seen == ["data: first", "data: second"], seen
    print("server-sent events: ok")


async def web_sockets():
    """Text, a large message, ping and the closing code, through the upgrade."""

    async def echo(socket):
        async for message in socket:
            if message == "leave":
                await socket.close(4001, "as asked")
                return
            await socket.send(message)

    async with websockets.asyncio.server.serve(echo, "127.0.0.1", 0, max_size=2**24) as server:
        port = server.sockets[0].getsockname()[1]
        with Proxy(port) as proxy:
            async with websockets.asyncio.client.connect(f"ws://{proxy.address}/chat", max_size=2**24) as socket:
                for message in ["hello", b"\x00" * 3_000_000, "x" * 70_000]:
                    await socket.send(message)
                    assert await socket.recv() == message
                await asyncio.wait_for(await socket.ping(), PATIENCE)
                await socket.send("leave")
                try:
                    await socket.recv()
                except websockets.exceptions.ConnectionClosedError as closed:
                    assert (closed.rcvd.code, closed.rcvd.reason) == (4001, "as asked"), closed
                else:
                    raise AssertionError("the closing code did not come")
        assert (proxy.calls["answered"], proxy.calls["given-up"]) == (1, 0), proxy.calls
    print("websockets: ok")


class Grpc(grpc.GenericRpcHandler):
    """Messages are plain bytes: what is shown is the way, not the encoding."""

    def __init__(self):
        self.cancelled = threading.Event()
        self.acknowledged = queue.Queue()

    def service(self, call):
        return {
            "/echo/Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "/echo/Stream": grpc.unary_stream_rpc_method_handler(self.stream),
            "/echo/Hang": grpc.unary_unary_rpc_method_handler(self.hang),
            "/echo/Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "/echo/Chat": grpc.stream_stream_rpc_method_handler(self.chat),
        }.get(call.method)

    def unary(self, request, context):
        context.set_trailing_metadata((("x-trailer", "1"),))
        return request

    def stream(self, request, _):
        for n in range(int(request)):
            yield b"%d" % n
            # The next message is sent only when this one has been received.
            assert self.acknowledged.get(timeout=PATIENCE) == n

    def hang(self, _, context):
        context.add_callback(self.cancelled.set)
        assert self.cancelled.wait(PATIENCE), "the cancel did not come"
        return b""

    def fail(self, _, context):
        context.set_trailing_metadata((("x-why", "sold out"),))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "sold out: \u00e4")

    def chat(self, messages, _):
        for message in messages:
            yield message.upper()


def over_grpc():
    handler = Grpc()
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    options = [("grpc.max_receive_message_length", 2**24)]
    with Proxy(port) as proxy, grpc.insecure_channel(proxy.address, options) as channel:
        unary = channel.unary_unary("/echo/Unary")
        for message in [b"", b"hello", b"x" * 3_000_000]:
            answer, call = unary.with_call(message, timeout=PATIENCE)
            assert answer == message and dict(call.trailing_metadata())["x-trailer"] == "1"
        seen = []
        for message in channel.unary_stream("/echo/Stream")(b"20", timeout=PATIENCE):
            seen.append(int(message))
            handler.acknowledged.put(int(message))
        assert seen == list(range(20)), seen
        try:
            channel.unary_unary("/echo/Fail")(b"", timeout=PATIENCE)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
            assert error.details() == "sold out: \u00e4", error
            assert dict(error.trailing_metadata())["x-why"] == "sold out", error
        else:
            raise AssertionError("the error did not come")
        words = queue.Queue()
        chat = channel.stream_stream("/echo/Chat")(iter(words.get, None), timeout=PATIENCE)
        for word in [b"a", b"b", b"c"]:
            words.put(word)
            assert next(chat) == word.upper()
        words.put(None)
        assert list(chat) == []
        hanging = channel.unary_unary("/echo/Hang").future(b"", timeout=PATIENCE)
        # Many more on the same connection while one hangs.
        assert [unary(b"%d" % n, timeout=PATIENCE) for n in range(50)] == [b"%d" % n for n in range(50)]
        hanging.cancel()
        assert handler.cancelled.wait(PATIENCE), "the cancel did not reach the server"
    server.stop(None).wait()
    assert proxy.calls["given-up"] == 1, proxy.calls
    assert (proxy.calls["failed"], proxy.calls["answered"]) == (0, 56), proxy.calls
    assert proxy.summary["connections"] == 1, proxy.summary
    print("grpc: ok")


async def streams():
    """Many streams of one connection at a time, and what does not exist."""
    names = ["large", "small", "none"]
    with Proxy(NGINX) as proxy:
        async with httpx.AsyncClient(http1=False, http2=True, timeout=PATIENCE) as client:
            answers = await asyncio.gather(*(client.get(f"http://{proxy.address}/{name}") for name in names * 30))
            direct = [await client.get(f"http://127.0.0.1:{NGINX}/{name}") for name in names]
        for answer, wanted in zip(answers, direct * 30):
            assert (answer.status_code, answer.http_version) == (wanted.status_code, "HTTP/2")
            assert answer.content == wanted.content
            assert answer.headers.get("etag") == wanted.headers.get("etag")
    assert (proxy.calls["answered"] + proxy.calls["failed"], proxy.summary["connections"]) == (90, 1), proxy.summary
    print("http/2: ok")


kept_alive()
events()
asyncio.run(web_sockets())
over_grpc()
asyncio.run(streams())
