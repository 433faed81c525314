"""What is believed of a request, and which origins are the console's own."""

import pytest

from ovcadmin.config import Settings
from ovcadmin.errors import Forbidden
from ovcadmin.gateway import incoming


def settings(**more):
    raw = {"database_url": "sqlite://", "data_dir": "/nowhere", **more}
    return Settings.from_mapping({f"ovc.{name}": value for name, value in raw.items()})


BEHIND = settings(trusted_proxies="10.0.0.0/8")
FRONT = settings(gateway_front="true", trusted_proxies="10.0.0.0/8 127.0.0.0/8")


def request(origin=None, **more):
    environ = {
        "REMOTE_ADDR": "10.0.0.1",
        "HTTP_HOST": "cloud.example",
        "wsgi.url_scheme": "http",
        **more,
    }
    if origin is not None:
        environ["HTTP_ORIGIN"] = origin
    return environ


FORWARDED = {
    "HTTP_X_FORWARDED_FOR": "203.0.113.9, 192.0.2.1",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "public.example",
}


@pytest.mark.parametrize(
    "known,peer,address,origin",
    [
        (BEHIND, "10.0.0.1", "192.0.2.1", "https://public.example"),
        (BEHIND, "192.0.2.66", "192.0.2.66", "http://cloud.example"),
        (FRONT, "10.0.0.1", "10.0.0.1", "http://cloud.example"),
        (FRONT, "127.0.0.1", "127.0.0.1", "http://cloud.example"),
    ],
)
def test_fault_24_forwarded_headers_count_from_a_trusted_proxy_only(known, peer, address, origin):
    environ = request(origin, **FORWARDED, REMOTE_ADDR=peer)
    incoming.settle(environ, known)
    assert incoming.caller(environ).address == address
    incoming.check_origin(environ, known, needed=True)


@pytest.mark.parametrize(
    "host,origin",
    [
        ("cloud.example", "http://cloud.example"),
        ("cloud.example", "HTTP://Cloud.Example"),
        ("cloud.example", "http://cloud.example:80"),
        ("cloud.example:80", "http://cloud.example"),
        ("cloud.example:8080", "http://cloud.example:8080"),
        ("[::1]:6543", "http://[::1]:6543"),
    ],
)
def test_the_own_origin_is_known_however_it_is_written(host, origin):
    incoming.check_origin(request(origin, HTTP_HOST=host), BEHIND, needed=True)


@pytest.mark.parametrize(
    "origin,more,needed",
    [
        ("http://cloud.example:443", {}, True),
        ("https://cloud.example", {}, True),
        ("null", {}, False),
        (None, {}, True),
        (None, {"HTTP_SEC_FETCH_SITE": "cross-site"}, False),
        (None, {"HTTP_SEC_FETCH_SITE": "same-site"}, False),
    ],
)
def test_fault_26_other_origins_are_foreign(origin, more, needed):
    with pytest.raises(Forbidden):
        incoming.check_origin(request(origin, **more), BEHIND, needed=needed)


def test_a_secret_key_shows_in_no_representation():
    environ = request(HTTP_COOKIE="a=b; ovc_session=geheim", HTTP_AUTHORIZATION="Bearer ovc_x")
    who = incoming.caller(environ)
    assert (who.session_key, who.token_key) == ("geheim", "ovc_x")
    assert "geheim" not in repr(who)
    assert "ovc_x" not in repr(who)


@pytest.mark.parametrize("cookie", ["", "x", "ovc_session", "=;;=", 'ovc_session="', "\x00=\x00"])
def test_a_broken_cookie_is_no_cookie(cookie):
    assert not incoming.caller(request(HTTP_COOKIE=cookie)).session_key
