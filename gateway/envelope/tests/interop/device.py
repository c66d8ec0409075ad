"""Keys of each kind: as the program takes them, as keyrings of the official SDK for Python, and as node/sdk.mjs takes them."""

import secrets

from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    AesWrappingAlg,
    CreateMultiKeyringInput,
    CreateRawAesKeyringInput,
    CreateRawEcdhKeyringInput,
    CreateRawRsaKeyringInput,
    EphemeralPrivateKeyToStaticPublicKeyInput,
    PaddingScheme,
    PublicKeyDiscoveryInput,
    RawEcdhStaticConfigurationsEphemeralPrivateKeyToStaticPublicKey,
    RawEcdhStaticConfigurationsPublicKeyDiscovery,
)
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from program import pairs, run

KINDS = ["aes", "rsa-sha256", "rsa-sha1", "ecdh-p256", "ecdh-p384"]
KINDS_OF_NODE = ["aes", "rsa-sha256", "rsa-sha1"]
NAMESPACE = "exit/5f0c9a"

providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())


class Device:
    """A key of one kind. Each is named after its kind and `stem`, so that several may be in one message."""

    def __init__(self, kind, folder, stem="device"):
        self.kind, self.folder, self.name = kind, folder, f"{kind}/{stem}"
        if kind == "aes":
            self.key = secrets.token_bytes(32)
            self.sealing = self.opening = self.key.hex()
            return
        if kind.startswith("rsa"):
            self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        else:
            self.private = ec.generate_private_key(ec.SECP256R1() if kind == "ecdh-p256" else ec.SECP384R1())
        private_file, public_file = folder / f"{kind}.{stem}.private", folder / f"{kind}.{stem}.public"
        private_file.write_bytes(self.private_bytes(Encoding.DER))
        public_file.write_bytes(self.public_bytes(Encoding.DER))
        self.sealing, self.opening = f"{kind}:{public_file}", f"{kind}:{private_file}"

    def private_bytes(self, encoding):
        return self.private.private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())

    def public_bytes(self, encoding):
        return self.private.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)

    @property
    def for_node(self):
        address = {"kind": self.kind, "namespace": NAMESPACE, "name": self.name}
        if self.kind == "aes":
            return address | {"hex": self.key.hex()}
        return address | {
            "private": self.private_bytes(Encoding.PEM).decode(),
            "public": self.public_bytes(Encoding.PEM).decode(),
        }

    def aes_keyring(self):
        return providers.create_raw_aes_keyring(
            input=CreateRawAesKeyringInput(
                key_namespace=NAMESPACE,
                key_name=self.name,
                wrapping_key=self.key,
                wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
            )
        )

    def rsa_keyring(self, **keys):
        padding = {"rsa-sha256": PaddingScheme.OAEP_SHA256_MGF1, "rsa-sha1": PaddingScheme.OAEP_SHA1_MGF1}
        return providers.create_raw_rsa_keyring(
            input=CreateRawRsaKeyringInput(
                key_namespace=NAMESPACE, key_name=self.name, padding_scheme=padding[self.kind], **keys
            )
        )

    def ecdh_keyring(self, scheme):
        curve = {"ecdh-p256": "ECC_NIST_P256", "ecdh-p384": "ECC_NIST_P384"}
        return providers.create_raw_ecdh_keyring(
            input=CreateRawEcdhKeyringInput(key_agreement_scheme=scheme, curve_spec=curve[self.kind])
        )

    def sealing_keyring(self):
        if self.kind == "aes":
            return self.aes_keyring()
        if self.kind.startswith("rsa"):
            return self.rsa_keyring(public_key=self.public_bytes(Encoding.PEM))
        return self.ecdh_keyring(
            RawEcdhStaticConfigurationsEphemeralPrivateKeyToStaticPublicKey(
                EphemeralPrivateKeyToStaticPublicKeyInput(recipient_public_key=self.public_bytes(Encoding.DER))
            )
        )

    def opening_keyring(self):
        if self.kind == "aes":
            return self.aes_keyring()
        if self.kind.startswith("rsa"):
            return self.rsa_keyring(private_key=self.private_bytes(Encoding.PEM))
        return self.ecdh_keyring(
            RawEcdhStaticConfigurationsPublicKeyDiscovery(
                PublicKeyDiscoveryInput(recipient_static_private_key=self.private_bytes(Encoding.PEM))
            )
        )

    def seal_file(self, source, sealed, frame=1024, header_len="-", chunk=100_000, context={}, options=(), memory=None):
        lens = (frame, header_len, chunk)
        arguments = ("seal", self.sealing, NAMESPACE, self.name, *lens, source, sealed, *pairs(context), *options)
        status, said = run(*arguments, memory=memory)
        assert status == 0, said

    def open_file(self, sealed, opened, chunk=100_000, context={}, memory=None):
        arguments = ("open", self.opening, NAMESPACE, self.name, chunk, sealed, opened, *pairs(context))
        return run(*arguments, memory=memory)

    def seal_here(self, plaintext, **how):
        source, sealed = self.folder / "plain", self.folder / "sealed"
        source.write_bytes(plaintext)
        self.seal_file(source, sealed, **how)
        return sealed.read_bytes()

    def open_here(self, message, **how):
        """The plaintext, or None; the exit status; what was said."""
        sealed, opened = self.folder / "theirs", self.folder / "opened"
        sealed.write_bytes(message)
        opened.unlink(missing_ok=True)
        status, said = self.open_file(sealed, opened, **how)
        assert opened.exists() == (status == 0), said
        return (opened.read_bytes() if status == 0 else None), status, said


def also(devices):
    """The program's options for further recipients."""
    return [f"--also={device.sealing},{NAMESPACE},{device.name}" for device in devices]


def keyring_of(devices):
    """One keyring that seals to all of them."""
    keyrings = [device.sealing_keyring() for device in devices]
    return providers.create_multi_keyring(
        input=CreateMultiKeyringInput(generator=keyrings[0], child_keyrings=keyrings[1:])
    )
