"""TLS stacks of other make, as clients and as upstreams, with new keys in the middle: both engines carry them.

Run it as: target/venv/bin/python -m pytest gateway/tests/python
"""

import os
import socket
import subprocess
import threading

import pytest
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
from tlslite.constants import KeyUpdateMessageType

from gateway import DEADLINE, Echo, Gateway, free_address, self_signed

ENGINES = ["direct", "rustls"]


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

    def start(upstream, more=""):
        host, port = address = free_address()
        file = tmp_path / "gateway.toml"
        file.write_text(CONFIG.format(engine=request.param, host=host, port=port, upstream=upstream) + more)
        return Gateway("run", "--config", file, address=address)

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


def test_gnutls_renews_its_keys_and_asks_for_ours(start, tmp_path):
    with Echo() as service, start(service.address) as gateway:
        host, port = gateway.address
        names = ["--x509cafile", tmp_path / "a.test.pem", "--sni-hostname", "a.test", "--verify-hostname", "a.test"]
        client = subprocess.Popen(
            ["gnutls-cli", "--inline-commands", *map(str, names), "--port", str(port), host],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        bell = threading.Timer(DEADLINE, client.kill)
        bell.start()
        try:
            seen = []

            def say(line, wanted):
                # A line that is a command has to come alone.
                client.stdin.write(line)
                client.stdin.flush()
                while not seen or wanted not in seen[-1]:
                    seen.append(client.stdout.readline())
                    assert seen[-1], "".join(seen)

            for number in range(3):
                say(f"line {number}\n", f"line {number}")
                say("^rekey^\n", "Rekey was completed")
            say("the last one\n", "the last one")
            client.stdin.close()
            client.wait(DEADLINE)
        finally:
            bell.cancel()
            client.kill()
            client.wait()
        assert any("TLS1.3" in line for line in seen), "".join(seen)
        entry = gateway.line(lambda entry: entry.get("message") == "connection")
        sent = len("line 0\n") * 3 + len("the last one\n")
        assert (entry["bytes_in"], entry["bytes_out"]) == (sent, sent)
