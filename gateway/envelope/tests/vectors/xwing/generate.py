"""Writes xwing.json: X-Wing vectors computed with clients of other origin than ours, from the draft's seeds.

The seeds are those of draft-connolly-cfrg-xwing-kem, appendix C, which takes them from SHAKE128 of nothing. ML-KEM-768 comes from PyPI
`kyber-py` 1.2.0 (a reading of FIPS 203 in Python), X25519 from PyPI `cryptography`, hashes from Python itself. The private key stands in
its expanded form as well, because the library under test makes none from a seed.
"""

import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from kyber_py.ml_kem import ML_KEM_768

LABEL = rb"\.//^" + b"\\"


def public_of(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private, public):
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def vectors(count):
    stream = hashlib.shake_128(b"").digest(96 * count)
    for start in range(0, 96 * count, 96):
        seed, encapsulation_seed = stream[start : start + 32], stream[start + 32 : start + 96]
        expanded = hashlib.shake_256(seed).digest(96)
        encapsulation_key, decapsulation_key = ML_KEM_768._keygen_internal(expanded[:32], expanded[32:64])
        private, ephemeral = expanded[64:], encapsulation_seed[32:]
        ml_kem_secret, ml_kem_ciphertext = ML_KEM_768._encaps_internal(encapsulation_key, encapsulation_seed[:32])
        secret = ml_kem_secret + agree(ephemeral, public_of(private)) + public_of(ephemeral) + public_of(private)
        yield {
            "seed": seed.hex(),
            "encapsulation_seed": encapsulation_seed.hex(),
            "private_key_expanded": (decapsulation_key + private).hex(),
            "public_key": (encapsulation_key + public_of(private)).hex(),
            "ciphertext": (ml_kem_ciphertext + public_of(ephemeral)).hex(),
            "shared_secret": hashlib.sha3_256(secret + LABEL).hexdigest(),
        }


Path(__file__).with_name("xwing.json").write_text(json.dumps(list(vectors(3)), indent=1) + "\n")
