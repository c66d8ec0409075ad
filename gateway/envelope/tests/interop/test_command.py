"""`sealgate seal` and `sealgate open` and the official AWS Encryption SDK for Python open what the other sealed.

Build the program first: cargo build -p sealgate
"""

import os
import secrets
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, load_pem_public_key
from device import KINDS, NAMESPACE, Device
from matrix import SIZES
from program import REPOSITORY
from python_sdk import REFUSALS, SUITES, open_there, seal_there

SEALGATE = Path(os.environ.get("SEALGATE_BIN", REPOSITORY / "target/debug/sealgate"))
STORED = {"tenant": "5f0c9a", "path": "/reports/zürich 2026"}
REQUIRED = {"policy": "3"}
# Exit statuses that `sealgate open --help` documents.
NO_KEY, DAMAGED, CUT_SHORT, OTHER_CONTEXT = 6, 7, 8, 9


class Command:
    """The program's key options for a device, and its files."""

    def __init__(self, device, folder):
        self.device, self.folder = device, folder
        if device.kind == "aes":
            key = self.file("key", device.key)
            self.sealing = self.opening = ["--raw-aes", NAMESPACE, device.name, key]
            return
        private = self.file("private.pem", device.private_bytes(Encoding.PEM))
        public = self.file("public.pem", device.public_bytes(Encoding.PEM))
        if device.kind.startswith("rsa"):
            oaep = ["--oaep", device.kind.removeprefix("rsa-")]
            self.sealing = ["--raw-rsa", NAMESPACE, device.name, public, *oaep]
            self.opening = ["--raw-rsa", NAMESPACE, device.name, private, *oaep]
        else:
            self.sealing, self.opening = ["--recipient", public], ["--private-key", private]

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    def run(self, what, content, *options, stored=STORED, required={}):
        """What it wrote, or None; and its exit status with what it said."""
        assert SEALGATE.is_file(), f"{SEALGATE} is missing: cargo build -p sealgate"
        source, target = self.file("in", content), self.folder / "out"
        target.unlink(missing_ok=True)
        keys = self.sealing if what == "seal" else self.opening
        context = [word for pair in stored.items() for word in ("--context", "=".join(pair))]
        context += [word for pair in required.items() for word in ("--required-context", "=".join(pair))]
        command = [SEALGATE, what, *keys, *context, *map(str, options), source, "-o", target]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert target.exists() == (done.returncode == 0), done.stderr
        return (target.read_bytes() if target.exists() else None), done.returncode, done.stderr

    def seal(self, plaintext, *options, **context):
        message, status, said = self.run("seal", plaintext, *options, **context)
        assert status == 0, said
        return message


@pytest.mark.parametrize("kind", KINDS)
def test_the_sdk_opens_what_the_command_sealed(devices, tmp_path, kind):
    command = Command(devices[kind], tmp_path)
    for suite, size, frame in [("0478", "20-frames-and-7", 4096), ("0578", "3-frames", 1000), ("0478", "empty", 128)]:
        plaintext = secrets.token_bytes(SIZES[size](frame))
        options = ["--sign"] if suite == "0578" else []
        message = command.seal(plaintext, "--frame-length", frame, *options)
        opened, header = open_there(message, command.device, STORED)
        assert secrets.compare_digest(opened, plaintext)
        assert (header.algorithm, header.frame_length) == (SUITES[suite], frame)
        assert STORED.items() <= header.encryption_context.items()


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_opens_what_the_sdk_sealed(devices, tmp_path, kind):
    command = Command(devices[kind], tmp_path)
    # The SDK ends the second with an empty final frame.
    for suite, size, frame in [("0578", "20-frames-and-7", 4096), ("0478", "3-frames", 1024), ("0478", "empty", 128)]:
        plaintext = secrets.token_bytes(SIZES[size](frame))
        message = seal_there(plaintext, command.device.sealing_keyring(), suite, frame, STORED)
        opened, status, said = command.run("open", message)
        assert status == 0, said
        assert secrets.compare_digest(opened, plaintext)


def new_device(folder, kind):
    """The private and the public key file of a device that the command made."""
    private, public = folder / f"{kind}.key", folder / f"{kind}.pub"
    command = [SEALGATE, "device", "new", "--type", kind, "--out", private, "--public", public]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return private, public


@pytest.mark.parametrize("curve", ["p256", "p384"])
def test_the_sdk_seals_to_and_opens_with_a_device_that_the_command_made(tmp_path, curve):
    private, public = new_device(tmp_path, curve)
    device = Device(f"ecdh-{curve}", tmp_path)
    device.private = load_pem_private_key(private.read_bytes(), None)
    assert load_pem_public_key(public.read_bytes()) == device.private.public_key()
    command = Command(device, tmp_path)
    command.sealing, command.opening = ["--recipient", public], ["--private-key", private]
    assert open_there(command.seal(b"to the device"), device, STORED)[0] == b"to the device"
    message = seal_there(b"to the device", device.sealing_keyring(), stored=STORED)
    assert command.run("open", message)[:2] == (b"to the device", 0)


def test_the_sdk_skips_an_x_wing_recipient(devices, tmp_path):
    private, public = new_device(tmp_path, "xwing")
    command = Command(devices["aes"], tmp_path)
    message = command.seal(b"for both", "--recipient", public)
    assert len(message) > 1000
    assert open_there(message, command.device, STORED)[0] == b"for both"
    command.opening = ["--private-key", private]
    assert command.run("open", message)[:2] == (b"for both", 0)


@pytest.mark.parametrize("kind", ["aes", "rsa-sha256", "ecdh-p384"])
def test_required_context_crosses_and_has_to_be_right(devices, tmp_path, kind):
    command = Command(devices[kind], tmp_path)
    here = command.seal(b"x" * 5000, required=REQUIRED)
    there = seal_there(b"x" * 5000, command.device.sealing_keyring(), stored=STORED, required=REQUIRED)
    assert open_there(here, command.device, STORED | REQUIRED)[0] == b"x" * 5000
    assert command.run("open", there, required=REQUIRED)[:2] == (b"x" * 5000, 0)
    for wrong in ({}, {"policy": "4"}, REQUIRED | {"more": "1"}):
        with pytest.raises(REFUSALS):
            open_there(here, command.device, STORED | wrong)
        opened, status, said = command.run("open", there, required=wrong)
        # No key and no tag says whether it is the context that is wrong, or the message that was changed.
        assert (opened, status in (NO_KEY, DAMAGED, OTHER_CONTEXT)) == (None, True), said


def test_the_command_says_why_it_refuses_what_the_sdk_sealed(devices, strangers, tmp_path):
    command = Command(devices["aes"], tmp_path)
    message = seal_there(b"x" * 5000, command.device.sealing_keyring(), stored=STORED)
    damaged = message[:-3000] + bytes([message[-3000] ^ 1]) + message[-2999:]
    (tmp_path / "other").mkdir()
    stranger = Command(strangers["aes"], tmp_path / "other")
    refused = {
        NO_KEY: stranger.run("open", message),
        DAMAGED: command.run("open", damaged),
        CUT_SHORT: command.run("open", message[:-1]),
        OTHER_CONTEXT: command.run("open", message, stored=STORED | {"path": "/elsewhere"}),
    }
    for status, (opened, found, said) in refused.items():
        assert (opened, found) == (None, status), said
