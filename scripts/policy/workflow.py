"""Holds a GitHub workflow to what its schema does not say. Run with the Python of check-jsonschema, whose YAML reader it uses.

Each `run:` is read by shellcheck and has no expression in it, which GitHub would paste into the script
unquoted: values come in through `env`. Each action is named by a commit, with its version beside it.
"""

import re
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

PINNED = re.compile(r"^\s*(?:- )?uses:\s+[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def shell(script):
    """What shellcheck holds against a script, as lines."""
    checked = subprocess.run(
        ["shellcheck", "--severity=warning", "--shell=bash", "--format=gcc", "-"],
        input=script, stdout=subprocess.PIPE, text=True,
    )
    found = checked.stdout.splitlines()
    # It may also fail without a word about the script.
    return found or ["shellcheck failed"] * (checked.returncode != 0)


def refusals(path):
    text = path.read_text()
    for number, line in enumerate(text.split("\n"), start=1):
        if re.match(r"\s*(- )?uses:", line) and not PINNED.match(line):
            yield f"{path}:{number}: write an action as OWNER/NAME@COMMIT # vX.Y.Z, so that it stays what it is"
    for name, job in YAML(typ="safe").load(text)["jobs"].items():
        for step in job["steps"]:
            script = step.get("run", "")
            where = f"{path}: job {name}, step {step.get('name', script)}"
            if "${{" in script:
                yield f"{where}: an expression in a script; hand it over in env"
            for said in shell(script) if script else []:
                yield f"{where}: {said}"


found = [refusal for path in sys.argv[1:] for refusal in refusals(Path(path))]
print("\n".join(found) or f"{len(sys.argv) - 1} workflow, nothing to say")
sys.exit(bool(found))
