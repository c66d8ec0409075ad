"""`.hlog` and `.hgrm` as the libraries of HdrHistogram for Python and Java read them."""

import json
import math
import subprocess
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

JAR = Path("/usr/share/java/hdrhistogram.jar")
TIMES = [("response", None, "hgrm"), ("service", "service", "hgrm-service"), ("lag", "lag", "hgrm-lag")]


def intervals(path):
    reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000_000, 3))
    try:
        while (interval := reader.get_next_interval_histogram()) is not None:
            yield interval
    finally:
        reader.close()


def assert_same(histogram, expected):
    assert histogram.get_total_count() == expected["count"]
    assert histogram.get_max_value() == expected["max_ns"]
    recorded = [(item.value_iterated_to, item.total_count_to_this_value) for item in histogram.get_recorded_iterator()]
    for name, value in expected["percentiles_ns"].items():
        # Python's own percentiles take the nearest rank; Java, Rust and the definition take the next.
        rank = math.ceil(float(name[1:]) / 100 * expected["count"])
        reached = next(at for at, count in recorded if count >= rank)
        assert histogram.get_highest_equivalent_value(reached) == value, name


@pytest.mark.parametrize("kind", ["stalled", "hostile"])
def test_python_reads_the_log_with_all_counts_and_percentiles(kind, sample, loadgen, tmp_path):
    stored = sample(kind)
    report = json.loads(stored.read_text())
    log = tmp_path / "run.hlog"
    loadgen("report", stored, "-o", log)
    read = list(intervals(log))
    assert len(read) == len(TIMES) * len(report["series"])
    began_ms = report["timing"]["began_unix_s"] * 1000
    for time, tag, _ in TIMES:
        of_tag = [interval for interval in read if interval.get_tag() == tag]
        for second, interval in zip(report["series"], of_tag, strict=True):
            expected = second["latency"][time]
            assert interval.get_total_count() == expected["count"]
            assert interval.get_max_value() == expected["max_ns"]
            assert interval.get_start_time_stamp() == pytest.approx(began_ms + 1000 * second["start_s"])
        # All seconds together are the run.
        run = HdrHistogram(1, 3_600_000_000_000, 3)
        for interval in of_tag:
            run.add(interval)
        assert_same(run, report["totals"]["latency"][time])


@pytest.mark.parametrize("kind", ["calm", "hostile"])
def test_java_prints_the_same_distribution_from_the_log_to_the_byte(kind, sample, loadgen, tmp_path):
    stored = sample(kind)
    log = tmp_path / "run.hlog"
    loadgen("report", stored, "-o", log)
    for time, tag, form in TIMES:
        # Sums the intervals and writes OUT.hgrm, in milliseconds.
        command = ["java", "-cp", JAR, "org.HdrHistogram.HistogramLogProcessor", "-i", log, "-o", tmp_path / time]
        command += ["-tag", tag] if tag else []
        subprocess.run(command, check=True)
        java = (tmp_path / f"{time}.hgrm").read_text().splitlines(keepends=True)
        # Two lines about the log stand before what is printed of every histogram.
        head = [line for line in java[:2] if line.startswith(("#[Overall", "#[StartTime"))]
        assert len(head) == 2
        assert loadgen("report", stored, "-f", form) == "".join(java[2:])
