"""Shares cross between sealgate-keys and the reference implementation of SLIP-39, in both directions.

Build the program first: cargo build -p sealgate-keys --example slip39
Then run it as: target/venv/bin/python -m pytest gateway/keys/tests/interop
"""

import itertools
import os
import secrets
import subprocess
from pathlib import Path

import pytest
import shamir_mnemonic
from shamir_mnemonic.utils import MnemonicError

REPOSITORY = Path(__file__).resolve().parents[4]
PROGRAM = Path(os.environ.get("SEALGATE_SLIP39_EXAMPLE", REPOSITORY / "target/debug/examples/slip39"))
REFUSED = 3
SCHEMES = [(1, 1), (2, 2), (2, 3), (3, 5), (5, 8), (16, 16)]
PASSPHRASES = ["", "correct horse"]


def run(text, *arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], input=text, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def split_here(secret, threshold, shares, passphrase):
    status, out, said = run(secret.hex(), "split", threshold, shares, passphrase)
    assert status == 0, said
    return out.splitlines()


def combine_here(shares, passphrase):
    status, out, said = run("\n".join(shares), "combine", passphrase)
    assert status == 0, said
    return bytes.fromhex(out)


@pytest.mark.parametrize("passphrase", PASSPHRASES)
@pytest.mark.parametrize("threshold,count", SCHEMES)
@pytest.mark.parametrize("length", [16, 32])
def test_python_combines_what_we_split(length, threshold, count, passphrase):
    secret = secrets.token_bytes(length)
    shares = split_here(secret, threshold, count, passphrase)
    assert len(shares) == count
    for chosen in itertools.islice(itertools.combinations(shares, threshold), 6):
        assert shamir_mnemonic.combine_mnemonics(chosen, passphrase.encode()) == secret


@pytest.mark.parametrize("extendable", [True, False])
@pytest.mark.parametrize("passphrase", PASSPHRASES)
@pytest.mark.parametrize("threshold,count", SCHEMES)
def test_we_combine_what_python_split(threshold, count, passphrase, extendable):
    secret = secrets.token_bytes(32)
    (shares,) = shamir_mnemonic.generate_mnemonics(
        1, [(threshold, count)], secret, passphrase.encode(), extendable=extendable
    )
    for chosen in itertools.islice(itertools.combinations(shares, threshold), 6):
        assert combine_here(chosen, passphrase) == secret


def test_we_combine_groups_that_python_split():
    secret = secrets.token_bytes(16)
    groups = shamir_mnemonic.generate_mnemonics(2, [(1, 1), (2, 3), (3, 4)], secret, b"", iteration_exponent=2)
    assert combine_here(groups[0] + groups[1][1:], "") == secret
    assert combine_here(groups[1][:2] + groups[2][:3], "") == secret
    status, _, said = run("\n".join(groups[0] + groups[1][:1]), "combine", "")
    assert (status, said) == (REFUSED, "1 of 2 shares; 1 more are needed\n")


def test_both_refuse_a_wrong_word():
    shares = split_here(secrets.token_bytes(32), 2, 3, "")
    words = shares[0].split()
    words[10] = "academic" if words[10] != "academic" else "acid"
    status, _, said = run("\n".join([" ".join(words), shares[1]]), "combine", "")
    assert (status, "checksum" in said) == (REFUSED, True)
    with pytest.raises(MnemonicError):
        shamir_mnemonic.combine_mnemonics([" ".join(words), shares[1]])
