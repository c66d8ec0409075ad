#!/usr/bin/env bash
# Fails a job when HEAD needs more instructions (layer A) or is slower (layer B) than BASE, or when the
# machine carries less with your own configuration than it did.
set -uo pipefail

usage() {
    cat <<'HELP'
usage: config/ci/gate.sh BASE HEAD [SCENARIO...]

Runs scripts/bench instructions on what is checked out, and scripts/bench ab BASE HEAD. Results go to
$GATE_OUTPUT (default target/gate): ab.json, ab.md, ab.xml, instructions.txt. A scenario is a name
of bench/scenarios, or the path of a .toml file of yours, with your own configuration.

Instructions are held to bench/baseline.json. Where that was made with another compiler, C library, valgrind or
kind of processor than there is here, counts beside it say nothing: BASE is counted here first, and they are
held to that (instructions-base.json).

With $GATE_CONFIG, also scripts/bench capacity --config $GATE_CONFIG: what this machine carries with your
configuration and certificates, in capacity.json. It is held to the file $GATE_STORED; where there is none yet,
the result is put there. $GATE_CAPACITY_ARGS are further arguments, such as --cert and --key.

Examples:
  config/ci/gate.sh origin/main HEAD
  config/ci/gate.sh HEAD~1 HEAD echo sealed-put ci/our-scenario.toml
  GATE_CONFIG=ci/gateway.toml GATE_STORED=ci/capacity.json config/ci/gate.sh origin/main HEAD

Exit status: 0 no regression, or it could not be told (a noisy machine never fails a job); 3 a
regression; 1 usage; 2 something does not build or start, or was cut short; 4 the gate was interrupted.
HELP
}

case ${1-} in
    -h | --help) usage && exit 0 ;;
esac
(($# >= 2)) || { usage >&2 && exit 1; }

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# A fork may put another command here; the test of this file does.
bench=${GATE_BENCH:-$root/scripts/bench}
output=${GATE_OUTPUT:-$root/target/gate}
mkdir -p "$output" || exit 2
output=$(cd "$output" && pwd)
# What an earlier job left is not this one's.
rm -f "$output"/{ab.json,ab.md,ab.xml,capacity.json,instructions.txt}
# bench ends at a signal with what it has; what would come next is not begun.
trap 'echo "gate: interrupted; what was measured before is in $output"; exit 4' INT TERM

# Counts BASE in a tree of its own; what both revisions need is built once.
count_base() {
    local base=$1 tree=$output/base
    git -C "$root" worktree prune
    git -C "$root" worktree add --quiet --force --detach "$tree" "$base" || return 2
    CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target} "${GATE_BENCH:-$tree/scripts/bench}" instructions \
        --rounds 3 --accept "$base" --baseline "$output/instructions-base.json"
    local status=$?
    git -C "$root" worktree remove --force "$tree"
    return "$status"
}

# Layer A: instructions of what is checked out, beside those of the baseline that says something here.
count() {
    "$bench" instructions --comparable
    case $? in
        0) "$bench" instructions ;;
        4) count_base "$1" && "$bench" instructions --baseline "$output/instructions-base.json" ;;
        *) return 2 ;;
    esac
}

count "$1" 2>&1 | tee "$output/instructions.txt"
instructions=${PIPESTATUS[0]}
"$bench" ab "$@" --json "$output/ab.json" --markdown "$output/ab.md" --junit "$output/ab.xml"
ab=$?
# What was interrupted is no noisy machine's.
((ab == 4)) && grep -q '"cut_short": "' "$output/ab.json" 2>/dev/null && ab="cut short"

capacity=0
if [[ -n ${GATE_CONFIG-} ]]; then
    stored=${GATE_STORED-} against=()
    read -ra more <<<"${GATE_CAPACITY_ARGS-}"
    [[ -n $stored && -r $stored ]] && against=(--against "$stored")
    "$bench" capacity --config "$GATE_CONFIG" --json "$output/capacity.json" "${against[@]}" "${more[@]}"
    capacity=$?
    if ((capacity == 0 && ${#against[@]} == 0)) && [[ -n $stored ]]; then
        cp "$output/capacity.json" "$stored" || capacity=2
    fi
fi

# On GitHub, the table stands on the job's page.
[[ -n ${GITHUB_STEP_SUMMARY-} && -r $output/ab.md ]] && cat "$output/ab.md" >>"$GITHUB_STEP_SUMMARY"

verdict=0
case $instructions in
    0) ;;
    3) echo "gate: instructions grew, see above" && verdict=3 ;;
    *) echo "gate: instructions could not be counted ($instructions)" && verdict=2 ;;
esac
case $ab in
    0) ;;
    3) echo "gate: HEAD is slower, see $output/ab.md" && verdict=3 ;;
    4) echo "gate: UNPROVEN: a copy of BASE differs from BASE on this machine, so nothing is proven" ;;
    "cut short") echo "gate: bench ab was cut short, see $output/ab.md" && ((verdict)) || verdict=2 ;;
    1) echo "gate: bench ab does not take this" && ((verdict)) || verdict=1 ;;
    *) echo "gate: bench ab could not run ($ab)" && ((verdict)) || verdict=2 ;;
esac
case $capacity in
    0) ;;
    3) echo "gate: this machine carries less with $GATE_CONFIG than $GATE_STORED says" && verdict=3 ;;
    1) echo "gate: bench capacity does not take this" && ((verdict)) || verdict=1 ;;
    *) echo "gate: bench capacity could not run ($capacity)" && ((verdict)) || verdict=2 ;;
esac
((verdict)) || echo "gate: no regression was proven"
exit "$verdict"
