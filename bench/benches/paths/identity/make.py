"""Makes the identities of the in-memory paths anew: python3 make.py (needs the package `cryptography`).

They are files, and not made at run time, because the cost of verifying an ECDSA signature depends on
its value: with other certificates, other instruction counts. They identify nobody.
"""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HERE = Path(__file__).parent


def name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def builder(common_name, key, serial):
    return (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(name("sealgate bench"))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(datetime(2020, 1, 1))
        .not_valid_after(datetime(2120, 1, 1))
    )


def usage(*, digital_signature, key_cert_sign):
    return x509.KeyUsage(
        digital_signature=digital_signature, key_cert_sign=key_cert_sign, crl_sign=False, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )


def write(file_name, der):
    (HERE / file_name).write_bytes(der)


def main():
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = (
        builder("sealgate bench", ca_key, 1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(digital_signature=False, key_cert_sign=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    write("ca.der", ca.public_bytes(serialization.Encoding.DER))
    identities = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
    for serial, (who, purpose) in enumerate(identities.items(), start=2):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            builder(f"{who}.bench.test", key, serial)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(f"{who}.bench.test")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage(digital_signature=True, key_cert_sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        write(f"{who}.der", certificate.public_bytes(serialization.Encoding.DER))
        write(f"{who}.key.der", key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


if __name__ == "__main__":
    main()
