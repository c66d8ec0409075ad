"""`sealgate reseal` takes messages of the official AWS Encryption SDK for Python, and the SDK opens what comes out.

Build the program first: cargo build -p sealgate
"""

import secrets
import subprocess

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from device import Device
from python_sdk import REFUSALS, SUITES, open_there, seal_there
from test_command import SEALGATE, STORED


def key_file(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("suite", SUITES)
# The SDK ends a message of whole frames with an empty final frame, which a reseal does not keep.
@pytest.mark.parametrize("length", [0, 1000, 3 * 1024])
def test_the_sdk_opens_what_was_resealed_from_its_own_message(tmp_path, suite, length):
    old, new = Device("ecdh-p256", tmp_path, "old"), Device("ecdh-p384", tmp_path, "new")
    plaintext = secrets.token_bytes(length)
    message = key_file(tmp_path, "message", seal_there(plaintext, old.sealing_keyring(), suite, 1024, STORED))
    private = key_file(tmp_path, "old.key", old.private_bytes(Encoding.PEM))
    public = key_file(tmp_path, "new.pub", new.public_bytes(Encoding.PEM))
    command = [SEALGATE, "reseal", message, "--private-key", private, "--recipient", public]
    subprocess.run(command, check=True, capture_output=True, timeout=60)

    resealed = message.read_bytes()
    opened, header = open_there(resealed, new, STORED)
    assert secrets.compare_digest(opened, plaintext)
    assert (header.algorithm, header.frame_length) == (SUITES[suite], 1024)
    with pytest.raises(REFUSALS):
        open_there(resealed, old, STORED)
    done = subprocess.run([*command, "--force"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 10, "the old key opens it no more"
    assert "no key that was given opens it" in done.stderr
    assert message.read_bytes() == resealed
