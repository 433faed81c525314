"""The directory driver when the network or the servers are not as they should be."""

import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from ovcadmin.drivers.directory.ldap import LdapDirectory
from ovcadmin.drivers.directory.settings import Address, Transport
from ovcadmin.errors import DirectoryRefused, DirectoryUnreachable, SettingInvalid
from tests.rig.base import wait_until
from tests.rig.network import black_hole, free_ports
from tests.rig.people import PASSWORD
from tests.rig.slapd import slapd

TIMEOUT = 0.4
"""Seconds; 3 outside of tests."""


@pytest.fixture(scope="module")
def server():
    with slapd() as running:
        yield running


@contextmanager
def speaking(answer, *, pause=0.0):
    """A server that is no directory: it sends the bytes of `answer`, `pause` seconds apart.

    `answer` may be a function of the request.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with client, suppress(OSError):
                        request = client.recv(1000)
                        for byte in answer(request) if callable(answer) else answer:
                            client.send(bytes([byte]))
                            time.sleep(pause)

        threading.Thread(target=serve, daemon=True).start()
        yield Address("127.0.0.1", listener.getsockname()[1])


def took(work):
    started = time.monotonic()
    work()
    return time.monotonic() - started


# --- encryption ---
@pytest.fixture(params=[Transport.STARTTLS, Transport.LDAPS])
def encrypted(request, server):
    """Settings for a host name, over either kind of encryption."""

    def make(host="localhost", **changes):
        port = server.port if request.param is Transport.STARTTLS else server.tls_port
        given = {"servers": (Address(host, port),), "transport": request.param}
        return server.settings(**given | changes)

    return make


def test_the_certificate_must_be_of_our_authority(server, encrypted):
    assert LdapDirectory(encrypted()).authenticate("ann", PASSWORD)
    for authority in (server.foreign_ca_file, None):
        with pytest.raises(DirectoryRefused, match="its certificate is refused"):
            LdapDirectory(encrypted(ca_file=authority)).authenticate("ann", PASSWORD)


def test_the_certificate_must_be_for_the_name_of_the_server(encrypted):
    assert LdapDirectory(encrypted("127.0.0.1")).person("ann")
    with pytest.raises(DirectoryRefused, match="IP address mismatch"):
        LdapDirectory(encrypted("127.0.0.2")).authenticate("ann", PASSWORD)


def test_no_encryption_only_if_the_settings_say_so(server):
    plain = server.settings(transport=Transport.PLAIN)
    assert LdapDirectory(plain).authenticate("ann", PASSWORD)
    assert server.settings().transport is Transport.STARTTLS


def test_a_server_that_cannot_encrypt_gets_no_password(server):
    wrong_port = (Address("localhost", server.port),)
    ldaps = server.settings(servers=wrong_port, transport=Transport.LDAPS, timeout=TIMEOUT)
    with pytest.raises((DirectoryRefused, DirectoryUnreachable)):
        LdapDirectory(ldaps).authenticate("ann", PASSWORD)


def test_a_server_without_starttls_gets_no_password(server):
    def protocol_error(request):
        number = request[2 : 4 + request[3]]  # of the message, an INTEGER
        body = number + bytes.fromhex("78070a010204000400")
        return b"\x30" + bytes([len(body)]) + body

    with speaking(protocol_error) as address:
        old = server.settings(servers=(address,), timeout=TIMEOUT)
        with pytest.raises(DirectoryRefused, match="does not offer StartTLS"):
            LdapDirectory(old).authenticate("ann", PASSWORD)


# --- servers that do not answer ---
def test_fault_18_a_dead_first_server_costs_one_caller_one_timeout(server):
    with black_hole() as port:
        servers = (Address("127.0.0.1", port), Address("localhost", server.port))
        directory = LdapDirectory(server.settings(servers=servers, timeout=TIMEOUT))
        first = took(lambda: directory.authenticate("ann", PASSWORD))
        assert TIMEOUT <= first < TIMEOUT + 1
        assert (
            max(took(lambda: directory.authenticate("ann", PASSWORD)) for _ in range(20)) < TIMEOUT
        )


def test_fault_18_a_dead_directory_is_an_error_in_time_and_then_at_once(server):
    with black_hole() as one, black_hole() as two:
        servers = (Address("127.0.0.1", one), Address("127.0.0.1", two))
        directory = LdapDirectory(server.settings(servers=servers, timeout=TIMEOUT))

        def fails():
            with pytest.raises(DirectoryUnreachable, match="no answer within"):
                directory.authenticate("ann", PASSWORD)

        assert took(fails) < 2 * TIMEOUT + 1
        assert took(fails) < TIMEOUT


def test_fault_18_a_server_that_hangs_is_left_and_found_again(server):
    directory = LdapDirectory(server.settings(timeout=TIMEOUT))
    assert directory.person("ann")
    server.freeze()
    try:
        with pytest.raises(DirectoryUnreachable):
            directory.person("ann")
    finally:
        server.thaw()

    def answers():
        with suppress(DirectoryUnreachable):
            return directory.person("ann")

    wait_until(answers, "the directory")


def test_a_server_that_hangs_in_the_middle_of_an_answer_gives_way_to_the_next(server):
    with slapd() as other:
        servers = (Address("localhost", other.port), Address("localhost", server.port))
        settings = server.settings(servers=servers, ca_file=other.ca_file, timeout=TIMEOUT)
        authorities = other.directory / "both.pem"
        authorities.write_bytes(other.ca_file.read_bytes() + server.ca_file.read_bytes())
        directory = LdapDirectory(
            server.settings(servers=servers, ca_file=authorities, timeout=TIMEOUT)
        )
        ann = directory.person("ann")
        with directory._connection() as connection:
            assert str(connection.address.port) in str(settings.servers[0])
            other.freeze()
            with pytest.raises(DirectoryUnreachable):
                connection.find(ann.dn, "(uid=ann)", ["uid"])
        assert directory.authenticate("ann", PASSWORD).dn == ann.dn


def test_a_server_that_refuses_is_asked_again_at_once(server):
    port = free_ports(1)[0]
    directory = LdapDirectory(server.settings(servers=(Address("localhost", port),)))
    with pytest.raises(DirectoryUnreachable, match="nothing listens"):
        directory.person("ann")
    server.stop()
    kept, server.port = server.port, port
    try:
        server.start()
        assert wait_until(lambda: directory.person("ann"), "the directory", 1)
    finally:
        server.stop()
        server.port = kept
        server.start()


@pytest.mark.parametrize("transport", list(Transport))
def test_an_answer_that_drips_ends_in_time(server, transport):
    with speaking(b"\x30\x84\x00\x0f\xff\xff" + b"x" * 1000, pause=TIMEOUT / 8) as address:
        settings = server.settings(servers=(address,), timeout=TIMEOUT, transport=transport)

        def fails():
            with pytest.raises((DirectoryUnreachable, DirectoryRefused)):
                LdapDirectory(settings).authenticate("ann", PASSWORD)

        assert took(fails) < TIMEOUT * 2 + 1


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"0\x00", b"\x30\x05\x02\x01\x01\x61\x00"]
)
def test_what_is_no_directory_is_an_error_in_time(server, answer):
    with speaking(answer) as address:
        settings = server.settings(servers=(address,), timeout=TIMEOUT, transport=Transport.PLAIN)
        with pytest.raises((DirectoryUnreachable, DirectoryRefused)):
            LdapDirectory(settings).authenticate("ann", PASSWORD)


def test_a_name_that_does_not_resolve_is_an_error_in_time(server):
    settings = server.settings(servers=(Address("nowhere.invalid", 389),), timeout=TIMEOUT)
    with pytest.raises(DirectoryUnreachable, match="cannot be resolved"):
        LdapDirectory(settings).person("ann")


# --- the service account ---
def test_a_wrong_service_account_is_not_the_fault_of_the_person(server):
    directory = LdapDirectory(server.settings(bind_password="wrong password"))
    with pytest.raises(DirectoryRefused, match="service account are wrong"):
        directory.authenticate("ann", PASSWORD)


@pytest.mark.parametrize(
    "bad",
    [
        {"servers": ()},
        {"bind_password": ""},
        {"base": ""},
        {"user_bind": "uid=ann"},
        {"ca_file": "/nowhere"},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(server, bad):
    if "ca_file" in bad:
        bad = {"ca_file": server.directory / "nowhere.pem"}
    with pytest.raises(SettingInvalid):
        server.settings(**bad)


# --- the connection test ---
def steps(settings):
    return [(found.step, found.good) for found in LdapDirectory(settings).check()]


def test_the_connection_test_says_how_far_each_server_gets(server):
    with black_hole() as port:
        servers = (Address("localhost", server.port), Address("127.0.0.1", port))
        dead = Address("127.0.0.1", port)
        found = LdapDirectory(server.settings(servers=servers, timeout=TIMEOUT)).check()
    assert [(f.server, f.step, f.good) for f in found] == [
        (str(servers[0]), "connection", True),
        (str(servers[0]), "service account", True),
        (str(servers[0]), "people", True),
        (str(servers[0]), "groups", True),
        (str(dead), "connection", False),
    ]
    assert found[2].text.startswith("5 people below ou=people")
    assert "no answer within" in found[-1].text


def test_the_connection_test_stops_at_what_is_wrong_and_explains_it(server):
    assert steps(server.settings(ca_file=server.foreign_ca_file)) == [("connection", False)]
    wrong = steps(server.settings(bind_password="wrong password"))
    assert wrong == [("connection", True), ("service account", False)]
    nobody = LdapDirectory(server.settings(base="dc=example,dc=com")).check()
    assert [f.good for f in nobody] == [True, True, False, False]
    assert "is the base right?" in nobody[2].text
