"""Holds the dependency graph to deny.toml, offline, where cargo-deny is not installed.

Reads the part of deny.toml that this workspace uses: targets, licenses.allow,
bans.deny, bans.features, sources. The graph is what cargo resolves for those
targets with the features in use; a crate that only stands in Cargo.lock for a
feature nobody enables is not in it. Advisories are not looked at.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def packages(target):
    """Yields (name, version, license, features) of every crate in the graph of one target."""
    tree = subprocess.run(
        ["cargo", "tree", "--locked", "--workspace", "--target", target, "--edges", "normal,build,dev"]
        + ["--prefix", "none", "--no-dedupe", "--format", "{p}|{l}|{f}"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )
    if tree.returncode != 0:
        sys.exit("crates: cargo tree failed, so nothing is known about the graph")
    for line in sorted(set(filter(None, tree.stdout.splitlines()))):
        package, license_, features = line.split("|")
        name, version = package.split()[:2]
        yield name, version, license_, set(features.split(","))


def permits(expression, allowed):
    """Whether an SPDX expression can be satisfied with the allowed licenses alone."""
    tokens = re.findall(r"\(|\)|[^\s()]+", re.sub(r"\s*/\s*", " OR ", expression))

    def either():
        result = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            result = both() or result
        return result

    def both():
        result = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            result = one() and result
        return result

    def one():
        name = tokens.pop(0)
        if name == "(":
            result = either()
            tokens.pop(0)
            return result
        if tokens and tokens[0] == "WITH":
            name += " WITH " + tokens[1]
            del tokens[:2]
        return name in allowed

    return bool(tokens) and either() and not tokens


def refusals(policy):
    allowed = set(policy["licenses"]["allow"])
    banned = {entry["crate"] for entry in policy["bans"]["deny"]}
    banned_features = {entry["crate"]: set(entry["deny"]) for entry in policy["bans"].get("features", [])}
    registries = {"registry+" + registry for registry in policy["sources"]["allow-registry"]}

    for target in policy["graph"]["targets"]:
        for name, version, license_, features in packages(target):
            if name in banned:
                yield f"{name} {version} is banned (cargo tree --target {target} --invert {name})"
            for feature in sorted(features & banned_features.get(name, set())):
                yield f"{name} {version}: its feature {feature} is banned (cargo tree --edges features --invert {name})"
            if not permits(license_, allowed):
                yield f"{name} {version}: license {license_ or '(none)'} is not allowed"

    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    for package in lock["package"]:
        source = package.get("source")
        if source is not None and source not in registries:
            yield f"{package['name']} {package['version']} comes from {source}"


def main():
    policy = tomllib.loads((ROOT / "deny.toml").read_text())
    found = sorted(set(refusals(policy)))
    for refusal in found:
        print(f"crates: {refusal}")
    if not found:
        print(f"crates: bans, licenses and sources hold for {', '.join(policy['graph']['targets'])}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
