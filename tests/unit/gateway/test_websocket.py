"""The WebSocket module on a real pywsgi server, against a client that is none of ours."""

import http.client
import os
import threading
import time
from contextlib import contextmanager

import gevent
import pytest
from gevent.event import Event

from ovcadmin.gateway import server, websocket
from tests.rig.base import wait_until
from tests.rig.websocket import WebSocketClient


@contextmanager
def serving(handle):
    """Serve `handle(socket)` on every connection, in a hub of its own; yields the address."""
    ready, ending = threading.Event(), []
    place = {"clients": []}

    def application(environ, start):
        try:
            opened = websocket.accept(environ, start, pressure=place["pressure"].append)
        except websocket.BadHandshake as error:
            start("400 Bad Request", [])
            return [str(error).encode()]
        handle(opened)
        return []

    def run():
        made = server.make("127.0.0.1:0", application)
        made.start()
        place.update(address=made.address, hub=gevent.get_hub(), pressure=[])
        stop = Event()
        ending.append(lambda: place["hub"].loop.run_callback_threadsafe(stop.set))
        ready.set()
        stop.wait()
        made.stop(timeout=1)
        gevent.get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    try:
        yield place
    finally:
        for client in place["clients"]:
            client.close()
        ending[0]()
        thread.join()


def echo(opened):
    for message in opened:
        opened.send(message)


def connect(place, **more):
    client = WebSocketClient(place["address"], "/", **more)
    place["clients"].append(client)
    return client


def test_messages_come_back_in_order_and_whole():
    sizes = [0, 1, 125, 126, 65535, 65536]
    with serving(echo) as place:
        client = connect(place)
        for size in sizes:
            data = os.urandom(size)
            client.send(data)
            assert client.receive() == data
        client.send("Grüße, 世界")
        assert client.receive() == "Grüße, 世界"


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "h2c"},
        {"Connection": "keep-alive"},
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Key": "short"},
        {"Sec-WebSocket-Key": "*" * 24},
    ],
)
def test_a_bad_handshake_is_an_ordinary_400(changes):
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        **changes,
    }
    with serving(echo) as place:
        connection = http.client.HTTPConnection(*place["address"])
        connection.request("GET", "/", headers=headers)
        assert connection.getresponse().status == 400
        connection.close()


def test_a_message_beyond_the_limit_closes_with_1009():
    with serving(echo) as place:
        client = connect(place)
        client.send(b"x" * (websocket.MESSAGE_LIMIT + 1))
        assert client.drain() == 1009


def test_text_that_is_no_utf8_closes_the_connection():
    with serving(echo) as place:
        client = connect(place)
        frame = bytearray(b"\x81\x82\x00\x00\x00\x00\xff\xfe")
        client.socket.sendall(frame)
        assert client.drain() in (1002, 1007)


def test_the_close_code_of_either_side_reaches_the_other():
    codes = []

    def take(opened):
        for message in opened:
            opened.close(4003, message)
        codes.append(opened.close_code)

    with serving(take) as place:
        client = connect(place)
        client.send("rights removed")
        assert client.drain() == 4003
        assert client.close_reason == "rights removed"
        other = connect(place)
        other.close(4321)
        wait_until(lambda: len(codes) == 2, "both ends")
        assert codes == [4003, 4321]


@pytest.mark.parametrize(
    ("told", "heard"),
    [
        ("x" * 123, "x" * 123),
        ("x" * 124, "x" * 119 + " …"),
        ("é" * 100, "é" * 59 + " …"),
        ("as long as this, " * 10, "as long as this, " * 6 + "as long as this …"),
    ],
)
def test_a_reason_that_is_too_long_ends_after_a_word_and_says_so(told, heard):
    def take(opened):
        opened.close(4003, told)
        for _ in opened:
            pass

    with serving(take) as place:
        client = connect(place)
        assert client.drain() == 4003
        assert client.close_reason == heard


def test_a_peer_that_just_vanishes_ends_the_receiver():
    codes = []

    def take(opened):
        for _ in opened:
            pass
        codes.append(opened.close_code)

    with serving(take) as place:
        client = connect(place)
        client.socket.close()
        wait_until(lambda: codes == [1006], "the end")


def test_a_peer_that_answers_no_ping_is_dead(monkeypatch):
    monkeypatch.setattr(websocket, "PING_SECONDS", 0.1)
    with serving(echo) as place:
        alive, dead = connect(place), connect(place)
        dead.answers_pings = False
        heard = []
        listener = threading.Thread(target=lambda: heard.append(alive.receive()))
        listener.start()
        started = time.monotonic()
        assert dead.drain(5) == 1006
        assert time.monotonic() - started < 3
        # Whoever answers stays, however quiet.
        alive.send(b"x")
        listener.join()
        assert heard == [b"x"]


def test_a_slow_reader_gets_every_byte_and_the_sender_is_told():
    """The queue is bounded by its sender, who stops while `pressure` is on."""
    total = 8 * 1024 * 1024
    data = os.urandom(total)

    def pour(opened):
        goes = Event()
        goes.set()
        opened.pressure = lambda on: goes.clear() if on else goes.set()
        for start in range(0, total, 60_000):
            goes.wait()
            opened.send(data[start : start + 60_000])
            assert opened._queued < websocket.HIGH + 200_000
        opened.close()
        for _ in opened:
            pass

    with serving(pour) as place:
        client = connect(place, receive_buffer=4096)
        got = bytearray()
        while (message := client.receive()) is not None:
            if len(got) < 600_000:
                time.sleep(0.002)
            got += message
        assert bytes(got) == data
        assert client.close_code == 1000


def test_a_sender_that_ignores_the_pressure_loses_the_connection_not_bytes():
    def pour(opened):
        while opened.open:
            opened.send(b"x" * 100_000)
            gevent.sleep(0)
        for _ in opened:
            pass

    with serving(pour) as place:
        client = connect(place, receive_buffer=4096)
        time.sleep(0.3)
        assert client.drain() == websocket.TOO_SLOW
