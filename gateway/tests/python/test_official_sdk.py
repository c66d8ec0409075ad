"""The official AWS Encryption SDK opens what the running gateway sealed, and the gateway what the SDK sealed.

The branch key is taken out of the keyring file here: KEK and wrapped keys stand in it
(gateway/keys/src/keyring/text.rs, gateway/keys/src/provider/file.rs).
Run it as: target/venv/bin/python -m pytest gateway/tests/python
"""

import base64
import http.client
import os
import ssl
import struct
import subprocess
import tomllib

import aws_encryption_sdk
import pytest
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import AesWrappingAlg, CreateRawAesKeyringInput
from aws_encryption_sdk import CommitmentPolicy
from aws_encryption_sdk.identifiers import AlgorithmSuite
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway import DEADLINE, SEALGATE, Gateway, Objects, self_signed

client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())


class Keyring:
    """The newest branch key of a keyring file, as the SDK takes it."""

    def __init__(self, path):
        file = tomllib.loads(path.read_text())
        self.pseudonym, branch = file["pseudonym"], file["branch"]
        newest = max(file["branch_key"], key=lambda key: key["epoch"])
        aad = b"sealgate keyring branch key"
        for text in (self.pseudonym, branch):
            aad += struct.pack(">Q", len(text)) + text.encode()
        aad += struct.pack(">I", newest["epoch"])
        [kek] = [kek["secret"] for kek in file["kek"] if kek["version"] == newest["kek_version"]]
        kek, wrapped = base64.b64decode(kek), base64.b64decode(newest["wrapped"])
        self.keyring = providers.create_raw_aes_keyring(
            input=CreateRawAesKeyringInput(
                key_namespace=f"sealgate/{self.pseudonym}",
                key_name=f"{branch}/{newest['epoch']}",
                wrapping_key=AESGCM(kek).decrypt(wrapped[:12], wrapped[12:], aad),
                wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
            )
        )


class Scene:
    def __init__(self, gateway, objects, keyring, certificate):
        self.gateway, self.objects, self.keyring = gateway, objects, keyring
        self.tls = ssl.create_default_context(cafile=certificate)

    def request(self, method, path, body=None):
        """Over a connection to the gateway that is verified under its name."""
        connection = http.client.HTTPSConnection("a.test", context=self.tls, timeout=DEADLINE)
        connection._create_connection = lambda _, *rest: http.client.socket.create_connection(
            self.gateway.address, *rest
        )
        connection.request(method, path, body)
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdk")
    certificate, key = self_signed(folder, "a.test")
    keyring = folder / "acme.keyring"
    subprocess.run([SEALGATE, "keys", "new", "--tenant", "acme", "--out", keyring], check=True, timeout=DEADLINE)
    with Objects() as objects:
        with Gateway(
            *("http", "--cert", certificate, "--key", key, "--upstream", objects.url),
            *("--seal", keyring, "--tenant", "acme", "--readers", "anyone"),
        ) as gateway:
            yield Scene(gateway, objects, Keyring(keyring), certificate)


@pytest.mark.parametrize("size", [0, 1, 100, 65535, 65536, 65537, 3 * 65536, 5_000_000])
def test_the_sdk_opens_what_the_gateway_sealed(scene, size):
    path, body = f"/objects/{size}", os.urandom(size)
    assert scene.request("PUT", path, body) == (201, b"")
    stored = scene.objects.stored[path]
    opened, header = client.decrypt(source=stored, keyring=scene.keyring.keyring)
    assert opened == body
    assert header.algorithm == AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
    context = dict(header.encryption_context)
    assert context["tenant"] == scene.keyring.pseudonym
    assert context["path"] == path
    assert context["policy"]


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 3 * 65536, 1_000_000])
@pytest.mark.parametrize("frame_length", [4096, 65536])
def test_the_gateway_opens_what_the_sdk_sealed(scene, size, frame_length):
    # Where the frame length divides the size, the SDK ends with an empty frame.
    path, body = f"/theirs/{size}", os.urandom(size)
    context = {"tenant": scene.keyring.pseudonym, "policy": "9", "path": path}
    scene.objects.stored[path], _ = client.encrypt(
        source=body,
        keyring=scene.keyring.keyring,
        encryption_context=context,
        algorithm=AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        frame_length=frame_length,
    )
    assert scene.request("GET", path) == (200, body)


@pytest.mark.parametrize("back", [1, 20, 40])
def test_an_empty_final_frame_is_verified_before_the_response_is_complete(scene, back):
    path, body = "/theirs/final", os.urandom(2 * 65536)
    context = {"tenant": scene.keyring.pseudonym, "policy": "9", "path": path}
    message, _ = client.encrypt(
        source=body,
        keyring=scene.keyring.keyring,
        encryption_context=context,
        algorithm=AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        frame_length=65536,
    )
    damaged = bytearray(message)
    damaged[-back] ^= 1
    for bad in (bytes(damaged), message[:-back]):
        scene.objects.stored[path] = bad
        try:
            status, got = scene.request("GET", path)
        except (http.client.IncompleteRead, ConnectionError, ssl.SSLError):
            continue
        assert status == 502 and body[:16] not in got


def test_another_path_in_the_context_is_refused(scene):
    context = {"tenant": scene.keyring.pseudonym, "policy": "9", "path": "/elsewhere"}
    scene.objects.stored["/here"], _ = client.encrypt(
        source=b"body",
        keyring=scene.keyring.keyring,
        encryption_context=context,
        algorithm=AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    )
    status, body = scene.request("GET", "/here")
    assert status == 502 and b"not_an_envelope" in body
