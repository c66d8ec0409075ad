"""What several files of these tests share: keys, which take long to make, and a long plaintext."""

import secrets

import pytest
from device import KINDS, Device


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("interop")


@pytest.fixture(scope="session")
def devices(folder):
    """A key of each kind."""
    return {kind: Device(kind, folder) for kind in KINDS}


@pytest.fixture(scope="session")
def strangers(folder):
    """Others of each kind, of the same names where kinds have names."""
    strangers = {kind: Device(kind, folder, "stranger") for kind in KINDS}
    for kind, device in strangers.items():
        device.name = f"{kind}/device"
    return strangers


@pytest.fixture(scope="session")
def hundred_megabytes(folder):
    """A file of 100 MB, of bytes that do not repeat at any frame's length."""
    path = folder / "hundred-megabytes"
    path.write_bytes((secrets.token_bytes(999_983) * 101)[:100_000_000])
    yield path
    path.unlink()
