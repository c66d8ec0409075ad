"""Rules for source files that no lint enforces: where unsafe stands, file sizes, Python syntax.

`unsafe` is looked for as a token, outside comments and literals, because an
`#[allow(unsafe_code)]` in the file would silence the lint.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNSAFE_ROOM = "gateway/uring/"
MAX_LINES = 700

# Comments and literals, the parts of Rust where a word is not code. Lifetimes fall
# through: they are a quote that no quote follows.
NOT_CODE = re.compile(
    r"""
      //[^\n]*
    | /\*.*?\*/
    | b?r(?P<hashes>\#*)".*?"(?P=hashes)
    | [bc]?"(?:\\.|[^"\\])*"
    | b?'(?:\\[^\n]{1,10}?|[^'\\\n])'
    """,
    re.DOTALL | re.VERBOSE,
)


def tracked_and_new(*patterns):
    """Files git knows or would add; deleted ones are left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    return [path for path in sorted(set(filter(None, listed.split("\0")))) if (ROOT / path).is_file()]


def code_of(source):
    """The source with comments and literals blanked; line numbers stay."""
    return NOT_CODE.sub(lambda match: "\n" * match.group().count("\n") or " ", source)


def refusals():
    for path in tracked_and_new("*.rs"):
        source = (ROOT / path).read_text()
        lines = source.count("\n")
        if lines > MAX_LINES:
            yield f"{path}: {lines} lines, more than {MAX_LINES}: is it one idea?"
        if path.startswith(UNSAFE_ROOM):
            continue
        for number, line in enumerate(code_of(source).split("\n"), start=1):
            if re.search(r"\bunsafe\b|\b(allow|expect|warn)\s*\([^)]*\bunsafe_code\b", line):
                yield f"{path}:{number}: unsafe code belongs in {UNSAFE_ROOM} alone"
    for path in tracked_and_new("*.py"):
        try:
            compile((ROOT / path).read_bytes(), path, "exec")
        except SyntaxError as error:
            yield f"{path}:{error.lineno}: {error.msg}"


def main():
    found = list(refusals())
    for refusal in found:
        print(f"sources: {refusal}")
    if not found:
        print(f"sources: unsafe code only in {UNSAFE_ROOM}, no file over {MAX_LINES} lines, Python files compile")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
