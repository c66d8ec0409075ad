"""TLS stacks of other make, as clients and as upstreams, with new keys in the middle: both engines carry them.

Run it as: target/venv/bin/python -m pytest gateway/tests/python
"""

import os
import socket
import threading

import pytest
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
from tlslite.constants import KeyUpdateMessageType

import gnutls
from gateway import DEADLINE, Echo, Gateway, free_address, self_signed
from network import Network

ENGINES = ["direct", "rustls"]
# In a network of its own.
SERVICE_PORT = 5556


def tls13():
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = (3, 4)
    return settings


def new_keys(connection, wanted):
    """Sends a KeyUpdate; what is sent from then on is under the next key."""
    for _ in connection.send_keyupdate_request(wanted):
        pass


class TlsliteEcho:
    """A TLS service of tlslite-ng that sends back what it gets and takes a new key each time."""

    def __init__(self, certificate, key):
        self.chain = X509CertChain()
        self.chain.parsePemList(certificate.read_text())
        self.key = parsePEMKey(key.read_text(), private=True)
        self.updates = 0

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        return self

    def _serve(self):
        plain, _ = self.listener.accept()
        plain.settimeout(DEADLINE)
        tls = TLSConnection(plain)
        tls.handshakeServer(certChain=self.chain, privateKey=self.key, settings=tls13())
        while data := tls.read(max=16384):
            new_keys(tls, KeyUpdateMessageType.update_requested)
            self.updates += 1
            tls.write(data)
        tls.close()

    def __exit__(self, *_):
        self.thread.join(DEADLINE)
        self.listener.close()


def tlslite_client(gateway):
    plain = socket.create_connection(gateway.address, timeout=DEADLINE)
    tls = TLSConnection(plain)
    tls.handshakeClientCert(serverName="a.test", settings=tls13())
    return tls


def echo(tls, data):
    tls.write(data)
    assert tls.read(min=len(data), max=len(data)) == data


CONFIG = """
workers = 1
[log]
format = "json"
[tls]
engine = "{engine}"
[[listener]]
name = "public"
listen = "{host}:{port}"
[[tenant]]
id = "acme"
default = true
certificate = "a.test.pem"
key = "a.test.key"
[[route]]
name = "echo"
tenant = "acme"
protocol = "tcp"
class = "terminated"
upstream = "{upstream}"
"""
UPSTREAM_TLS = """
[route.upstream_tls]
ca = "service.test.pem"
server_name = "service.test"
"""


@pytest.fixture(params=ENGINES)
def start(request, tmp_path):
    """Starts a gateway of one engine towards an upstream."""
    self_signed(tmp_path, "a.test")

    def start(upstream, more="", network=None):
        host, port = address = free_address()
        file = tmp_path / "gateway.toml"
        file.write_text(CONFIG.format(engine=request.param, host=host, port=port, upstream=upstream) + more)
        return Gateway("run", "--config", file, address=address, network=network)

    return start


def test_tlslite_as_a_client_renews_its_keys_and_asks_for_ours(start):
    with Echo() as service, start(service.address) as gateway:
        tls = tlslite_client(gateway)
        echo(tls, os.urandom(100_000))
        for wanted in [
            KeyUpdateMessageType.update_requested,
            KeyUpdateMessageType.update_not_requested,
            KeyUpdateMessageType.update_requested,
        ]:
            new_keys(tls, wanted)
            echo(tls, os.urandom(20_000))
        tls.close()
        entry = gateway.line(lambda entry: entry.get("message") == "connection")
        assert (entry["outcome"], entry["bytes_in"], entry["bytes_out"]) == ("ok", 160_000, 160_000)


def test_tlslite_as_the_upstream_renews_its_keys_and_asks_for_ours(start, tmp_path):
    certificate, key = self_signed(tmp_path, "service.test")
    with TlsliteEcho(certificate, key) as service, start(service.address, UPSTREAM_TLS) as gateway:
        tls = tlslite_client(gateway)
        for more in range(5):
            echo(tls, os.urandom(10_000 + more))
        tls.close()
        entry = gateway.line(lambda entry: entry.get("message") == "connection")
        assert (entry["outcome"], entry["bytes_in"], entry["bytes_out"]) == ("ok", 50_010, 50_010)
    assert service.updates >= 5


def test_gnutls_as_a_client_renews_its_keys_and_asks_for_ours(start, tmp_path):
    with Echo() as service, start(service.address) as gateway:
        with gnutls.Dialogue(gnutls.client(gateway.address, tmp_path / "a.test.pem", "a.test")) as client:
            for number in range(3):
                client.say(f"line {number}")
                client.say("^rekey^", "Rekey was completed")
            client.say("the last one")
            client.finish()
        assert "TLS1.3" in str(client), client
        entry = gateway.line(lambda entry: entry.get("message") == "connection")
        sent = len("line 0\n") * 3 + len("the last one\n")
        assert (entry["bytes_in"], entry["bytes_out"]) == (sent, sent)


def test_gnutls_on_both_sides_renews_its_keys_and_asks_for_ours(start, tmp_path):
    names = self_signed(tmp_path, "service.test")
    lines = [os.urandom(400).hex() for _ in range(100)]
    with (
        Network() as network,
        gnutls.Dialogue(network.inside(gnutls.server(SERVICE_PORT, *names))) as service,
        start(f"127.0.0.1:{SERVICE_PORT}", UPSTREAM_TLS, network) as gateway,
    ):
        service.until("listening on IPv4")
        command = gnutls.client(gateway.address, tmp_path / "a.test.pem", "a.test")
        with gnutls.Dialogue(network.inside(command)) as client:
            for number, line in enumerate(lines):
                client.say(line)
                if number % 25 == 0:
                    client.say("^rekey^", "Rekey was completed")
                if number % 25 == 12:
                    # The service takes a new key at this line, and asks for one.
                    client.say("**REHANDSHAKE**", "Successfully executed command")
            client.finish()
        for _ in range(4):
            service.until("KEY_UPDATE was queued")
            service.until("received TLS 1.3 key update (0)")
        entry = gateway.line(lambda entry: entry.get("message") == "connection")
        assert (entry["outcome"], entry["tls_version"]) == ("ok", "TLSv1.3")
    assert [line for line in str(client).splitlines() if line in lines] == lines
