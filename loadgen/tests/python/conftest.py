"""Made-up reports, and the program that renders them."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BUILT = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug"


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """Gives the path of a stored report: calm, stalled, slower, hostile, agents or conns; or of the page of a sweep."""
    directory = tmp_path_factory.mktemp("reports")

    def make(kind):
        path = directory / f"{kind}.json"
        if not path.exists():
            made = subprocess.run([BUILT / "examples" / "sample_report", kind], check=True, stdout=subprocess.PIPE)
            path.write_bytes(made.stdout)
        return path

    return make


@pytest.fixture(scope="session")
def loadgen():
    """Runs the program and gives what it printed."""

    def run(*args):
        ran = subprocess.run([BUILT / "loadgen", *args], check=True, stdout=subprocess.PIPE)
        return ran.stdout.decode()

    return run
