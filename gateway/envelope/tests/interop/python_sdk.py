"""The official AWS Encryption SDK for Python, as these tests use it."""

import aws_encryption_sdk
from aws_cryptographic_material_providers.mpl.models import (
    CreateDefaultCryptographicMaterialsManagerInput,
    CreateRequiredEncryptionContextCMMInput,
)
from aws_encryption_sdk import CommitmentPolicy
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.identifiers import AlgorithmSuite
from cryptography.exceptions import InvalidSignature, InvalidTag
from device import providers

# Its exceptions when a message is refused.
REFUSALS = (AWSEncryptionSDKClientError, InvalidTag)
SIGNATURE_REFUSALS = (*REFUSALS, InvalidSignature)
SUITES = {
    "0478": AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    "0578": AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
}

client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)


def seal_there(plaintext, keyring, suite="0478", frame=1024, stored={}, required={}):
    keys = {"keyring": keyring}
    if required:
        default = providers.create_default_cryptographic_materials_manager(
            input=CreateDefaultCryptographicMaterialsManagerInput(keyring=keyring)
        )
        requiring = CreateRequiredEncryptionContextCMMInput(
            underlying_cmm=default, required_encryption_context_keys=list(required)
        )
        keys = {"materials_manager": providers.create_required_encryption_context_cmm(input=requiring)}
    message, _header = client.encrypt(
        source=plaintext, encryption_context=stored | required, algorithm=SUITES[suite], frame_length=frame, **keys
    )
    return message


def open_there(message, device, context={}):
    """The plaintext and the header."""
    return client.decrypt(source=message, keyring=device.opening_keyring(), encryption_context=context)
