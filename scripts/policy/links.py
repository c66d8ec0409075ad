"""Checks that every relative link in the Markdown files leads to a file and a heading that exist.

Links to other hosts are not followed: the check works offline.
"""

import re
import sys
from pathlib import Path
from urllib.parse import unquote

from sources import ROOT, tracked_and_new

FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.DOTALL | re.MULTILINE)
CODE_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s*<?(\S+?)>?\s*$", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)


def blank(match):
    return "\n" * match.group().count("\n")


def anchors(path):
    """The heading anchors of a Markdown file, as code hosts make them."""
    found = set()
    for title in HEADING.findall(FENCE.sub(blank, path.read_text())):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", title).strip().replace(" ", "-")
        number = 0
        while (slug if number == 0 else f"{slug}-{number}") in found:
            number += 1
        found.add(slug if number == 0 else f"{slug}-{number}")
    return found


def refusals():
    for name in tracked_and_new("*.md"):
        path = ROOT / name
        text = CODE_SPAN.sub("", FENCE.sub(blank, path.read_text()))
        for match in LINK.finditer(text):
            target = unquote(match.group(1) or match.group(2))
            line = text.count("\n", 0, match.start()) + 1
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            file, _, anchor = target.partition("#")
            linked = (path.parent / file).resolve() if file else path
            if not linked.is_relative_to(ROOT) or not linked.exists():
                yield f"{name}:{line}: {target}: no such file in the repository"
            elif anchor and linked.suffix == ".md" and anchor not in anchors(linked):
                yield f"{name}:{line}: {target}: no such heading"


def main():
    found = list(refusals())
    for refusal in found:
        print(f"links: {refusal}")
    if not found:
        print(f"links: {len(tracked_and_new('*.md'))} Markdown files, every relative link leads somewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
