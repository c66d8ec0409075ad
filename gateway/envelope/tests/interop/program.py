"""The program under test, which seals and opens files: examples/esdk_file.rs."""

import os
import resource
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[4]
PROGRAM = Path(os.environ.get("SEALGATE_ENVELOPE_EXAMPLE", REPOSITORY / "target/debug/examples/esdk_file"))
# The program's exit status when a message is refused.
REFUSED = 3


def run(*arguments, memory=None):
    """Runs the program, with at most that many bytes of memory; gives its exit status and what it said."""
    assert PROGRAM.is_file(), f"{PROGRAM} is missing: cargo build -p sealgate-envelope --example esdk_file"

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    command = [PROGRAM, *map(str, arguments)]
    limits = {"preexec_fn": limit} if memory else {}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **limits)
    return done.returncode, done.stderr


def pairs(context):
    return [f"{key}={value}" for key, value in context.items()]


def required_pairs(context):
    """Context that is authenticated and not stored."""
    return {f"!{key}": value for key, value in context.items()}
