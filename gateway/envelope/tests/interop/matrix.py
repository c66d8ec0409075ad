"""Which messages cross. All combinations would be thousands; here any two values of different properties occur together in one."""

import itertools
from collections import namedtuple

FRAMES = [128, 1000, 4096, 64 * 1024, 1024 * 1024]

# Plaintexts, as long as their frames make interesting.
SIZES = {
    "empty": lambda frame: 0,
    "one-byte": lambda frame: 1,
    "frame-less-1": lambda frame: frame - 1,
    "frame": lambda frame: frame,
    "frame-and-1": lambda frame: frame + 1,
    "3-frames": lambda frame: 3 * frame,
    "20-frames-and-7": lambda frame: 20 * frame + 7,
}

# What is stored; what is required, which is authenticated and not stored.
CONTEXTS = {
    "none": ({}, {}),
    "one-pair": ({"tenant": "5f0c9a"}, {}),
    "utf-8": ({"tenant": "5f0c9a", "policy": "3", "path": "/reports/zürich 2026", "größe": "½", "a": "x"}, {}),
    "long": ({"tenant": "5f0c9a", "path": "/" + "x" * 2000}, {}),
}
REQUIRED = {
    "required": (
        {"tenant": "5f0c9a", "policy": "3"},
        {"path": "/reports/zürich 2026", "a first": "1", "z last": "2"},
    ),
    "all-required": ({}, {"path": "/reports/bern"}),
}


def wrong_contexts(required):
    """Required contexts that are not this one: one value changed, one pair too many, each pair missing, none at all."""
    key = next(iter(required))
    yield required | {key: required[key] + "x"}
    yield required | {"more": "3"}
    for key in required:
        yield {other: value for other, value in required.items() if other != key}
    yield {}


def case_type(properties):
    class Case(namedtuple("Case", properties)):
        def __str__(self):
            return "-".join(map(str, self))

    return Case


def pairs_in(case):
    return set(itertools.combinations(case._asdict().items(), 2))


def covering(**properties):
    """The fewest cases that a greedy choice finds. The same in every run."""
    make = case_type(list(properties))
    wanted = [
        ((a, x), (b, y))
        for a, b in itertools.combinations(properties, 2)
        for x, y in itertools.product(properties[a], properties[b])
    ]
    missing, cases = set(wanted), []
    for pair in wanted:
        if pair in missing:
            fixed = {name: [value] for name, value in pair}
            candidates = itertools.starmap(make, itertools.product(*(properties | fixed).values()))
            cases.append(max(candidates, key=lambda case: len(pairs_in(case) & missing)))
            missing -= pairs_in(cases[-1])
    assert not missing
    return cases
