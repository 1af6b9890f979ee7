from __future__ import annotations


def pytest_terminal_summary(terminalreporter) -> None:
    """Print time and memory as the table of docs/performance.md."""
    session = getattr(terminalreporter.config, "_benchmarksession", None)
    if session is None or not session.benchmarks:
        return
    terminalreporter.write_line("| part | size | seconds (best) | peak memory beyond the input |")
    terminalreporter.write_line("|---|---|---|---|")
    for run in session.benchmarks:
        part, size = run.params["part"], run.params["size"]
        seconds, memory = f"{run.stats.min:.4f}", f"{run.extra_info['peak_mib']:.0f} MiB"
        terminalreporter.write_line(f"| {part} | {size} | {seconds} | {memory} |")
