"""Make the pictures of the report and of the plots in the docs.

Needs the extra 'browser' and a Chromium on the path. From the root of the repository:

    python docs/images/make_report_images.py
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import matplotlib as mpl
from playwright.sync_api import sync_playwright

import dosift
from dosift.datasets import load_incident
from dosift.results.folder import result_content
from dosift.results.report import render_report

HERE = Path(__file__).parent


def main() -> None:
    """Write the pictures that the page on the report shows."""
    mpl.use("Agg")
    data = load_incident()
    network, rows = dosift.read_network(data.paths["network"]), data.paths["rows"]
    model = dosift.InterventionMixture(network).fit(rows)
    content = result_content(model, settings={"seed": 0}, inputs=[], timings={})
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        page_file = Path(folder) / "report.html"
        page_file.write_text(render_report(content), encoding="utf-8")
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1280, "height": 1000}, color_scheme=scheme)
            page.goto(page_file.as_uri())
            page.get_by_role("button", name="do(cache=miss, database=stuck)").click()
            page.screenshot(path=str(HERE / f"report-{scheme}.png"))
        browser.close()
    dosift.plot.rates(model).figure.savefig(HERE / "plot-rates.png", dpi=110)
    dosift.plot.graph(model, model.targets_[-1]).figure.savefig(HERE / "plot-graph.png", dpi=110)


if __name__ == "__main__":
    main()
