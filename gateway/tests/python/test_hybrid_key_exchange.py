"""A current OpenSSL and the gateway agree on the hybrid post-quantum key exchange.

Run it as: target/venv/bin/python -m pytest gateway/tests/python
"""

import os
import socket

import pytest
from OpenSSL import SSL

from gateway import DEADLINE, Echo, Gateway, self_signed


def connect(address, certificate, version=None):
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.load_verify_locations(str(certificate))
    context.set_verify(SSL.VERIFY_PEER)
    if version is not None:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    plain = socket.create_connection(address, timeout=DEADLINE)
    # pyOpenSSL wants a blocking socket; the kernel keeps the bound.
    plain.settimeout(None)
    seconds = DEADLINE.to_bytes(8, "little") + bytes(8)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
    tls = SSL.Connection(context, plain)
    tls.set_tlsext_host_name(b"a.test")
    tls.set_connect_state()
    tls.do_handshake()
    return tls


def echo(tls, data):
    tls.sendall(data)
    got = b""
    while len(got) < len(data):
        got += tls.recv(len(data) - len(got))
    assert got == data


@pytest.fixture
def gateway(tmp_path):
    certificate, key = self_signed(tmp_path, "a.test")
    with Echo() as service:
        with Gateway("tcp", "--cert", certificate, "--key", key, "--upstream", service.address) as gateway:
            gateway.certificate = certificate
            yield gateway


def test_the_default_of_a_current_openssl_is_hybrid(gateway):
    tls = connect(gateway.address, gateway.certificate)
    assert tls.get_protocol_version_name() == "TLSv1.3"
    assert tls.get_group_name() == "X25519MLKEM768"
    echo(tls, os.urandom(300_000))
    tls.shutdown()
    tls.close()
    entry = gateway.line(lambda entry: entry.get("tls_group") == "X25519MLKEM768")
    assert entry["tls_version"] == "TLSv1.3"
    assert entry["bytes_in"] == entry["bytes_out"] == 300_000


def test_tls_1_2_of_a_current_openssl_is_classical(gateway):
    tls = connect(gateway.address, gateway.certificate, SSL.TLS1_2_VERSION)
    assert tls.get_protocol_version_name() == "TLSv1.2"
    echo(tls, b"hello")
    tls.shutdown()
    tls.close()
    entry = gateway.line(lambda entry: entry.get("tls_version") == "TLSv1.2")
    assert entry["tls_group"] in ("X25519", "P-256", "P-384")
