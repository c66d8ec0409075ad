"""Recipients of every kind that the official SDK for Python knows cross in both directions: raw RSA and raw ECDH."""

import aws_encryption_sdk
import pytest
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    CreateMultiKeyringInput,
    CreateRawEcdhKeyringInput,
    CreateRawRsaKeyringInput,
    EphemeralPrivateKeyToStaticPublicKeyInput,
    PaddingScheme,
    PublicKeyDiscoveryInput,
    RawEcdhStaticConfigurationsEphemeralPrivateKeyToStaticPublicKey,
    RawEcdhStaticConfigurationsPublicKeyDiscovery,
)
from aws_encryption_sdk import CommitmentPolicy
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.identifiers import AlgorithmSuite
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from program import REFUSED, pairs, run

CONTEXT = {"tenant": "5f0c9a", "path": "/reports/zürich 2026"}
NAMESPACE, NAME = "exit", "device/1"
SIZES = [0, 1, 70_000]
KINDS = ["rsa-sha256", "rsa-sha1", "ecdh-p256", "ecdh-p384"]

client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())


def generate(kind):
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1() if kind == "ecdh-p256" else ec.SECP384R1())


class Device:
    """A key pair of one kind, in files for the program and as keyrings for the SDK."""

    def __init__(self, kind, folder, stem="device"):
        self.kind, self.folder, self.private = kind, folder, generate(kind)
        self.private_file, self.public_file = folder / f"{stem}.private", folder / f"{stem}.public"
        self.private_file.write_bytes(self.private_bytes(Encoding.DER))
        self.public_file.write_bytes(self.public_bytes(Encoding.DER))

    def private_bytes(self, encoding):
        return self.private.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())

    def public_bytes(self, encoding):
        return self.private.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)

    def rsa_keyring(self, **keys):
        padding = {"rsa-sha256": PaddingScheme.OAEP_SHA256_MGF1, "rsa-sha1": PaddingScheme.OAEP_SHA1_MGF1}
        return providers.create_raw_rsa_keyring(
            input=CreateRawRsaKeyringInput(
                key_namespace=NAMESPACE, key_name=NAME, padding_scheme=padding[self.kind], **keys
            )
        )

    def ecdh_keyring(self, scheme):
        curve = {"ecdh-p256": "ECC_NIST_P256", "ecdh-p384": "ECC_NIST_P384"}
        return providers.create_raw_ecdh_keyring(
            input=CreateRawEcdhKeyringInput(key_agreement_scheme=scheme, curve_spec=curve[self.kind])
        )

    def sealing_keyring(self):
        if self.kind.startswith("rsa"):
            return self.rsa_keyring(public_key=self.public_bytes(Encoding.PEM))
        return self.ecdh_keyring(
            RawEcdhStaticConfigurationsEphemeralPrivateKeyToStaticPublicKey(
                EphemeralPrivateKeyToStaticPublicKeyInput(recipient_public_key=self.public_bytes(Encoding.DER))
            )
        )

    def opening_keyring(self):
        if self.kind.startswith("rsa"):
            return self.rsa_keyring(private_key=self.private_bytes(Encoding.PEM))
        return self.ecdh_keyring(
            RawEcdhStaticConfigurationsPublicKeyDiscovery(
                PublicKeyDiscoveryInput(recipient_static_private_key=self.private_bytes(Encoding.PEM))
            )
        )

    def seal_here(self, plaintext):
        source, sealed = self.folder / "plain", self.folder / "sealed"
        source.write_bytes(plaintext)
        key = f"{self.kind}:{self.public_file}"
        status, said = run("seal", key, NAMESPACE, NAME, 1024, "-", 9999, source, sealed, *pairs(CONTEXT))
        assert status == 0, said
        return sealed.read_bytes()

    def open_here(self, message):
        sealed, opened = self.folder / "theirs", self.folder / "opened"
        sealed.write_bytes(message)
        opened.unlink(missing_ok=True)
        key = f"{self.kind}:{self.private_file}"
        status, said = run("open", key, NAMESPACE, NAME, 9999, sealed, opened, *pairs(CONTEXT))
        return (opened.read_bytes() if status == 0 else None), status, said


def seal_there(plaintext, keyring):
    message, _header = client.encrypt(
        source=plaintext,
        keyring=keyring,
        encryption_context=CONTEXT,
        algorithm=AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        frame_length=1024,
    )
    return message


def open_there(message, keyring):
    return client.decrypt(source=message, keyring=keyring, encryption_context=CONTEXT)[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_python_opens_what_we_sealed(tmp_path, kind, size):
    device = Device(kind, tmp_path)
    assert open_there(device.seal_here(b"x" * size), device.opening_keyring()) == b"x" * size


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_we_open_what_python_sealed(tmp_path, kind, size):
    device = Device(kind, tmp_path)
    opened, status, said = device.open_here(seal_there(b"y" * size, device.sealing_keyring()))
    assert (opened, status) == (b"y" * size, 0), said


@pytest.mark.parametrize("kind", KINDS)
def test_another_key_is_refused_on_both_sides(tmp_path, kind):
    device, other = Device(kind, tmp_path), Device(kind, tmp_path, "other")
    with pytest.raises(AWSEncryptionSDKClientError):
        open_there(device.seal_here(b"secret"), other.opening_keyring())
    _, status, said = other.open_here(seal_there(b"secret", device.sealing_keyring()))
    assert status == REFUSED, said


def test_we_open_what_python_sealed_for_several_recipients(tmp_path):
    devices = [Device(kind, tmp_path, kind) for kind in ("ecdh-p256", "rsa-sha256", "ecdh-p384")]
    keyring = providers.create_multi_keyring(
        input=CreateMultiKeyringInput(
            generator=devices[0].sealing_keyring(),
            child_keyrings=[device.sealing_keyring() for device in devices[1:]],
        )
    )
    message = seal_there(b"for all", keyring)
    for device in devices:
        opened, status, said = device.open_here(message)
        assert (opened, status) == (b"for all", 0), said
