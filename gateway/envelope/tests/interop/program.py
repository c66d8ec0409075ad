"""The program under test, which seals and opens files: examples/esdk_file.rs."""

import os
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[4]
PROGRAM = Path(os.environ.get("SEALGATE_ENVELOPE_EXAMPLE", REPOSITORY / "target/debug/examples/esdk_file"))
# The program's exit status when a message is refused.
REFUSED = 3


def run(*arguments):
    """Runs the program; gives its exit status and what it said."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr


def pairs(context):
    return [f"{key}={value}" for key, value in context.items()]
