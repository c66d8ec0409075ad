"""Messages cross between sealgate-envelope and the official AWS Encryption SDK for Node, in both directions.

It needs Node 18 or newer with npm, which installs the SDK as node/package-lock.json has it, once, into node/node_modules. Without them
these tests fail, and say so.
"""

import hashlib
import json
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from program import REFUSED, pairs, run

FOLDER = Path(__file__).resolve().parent / "node"
CONTEXT = {"tenant": "5f0c9a", "policy": "3", "path": "/reports/zürich 2026"}
SIZES = [0, 1, 1023, 1024, 1025, 64 * 1024, 64 * 1024 + 1, 3 * 1024 * 1024 + 17]
KINDS = ["aes", "rsa-sha256", "rsa-sha1"]


@pytest.fixture(scope="session")
def sdk():
    """The SDK in a process of its own, which takes one job a line."""
    for program in ("node", "npm"):
        assert shutil.which(program), f"{program} is missing: install Node 18 or newer (Debian: apt-get install nodejs npm)"
    installed = FOLDER / "node_modules/.package-lock.json"
    wanted = FOLDER / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < wanted.stat().st_mtime:
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{' '.join(command)}, in {FOLDER}:\n{done.stderr}"
    process = subprocess.Popen(
        ["node", FOLDER / "sdk.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )

    def ask(**job):
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, "node ended early; what it said stands above"
        return json.loads(answer)

    yield ask
    process.stdin.close()
    assert process.wait(timeout=30) == 0


class Key:
    """A key of one kind, as the program takes it and as the SDK does."""

    def __init__(self, kind, folder):
        address = {"kind": kind, "namespace": "exit", "name": "key/1"}
        if kind == "aes":
            self.sealing = self.opening = secrets.token_hex(32)
            self.for_sdk = address | {"hex": self.sealing}
            return
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

        def private_bytes(encoding):
            return private.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())

        def public_bytes(encoding):
            return private.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)

        (folder / "private").write_bytes(private_bytes(Encoding.DER))
        (folder / "public").write_bytes(public_bytes(Encoding.DER))
        self.sealing, self.opening = f"{kind}:{folder / 'public'}", f"{kind}:{folder / 'private'}"
        self.for_sdk = address | {
            "private": private_bytes(Encoding.PEM).decode(),
            "public": public_bytes(Encoding.PEM).decode(),
        }


class Bench:
    """Both sides of the exchange, in one folder."""

    def __init__(self, sdk, folder):
        self.sdk, self.folder = sdk, folder

    def file(self, name, content=None):
        path = self.folder / name
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        return path

    def seal_here(self, key, plaintext, frame_len=1024, header_len="-", context=CONTEXT, options=()):
        source, sealed = self.file("plain", plaintext), self.file("sealed")
        arguments = ("seal", key.sealing, "exit", "key/1", frame_len, header_len, 100_000, source, sealed)
        status, said = run(*arguments, *pairs(context), *options)
        assert status == 0, said
        return sealed.read_bytes()

    def open_here(self, key, message, context=CONTEXT):
        sealed, opened = self.file("sealed", message), self.file("opened")
        status, said = run("open", key.opening, "exit", "key/1", 65_568, sealed, opened, *pairs(context))
        return (opened.read_bytes() if status == 0 else None), status, said

    def seal_there(self, key, plaintext, frame_len=1024, signed=False, context=CONTEXT):
        source, sealed = self.file("plain", plaintext), self.file("sealed")
        job = {"do": "seal", "input": str(source), "output": str(sealed), "key": key.for_sdk}
        answer = self.sdk(**job, frame=frame_len, signed=signed, context=context)
        assert answer == {}, answer
        return sealed.read_bytes()

    def open_there(self, key, message):
        """The plaintext and the context; or None and why not."""
        sealed, opened = self.file("sealed", message), self.file("opened")
        answer = self.sdk(do="open", input=str(sealed), output=str(opened), key=key.for_sdk)
        if "refused" in answer:
            assert not opened.exists()
            return None, answer["refused"]
        return opened.read_bytes(), answer["context"]


@pytest.fixture
def bench(sdk, tmp_path):
    return Bench(sdk, tmp_path)


def same(a, b):
    """Compares long plaintexts without printing them."""
    return hashlib.sha256(a).digest() == hashlib.sha256(b).digest()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_node_opens_what_we_sealed(bench, tmp_path, kind, size):
    key, plaintext = Key(kind, tmp_path), secrets.token_bytes(size)
    opened, context = bench.open_there(key, bench.seal_here(key, plaintext))
    assert opened is not None, context
    assert same(opened, plaintext)
    assert context == CONTEXT


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_we_open_what_node_sealed(bench, tmp_path, kind, size):
    key, plaintext = Key(kind, tmp_path), secrets.token_bytes(size)
    opened, status, said = bench.open_here(key, bench.seal_there(key, plaintext))
    assert status == 0, said
    assert same(opened, plaintext)


@pytest.mark.parametrize("frame_len", [128, 4096, 64 * 1024, 1024 * 1024])
def test_frame_lengths_and_pads_cross(bench, tmp_path, frame_len):
    key, plaintext = Key("aes", tmp_path), secrets.token_bytes(300_000)
    opened, said = bench.open_there(key, bench.seal_here(key, plaintext, frame_len, header_len=1024))
    assert opened is not None, said
    assert same(opened, plaintext)
    opened, status, said = bench.open_here(key, bench.seal_there(key, plaintext, frame_len))
    assert status == 0, said
    assert same(opened, plaintext)


def test_signed_messages_cross(bench, tmp_path):
    key, plaintext = Key("aes", tmp_path), secrets.token_bytes(5000)
    opened, context = bench.open_there(key, bench.seal_here(key, plaintext, options=["--signed"]))
    assert opened == plaintext, context
    assert context.keys() == CONTEXT.keys() | {"aws-crypto-public-key"}
    opened, status, said = bench.open_here(key, bench.seal_there(key, plaintext, signed=True))
    assert (opened, status) == (plaintext, 0), said


def test_an_empty_context_crosses(bench, tmp_path):
    key = Key("aes", tmp_path)
    assert bench.open_there(key, bench.seal_here(key, b"bare", context={})) == (b"bare", {})
    opened, status, said = bench.open_here(key, bench.seal_there(key, b"bare", context={}), context={})
    assert (opened, status) == (b"bare", 0), said


@pytest.mark.parametrize("kind", KINDS)
def test_another_key_is_refused_on_both_sides(bench, tmp_path, kind):
    (tmp_path / "other").mkdir()
    key, other = Key(kind, tmp_path), Key(kind, tmp_path / "other")
    assert bench.open_there(other, bench.seal_here(key, b"secret"))[0] is None
    _, status, said = bench.open_here(other, bench.seal_there(key, b"secret"))
    assert status == REFUSED, said


def test_damage_and_cuts_are_refused_on_both_sides(bench, tmp_path):
    key = Key("aes", tmp_path)
    for message in (bench.seal_here(key, b"x" * 3000), bench.seal_there(key, b"x" * 3000)):
        for place in (3, 40, 200, 300, len(message) // 2, len(message) - 1):
            damaged = bytearray(message)
            damaged[place] ^= 0x10
            for bad in (bytes(damaged), message[:place]):
                assert bench.open_there(key, bad)[0] is None, f"byte {place}"
                _, status, said = bench.open_here(key, bad)
                assert status == REFUSED, f"byte {place}: {said}"


def test_node_cannot_open_what_needs_required_context(bench, tmp_path):
    # The table of SDKs in the crate's docs says so: if this ever fails, Node has learnt it.
    key = Key("aes", tmp_path)
    message = bench.seal_here(key, b"x", context={"tenant": "5f0c9a", "!path": "/a"})
    assert bench.open_there(key, message)[0] is None
