"""The real program, and what stands around it, for the Python tests."""

import datetime
import http.server
import json
import os
import socket
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from running import DEADLINE, Program

REPOSITORY = Path(__file__).resolve().parents[3]
SEALGATE = Path(os.environ.get("SEALGATE_BIN", REPOSITORY / "target/debug/sealgate"))


def free_address():
    """An address of this process alone: listeners with SO_REUSEPORT would share a port silently."""
    pid = os.getpid()
    host = f"127.{128 | (pid >> 16) & 63}.{(pid >> 8) & 255}.{pid & 255}"
    with socket.socket() as probe:
        probe.bind((host, 0))
        return host, probe.getsockname()[1]


def self_signed(folder, name):
    """A certificate for `name`, trusted by itself; gives the paths of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].touch(mode=0o600)
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


class Gateway(Program):
    """A running gateway, once it listens; its log lines are JSON."""

    def __init__(self, *arguments, address=None, network=None):
        """With an `address`, the arguments say themselves that it is listened on; with a `network`, in that one."""
        self.address = address or free_address()
        host, port = self.address
        flags = ["--listen", f"{host}:{port}", "--workers", "1", "--log-format", "json"]
        command = [SEALGATE, *map(str, arguments), *([] if address else flags)]
        super().__init__(network.inside(command) if network else command)

    def line(self, wanted):
        """Waits for a log line, as a dictionary, for which `wanted` is true."""

        def found():
            parsed = (json.loads(line) for line in self.lines if line.startswith("{"))
            return next((entry for entry in parsed if wanted(entry)), None)

        return self.wait_for("such line", found)

    def __enter__(self):
        super().__enter__()
        host, port = self.address
        try:
            self.line(lambda entry: entry["message"] == "listening" and f"{host}:{port}" == entry["address"])
        except BaseException:
            self.__exit__()
            raise
        return self


class Objects:
    """An HTTP object store in this process: PUT keeps the body in `stored`, GET gives it."""

    def __init__(self):
        stored = self.stored = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                stored[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(201, b"")

            def do_GET(self):
                found = stored.get(self.path)
                self.answer(404 if found is None else 200, found or b"")

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                """The gateway may reset a connection; the test looks at the other side."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Echo:
    """A TCP service in this process that sends back what it gets."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection):
        with connection:
            connection.settimeout(DEADLINE)
            while data := connection.recv(65536):
                connection.sendall(data)

    def __exit__(self, *_):
        # Wakes the thread that accepts.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
