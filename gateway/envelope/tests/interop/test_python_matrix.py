"""Messages of every kind cross between sealgate-envelope and the official AWS Encryption SDK for Python, in both directions.

Build the program first: cargo build -p sealgate-envelope --example esdk_file
Then run it as: target/venv/bin/python -m pytest gateway/envelope/tests/interop
"""

import hashlib
import secrets

import pytest
from device import KINDS, also, keyring_of
from matrix import CONTEXTS, FRAMES, REQUIRED, SIZES, covering, wrong_contexts
from program import REFUSED, required_pairs
from python_sdk import REFUSALS, SUITES, client, open_there, seal_there

FOOTER_LEN = 105
ALL_CONTEXTS = CONTEXTS | REQUIRED
PROPERTIES = {"kind": KINDS, "size": SIZES, "frame": FRAMES, "suite": SUITES, "context": ALL_CONTEXTS}
SEALED_HERE = covering(**PROPERTIES, header_len=["-", 4096], chunk=[97, 65_536, 1_000_003])
# The SDK writes multiples of 128 only; it opens all.
FRAMES_THERE = [frame if frame % 128 == 0 else 1024 for frame in FRAMES]
SEALED_THERE = covering(**(PROPERTIES | {"frame": FRAMES_THERE}), chunk=[97, 65_568, 1_000_003])
MIB = 1024 * 1024


def test_the_matrix_is_as_large_as_it_was():
    assert len(SEALED_HERE) >= 42 and len(SEALED_THERE) >= 42


@pytest.mark.parametrize("case", SEALED_HERE, ids=str)
def test_python_opens_what_we_sealed(devices, case):
    device, (stored, required) = devices[case.kind], ALL_CONTEXTS[case.context]
    plaintext = secrets.token_bytes(SIZES[case.size](case.frame))
    signed = ["--signed"] if case.suite == "0578" else []
    context = stored | required_pairs(required)
    how = {"frame": case.frame, "header_len": case.header_len, "chunk": case.chunk}
    message = device.seal_here(plaintext, **how, context=context, options=signed)
    if case.header_len != "-":
        frames = max(1, -(-len(plaintext) // case.frame))
        footer_len = FOOTER_LEN if signed else 0
        assert len(message) == case.header_len + 40 + len(plaintext) + 32 * (frames - 1) + footer_len

    opened, header = open_there(message, device, stored | required)
    assert secrets.compare_digest(opened, plaintext)
    assert (header.algorithm, header.frame_length) == (SUITES[case.suite], case.frame)
    in_header = header.encryption_context.keys() - {"aws-crypto-public-key"}
    assert in_header - required.keys() == stored.keys()
    assert not any(value.encode() in message for value in required.values() if len(value) > 4)
    for wrong in wrong_contexts(required) if required else ():
        with pytest.raises(REFUSALS):
            open_there(message, device, stored | wrong)
    if stored:
        with pytest.raises(REFUSALS):
            open_there(message, device, stored | required | {"tenant": "another"})


@pytest.mark.parametrize("case", SEALED_THERE, ids=str)
def test_we_open_what_python_sealed(devices, case):
    device, (stored, required) = devices[case.kind], ALL_CONTEXTS[case.context]
    plaintext = secrets.token_bytes(SIZES[case.size](case.frame))
    message = seal_there(plaintext, device.sealing_keyring(), case.suite, case.frame, stored, required)
    if plaintext and len(plaintext) % case.frame == 0 and case.suite == "0478":
        # The SDK's own way: a final frame without plaintext.
        assert (message[-40:-36], message[-20:-16]) == (b"\xff" * 4, bytes(4))
    opened, status, said = device.open_here(message, chunk=case.chunk, context=stored | required_pairs(required))
    assert status == 0, said
    assert secrets.compare_digest(opened, plaintext)
    for wrong in wrong_contexts(required) if required else ():
        opened, status, said = device.open_here(message, context=stored | required_pairs(wrong))
        assert (opened, status) == (None, REFUSED), said
    if stored:
        changed = stored | required_pairs(required) | {"tenant": "another"}
        _, status, said = device.open_here(message, context=changed)
        assert (status, "context" in said) == (REFUSED, True), said


@pytest.mark.parametrize("kind", KINDS)
def test_another_key_of_the_same_name_is_refused_on_both_sides(devices, strangers, kind):
    device, stranger = devices[kind], strangers[kind]
    message = device.seal_here(b"secret")
    assert open_there(message, device)[0] == b"secret"
    with pytest.raises(REFUSALS):
        open_there(message, stranger)
    _, status, said = stranger.open_here(seal_there(b"secret", device.sealing_keyring()))
    assert status == REFUSED, said


@pytest.mark.parametrize("suite", SUITES)
def test_each_of_several_recipients_opens_alone(devices, strangers, suite):
    first, *others = devices.values()
    options = also(others) + (["--signed"] if suite == "0578" else [])
    sealed_here = first.seal_here(b"for all", context={"a": "b"}, options=options)
    sealed_there = seal_there(b"for all", keyring_of([first, *others]), suite, stored={"a": "b"})
    for device in devices.values():
        assert open_there(sealed_here, device)[0] == b"for all"
        opened, status, said = device.open_here(sealed_there, context={"a": "b"})
        assert (opened, status) == (b"for all", 0), said
    for stranger in strangers.values():
        with pytest.raises(REFUSALS):
            open_there(sealed_here, stranger)
        assert stranger.open_here(sealed_there, context={"a": "b"})[1] == REFUSED


def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def test_a_hundred_megabytes_cross_in_bounded_memory(devices, folder, hundred_megabytes):
    device, sealed, opened = devices["aes"], folder / "sealed", folder / "opened"
    wanted, memory = digest(hundred_megabytes), 64 * MIB
    device.seal_file(hundred_megabytes, sealed, frame=MIB, chunk=MIB, memory=memory)
    with sealed.open("rb") as source, opened.open("wb") as target:
        with client.stream(mode="d", source=source, keyring=device.opening_keyring()) as chunks:
            for chunk in chunks:
                target.write(chunk)
    assert digest(opened) == wanted

    with hundred_megabytes.open("rb") as source, sealed.open("wb") as target:
        how = {"algorithm": SUITES["0478"], "frame_length": MIB}
        with client.stream(mode="e", source=source, keyring=device.sealing_keyring(), **how) as chunks:
            for chunk in chunks:
                target.write(chunk)
    status, said = device.open_file(sealed, opened, chunk=MIB, memory=memory)
    assert status == 0, said
    assert digest(opened) == wanted
