"""Messages cross between sealgate-envelope and the official AWS Encryption SDK for Node, in both directions.

It needs Node 18 or newer with npm, which installs the SDK as node/package-lock.json has it, once, into node/node_modules. Without them
these tests fail, and say so.
"""

import hashlib
import json
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
from device import KINDS_OF_NODE, also
from matrix import CONTEXTS, FRAMES, SIZES, covering
from program import REFUSED, required_pairs

FOLDER = Path(__file__).resolve().parent / "node"
SUITES = ["0478", "0578"]
PROPERTIES = {"kind": KINDS_OF_NODE, "size": SIZES, "frame": FRAMES, "suite": SUITES, "context": CONTEXTS}
SEALED_HERE = covering(**PROPERTIES, header_len=["-", 4096])
SEALED_THERE = covering(**PROPERTIES, chunk=[97, 65_568])
MIB = 1024 * 1024


@pytest.fixture(scope="session")
def sdk():
    """The SDK in a process of its own, which takes one job a line."""
    for program in ("node", "npm"):
        assert shutil.which(program), f"{program} is missing: install Node 18 or newer (Debian: apt-get install nodejs npm)"
    installed = FOLDER / "node_modules/.package-lock.json"
    wanted = FOLDER / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < wanted.stat().st_mtime:
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{' '.join(command)}, in {FOLDER}:\n{done.stderr}"
    process = subprocess.Popen(
        ["node", FOLDER / "sdk.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )

    def ask(**job):
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, "node ended early; what it said stands above"
        return json.loads(answer)

    yield ask
    process.stdin.close()
    assert process.wait(timeout=30) == 0


class There:
    """The SDK's side of the exchange, in one folder."""

    def __init__(self, sdk, folder):
        self.sdk, self.folder = sdk, folder

    def seal_file(self, source, sealed, devices, frame=1024, suite="0478", context={}):
        job = {"do": "seal", "input": str(source), "output": str(sealed), "keys": [key.for_node for key in devices]}
        answer = self.sdk(**job, frame=frame, signed=suite == "0578", context=context)
        assert answer == {}, answer

    def open_file(self, sealed, opened, device):
        return self.sdk(do="open", input=str(sealed), output=str(opened), keys=[device.for_node])

    def seal(self, plaintext, devices, **how):
        source, sealed = self.folder / "plain", self.folder / "sealed"
        source.write_bytes(plaintext)
        self.seal_file(source, sealed, devices, **how)
        return sealed.read_bytes()

    def open(self, message, device):
        """The plaintext and the context; or None and why not."""
        sealed, opened = self.folder / "sealed", self.folder / "opened"
        sealed.write_bytes(message)
        opened.unlink(missing_ok=True)
        answer = self.open_file(sealed, opened, device)
        if "refused" in answer:
            assert not opened.exists()
            return None, answer["refused"]
        return opened.read_bytes(), answer["context"]


@pytest.fixture
def there(sdk, tmp_path):
    return There(sdk, tmp_path)


def test_the_matrix_is_as_large_as_it_was():
    assert len(SEALED_HERE) >= 35 and len(SEALED_THERE) >= 35


@pytest.mark.parametrize("case", SEALED_HERE, ids=str)
def test_node_opens_what_we_sealed(devices, there, case):
    device, (stored, _) = devices[case.kind], CONTEXTS[case.context]
    plaintext = secrets.token_bytes(SIZES[case.size](case.frame))
    signed = ["--signed"] if case.suite == "0578" else []
    how = {"frame": case.frame, "header_len": case.header_len, "context": stored}
    opened, context = there.open(device.seal_here(plaintext, **how, options=signed), device)
    assert opened is not None, context
    assert secrets.compare_digest(opened, plaintext)
    assert ("aws-crypto-public-key" in context) == bool(signed)
    context.pop("aws-crypto-public-key", None)
    assert context == stored


@pytest.mark.parametrize("case", SEALED_THERE, ids=str)
def test_we_open_what_node_sealed(devices, there, case):
    device, (stored, _) = devices[case.kind], CONTEXTS[case.context]
    plaintext = secrets.token_bytes(SIZES[case.size](case.frame))
    message = there.seal(plaintext, [device], frame=case.frame, suite=case.suite, context=stored)
    opened, status, said = device.open_here(message, chunk=case.chunk, context=stored)
    assert status == 0, said
    assert secrets.compare_digest(opened, plaintext)
    _, status, said = device.open_here(message, context=stored | {"tenant": "another"})
    assert (status, "context" in said) == (REFUSED, True), said


@pytest.mark.parametrize("kind", KINDS_OF_NODE)
def test_another_key_of_the_same_name_is_refused_on_both_sides(devices, strangers, there, kind):
    device, stranger = devices[kind], strangers[kind]
    assert there.open(device.seal_here(b"secret"), stranger)[0] is None
    assert stranger.open_here(there.seal(b"secret", [device]))[1] == REFUSED


@pytest.mark.parametrize("suite", SUITES)
def test_each_of_several_recipients_opens_alone(devices, strangers, there, suite):
    # Ours has ECDH recipients too, which Node does not know and has to skip.
    first, *others = devices.values()
    options = also(others) + (["--signed"] if suite == "0578" else [])
    sealed_here = first.seal_here(b"for all", options=options)
    known = [devices[kind] for kind in KINDS_OF_NODE]
    sealed_there = there.seal(b"for all", known, suite=suite)
    for device in known:
        assert there.open(sealed_here, device)[0] == b"for all"
        opened, status, said = device.open_here(sealed_there)
        assert (opened, status) == (b"for all", 0), said
    for kind in KINDS_OF_NODE:
        assert there.open(sealed_here, strangers[kind])[0] is None
        assert strangers[kind].open_here(sealed_there)[1] == REFUSED


def test_damage_and_cuts_are_refused_on_both_sides(devices, there):
    device = devices["aes"]
    for message in (device.seal_here(b"x" * 3000), there.seal(b"x" * 3000, [device])):
        assert there.open(message, device)[0] == b"x" * 3000
        for place in (3, 40, 200, 300, len(message) // 2, len(message) - 1):
            damaged = bytearray(message)
            damaged[place] ^= 0x10
            for bad in (bytes(damaged), message[:place]):
                assert there.open(bad, device)[0] is None, f"byte {place}"
                _, status, said = device.open_here(bad)
                assert status == REFUSED, f"byte {place}: {said}"


def test_node_cannot_open_what_needs_required_context(devices, there):
    # The table of SDKs in the crate's docs says so: if this ever fails, Node has learnt it.
    device = devices["aes"]
    message = device.seal_here(b"x", context={"tenant": "5f0c9a"} | required_pairs({"path": "/a"}))
    assert there.open(message, device)[0] is None


def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def test_a_hundred_megabytes_cross(devices, folder, there, hundred_megabytes):
    device, sealed, opened = devices["aes"], folder / "sealed", folder / "opened"
    wanted, memory = digest(hundred_megabytes), 64 * MIB
    device.seal_file(hundred_megabytes, sealed, frame=MIB, chunk=MIB, memory=memory)
    assert there.open_file(sealed, opened, device) == {"context": {}}
    assert digest(opened) == wanted

    there.seal_file(hundred_megabytes, sealed, [device], frame=MIB)
    status, said = device.open_file(sealed, opened, chunk=MIB, memory=memory)
    assert status == 0, said
    assert digest(opened) == wanted
