"""What the official AWS Encryption SDK for Python and sealgate-envelope make of each other's pads, threads and damage."""

import secrets

import pytest
from device import NAMESPACE
from program import REFUSED
from python_sdk import REFUSALS, SIGNATURE_REFUSALS, open_there, seal_there

CONTEXT = {"tenant": "5f0c9a", "policy": "3", "path": "/reports/zürich 2026"}


@pytest.fixture
def device(devices):
    return devices["aes"]


@pytest.mark.parametrize("header_len", [512, 1024, 4096])
def test_python_opens_a_message_with_a_pad(device, header_len):
    plaintext = secrets.token_bytes(100_000)
    message = device.seal_here(plaintext, frame=64 * 1024, header_len=header_len, context=CONTEXT)
    assert len(message) == header_len + 40 + 100_000 + 32
    opened, header = open_there(message, device)
    assert opened == plaintext
    providers_there = {key.key_provider.provider_id for key in header.encrypted_data_keys}
    assert providers_there == {"sealgate-test", NAMESPACE, "sealgate-pad"}


@pytest.mark.parametrize("options", [["--threads=2"], ["--threads=4", "--signed"]])
def test_python_opens_what_we_sealed_on_several_cores(device, options):
    plaintext = secrets.token_bytes(20 * 1024 * 1024 + 5)
    message = device.seal_here(plaintext, frame=64 * 1024, chunk=9_000_000, options=options)
    opened, _header = open_there(message, device)
    assert secrets.compare_digest(opened, plaintext)


def test_a_changed_signature_is_refused_on_both_sides(device):
    plaintext = secrets.token_bytes(5000)
    here = device.seal_here(plaintext, options=["--signed"])
    there = seal_there(plaintext, device.sealing_keyring(), "0578")
    for message in (here, there):
        assert open_there(message, device)[0] == plaintext
        for place in (len(message) - 1, len(message) - 60):
            damaged = bytearray(message)
            damaged[place] ^= 1
            _, status, said = device.open_here(bytes(damaged))
            assert (status, "signature does not verify" in said) == (REFUSED, True), said
            with pytest.raises(SIGNATURE_REFUSALS):
                open_there(bytes(damaged), device)


def places(message):
    """Where to damage a message: header fields, first frame, last frame."""
    return [0, 2, 3, 34, 40, 80, 150, 200, 300, len(message) // 2, len(message) - 20, len(message) - 1]


def test_a_damaged_message_is_refused_on_both_sides(device):
    here = device.seal_here(b"x" * 5000, context=CONTEXT)
    there = seal_there(b"x" * 5000, device.sealing_keyring(), stored=CONTEXT)
    for message in (here, there):
        assert open_there(message, device, CONTEXT)[0] == b"x" * 5000
        for place in places(message):
            damaged = bytearray(message)
            damaged[place] ^= 0x10
            _, status, said = device.open_here(bytes(damaged), context=CONTEXT)
            assert status == REFUSED, f"byte {place}: {said}"
            with pytest.raises(REFUSALS):
                open_there(bytes(damaged), device, CONTEXT)


def test_a_cut_message_is_refused_on_both_sides(device):
    message = device.seal_here(b"x" * 5000)
    for cut in (10, 100, 250, len(message) - 1100, len(message) - 1):
        _, status, said = device.open_here(message[:cut])
        assert (status, "cut short" in said) == (REFUSED, True), said
        with pytest.raises(REFUSALS):
            open_there(message[:cut], device)
