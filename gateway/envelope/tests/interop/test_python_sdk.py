"""Messages cross between sealgate-envelope and the official AWS Encryption SDK for Python, in both directions.

Build the program first: cargo build -p sealgate-envelope --example esdk_file
Then run it as: target/venv/bin/python -m pytest gateway/envelope/tests/interop
"""

import hashlib
import secrets

import aws_encryption_sdk
import pytest
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    AesWrappingAlg,
    CreateDefaultCryptographicMaterialsManagerInput,
    CreateRawAesKeyringInput,
    CreateRequiredEncryptionContextCMMInput,
)
from aws_encryption_sdk import CommitmentPolicy
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.identifiers import AlgorithmSuite
from cryptography.exceptions import InvalidSignature, InvalidTag
from program import PROGRAM, REFUSED, pairs, run

# The SDK's exceptions when a message is refused.
REFUSALS = (AWSEncryptionSDKClientError, InvalidTag)
SIGNATURE_REFUSALS = (*REFUSALS, InvalidSignature)

NAMESPACE = "sealgate/5f0c9a"
NAME = "main/7"
CONTEXT = {"tenant": "5f0c9a", "policy": "3", "path": "/reports/zürich 2026"}
SIZES = [0, 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 1024 * 1024 + 17, 20 * 1024 * 1024]
FRAMES = [1024, 64 * 1024]

client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())


def keyring(key, name=NAME):
    return providers.create_raw_aes_keyring(
        input=CreateRawAesKeyringInput(
            key_namespace=NAMESPACE,
            key_name=name,
            wrapping_key=key,
            wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
        )
    )


class Bench:
    """A key, a folder, and both sides of the exchange."""

    def __init__(self, folder):
        self.folder = folder
        self.key = secrets.token_bytes(32)

    def seal_here(self, plaintext, frame_len=64 * 1024, header_len="-", chunk_len=100_000, context=CONTEXT, options=()):
        source, sealed = self.folder / "plain", self.folder / "sealed"
        source.write_bytes(plaintext)
        status, said = run(
            *("seal", self.key.hex(), NAMESPACE, NAME, frame_len, header_len, chunk_len, source, sealed),
            *(*pairs(context), *options),
        )
        assert status == 0, said
        return sealed.read_bytes()

    def open_here(self, message, key=None, chunk_len=100_000, context=CONTEXT):
        sealed, opened = self.folder / "theirs", self.folder / "opened"
        opened.unlink(missing_ok=True)
        sealed.write_bytes(message)
        status, said = run(
            "open", (key or self.key).hex(), NAMESPACE, NAME, chunk_len, sealed, opened, *pairs(context)
        )
        return (opened.read_bytes() if status == 0 else None), status, said

    def seal_there(
        self,
        plaintext,
        frame_len=64 * 1024,
        algorithm=AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        context=CONTEXT,
    ):
        message, _header = client.encrypt(
            source=plaintext,
            keyring=keyring(self.key),
            encryption_context=context,
            algorithm=algorithm,
            frame_length=frame_len,
        )
        return message

    def open_there(self, message, key=None, context=CONTEXT):
        return client.decrypt(source=message, keyring=keyring(key or self.key), encryption_context=context)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_the_program_is_built():
    assert PROGRAM.is_file(), f"{PROGRAM} is missing: cargo build -p sealgate-envelope --example esdk_file"


@pytest.mark.parametrize("frame_len", FRAMES)
@pytest.mark.parametrize("size", SIZES)
def test_python_opens_what_we_sealed(bench, size, frame_len):
    plaintext = secrets.token_bytes(size)
    message = bench.seal_here(plaintext, frame_len)
    opened, header = bench.open_there(message)
    assert hashlib.sha256(opened).digest() == hashlib.sha256(plaintext).digest()
    assert header.encryption_context == CONTEXT
    assert header.frame_length == frame_len


@pytest.mark.parametrize("frame_len", FRAMES)
@pytest.mark.parametrize("size", SIZES)
def test_we_open_what_python_sealed(bench, size, frame_len):
    plaintext = secrets.token_bytes(size)
    message = bench.seal_there(plaintext, frame_len)
    for chunk_len in (65_568, 1_000_003):
        opened, status, said = bench.open_here(message, chunk_len=chunk_len)
        assert status == 0, said
        assert hashlib.sha256(opened).digest() == hashlib.sha256(plaintext).digest()


@pytest.mark.parametrize("header_len", [512, 1024, 4096])
def test_python_opens_a_message_with_a_pad(bench, header_len):
    plaintext = secrets.token_bytes(100_000)
    message = bench.seal_here(plaintext, header_len=header_len)
    assert len(message) == header_len + 40 + 100_000 + 32
    opened, header = bench.open_there(message)
    assert opened == plaintext
    providers_there = {key.key_provider.provider_id for key in header.encrypted_data_keys}
    assert providers_there == {"sealgate-test", NAMESPACE, "sealgate-pad"}


def test_an_empty_context_crosses_both_ways(bench):
    assert bench.open_there(bench.seal_here(b"bare", context={}), context={})[0] == b"bare"
    opened, status, said = bench.open_here(bench.seal_there(b"bare", context={}), context={})
    assert (opened, status) == (b"bare", 0), said


def test_we_open_what_python_signed(bench):
    signed = AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
    plaintext = secrets.token_bytes(200_000)
    message = bench.seal_there(plaintext, algorithm=signed)
    opened, status, said = bench.open_here(message)
    assert (opened, status) == (plaintext, 0), said
    damaged = message[:-1] + bytes([message[-1] ^ 1])
    _, status, said = bench.open_here(damaged)
    assert (status, "signature does not verify" in said) == (REFUSED, True), said


@pytest.mark.parametrize("options", [["--threads=2"], ["--threads=4", "--signed"]])
def test_python_opens_what_we_sealed_on_several_cores(bench, options):
    plaintext = secrets.token_bytes(20 * 1024 * 1024 + 5)
    message = bench.seal_here(plaintext, chunk_len=9_000_000, options=options)
    opened, _header = bench.open_there(message)
    assert hashlib.sha256(opened).digest() == hashlib.sha256(plaintext).digest()


@pytest.mark.parametrize("size", [0, 1, 1024, 200_000])
def test_python_opens_what_we_signed(bench, size):
    plaintext = secrets.token_bytes(size)
    message = bench.seal_here(plaintext, 1024, context=CONTEXT, options=["--signed"])
    opened, header = bench.open_there(message)
    assert opened == plaintext
    assert header.algorithm == AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
    assert header.encryption_context.keys() == CONTEXT.keys() | {"aws-crypto-public-key"}
    for place in (len(message) - 1, len(message) - 120):
        damaged = bytearray(message)
        damaged[place] ^= 1
        with pytest.raises(SIGNATURE_REFUSALS):
            bench.open_there(bytes(damaged))


def test_python_opens_what_we_signed_with_required_context(bench):
    message = bench.seal_here(b"x", context=STORED | required_pairs(REQUIRED), options=["--signed"])
    assert bench.open_there(message, context=STORED | REQUIRED)[0] == b"x"
    with pytest.raises(REFUSALS):
        bench.open_there(message, context=STORED)


def test_the_wrong_key_is_refused_on_both_sides(bench):
    wrong = secrets.token_bytes(32)
    _, status, said = bench.open_here(bench.seal_there(b"secret"), key=wrong)
    assert status == REFUSED, said
    message = bench.seal_here(b"secret")
    with pytest.raises(REFUSALS):
        bench.open_there(message, key=wrong)
    with pytest.raises(REFUSALS):
        client.decrypt(source=message, keyring=keyring(bench.key, name="main/8"))


def test_another_context_is_refused_on_both_sides(bench):
    elsewhere = CONTEXT | {"path": "/reports/bern"}
    _, status, said = bench.open_here(bench.seal_there(b"secret"), context=elsewhere)
    assert (status, "context" in said) == (REFUSED, True), said
    message = bench.seal_here(b"secret")
    with pytest.raises(REFUSALS):
        bench.open_there(message, context=elsewhere)


def places(message):
    """Where to damage a message: header fields, first frame, last frame."""
    return [0, 2, 3, 34, 40, 80, 150, 200, 300, len(message) // 2, len(message) - 20, len(message) - 1]


def test_a_damaged_message_is_refused_on_both_sides(bench):
    for message in (bench.seal_here(b"x" * 5000, 1024), bench.seal_there(b"x" * 5000, 1024)):
        assert bench.open_there(message)[0] == b"x" * 5000
        for place in places(message):
            damaged = bytearray(message)
            damaged[place] ^= 0x10
            _, status, said = bench.open_here(bytes(damaged))
            assert status == REFUSED, f"byte {place}: {said}"
            with pytest.raises(REFUSALS):
                bench.open_there(bytes(damaged))


def test_a_cut_message_is_refused_on_both_sides(bench):
    message = bench.seal_here(b"x" * 5000, 1024)
    for cut in (10, 100, 500, len(message) - 1100, len(message) - 1):
        _, status, said = bench.open_here(message[:cut])
        assert (status, "cut short" in said) == (REFUSED, True), said
        with pytest.raises(REFUSALS):
            bench.open_there(message[:cut])


REQUIRED = {"path": "/reports/zürich 2026", "a first": "1", "z last": "2"}
STORED = {"tenant": "5f0c9a", "policy": "3"}


def required_materials(key):
    """What the SDK calls a materials manager, for messages that store none of REQUIRED."""
    default = providers.create_default_cryptographic_materials_manager(
        input=CreateDefaultCryptographicMaterialsManagerInput(keyring=keyring(key))
    )
    return providers.create_required_encryption_context_cmm(
        input=CreateRequiredEncryptionContextCMMInput(
            underlying_cmm=default, required_encryption_context_keys=list(REQUIRED)
        )
    )


def required_pairs(context):
    return {f"!{key}": value for key, value in context.items()}


def wrong_contexts():
    """Required contexts that are not the one that was required."""
    yield REQUIRED | {"path": "/reports/bern"}
    yield REQUIRED | {"more": "3"}
    for key in REQUIRED:
        yield {other: value for other, value in REQUIRED.items() if other != key}


def test_python_opens_what_we_sealed_with_required_context(bench):
    message = bench.seal_here(b"x" * 100_000, context=STORED | required_pairs(REQUIRED))
    assert b"reports" not in message
    materials = required_materials(bench.key)
    opened, header = client.decrypt(source=message, materials_manager=materials, encryption_context=STORED | REQUIRED)
    assert opened == b"x" * 100_000
    assert bench.open_there(message, context=REQUIRED)[0] == opened
    for wrong in wrong_contexts():
        with pytest.raises(REFUSALS):
            bench.open_there(message, context=wrong)


def test_we_open_what_python_sealed_with_required_context(bench):
    message, _header = client.encrypt(
        source=b"y" * 100_000,
        materials_manager=required_materials(bench.key),
        encryption_context=STORED | REQUIRED,
        algorithm=AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    )
    assert b"reports" not in message
    opened, status, said = bench.open_here(message, context=STORED | required_pairs(REQUIRED))
    assert (opened, status) == (b"y" * 100_000, 0), said
    for wrong in wrong_contexts():
        opened, status, said = bench.open_here(message, context=STORED | required_pairs(wrong))
        assert (opened, status) == (None, REFUSED), said
