"""Tables of Markdown pages are made from rows, and those of this repository are up to date."""

import json
from pathlib import Path

import pytest
from sample_rows import make_row

from sentiflow.bench import docs
from sentiflow.bench.harness import rows
from sentiflow.pipeline import InputError

ROOT = Path(docs.__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "builders/README.md", *sorted((ROOT / "docs").glob("*.md"))]


def row(contestant, rate, tier="-"):
    return make_row(contestant, rate, work="augmented", tier=tier)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_say_what_the_rows_say(page):
    text = page.read_text(encoding="utf-8")
    assert docs.fill(text, ROOT) == text, f"run: python -m bench.docs {page.relative_to(ROOT)}"


def test_a_table_is_replaced_and_all_else_stays(tmp_path):
    measured = [
        row("original-1", 50.0),
        row("sentiflow-memory", 2000.0, "memory"),
        row("grain-jpeg256", 500.0),
    ]
    rows.write_json(measured, tmp_path / "rows.json")
    block = "before <!-- x -->\n<!-- throughput rows.json -->\n{}<!-- end -->\nbetween\n"
    block += "<!-- headline rows.json -->\n<!-- end -->\n"
    once = docs.fill(block.format("| old |\n"), tmp_path)
    assert "old" not in once
    assert once.startswith(
        "before <!-- x -->\n<!-- throughput rows.json -->\n| work | contestant |"
    )
    assert "| augmented | grain-jpeg256 | 500 |" in once
    assert "**40 times the images per second" in once
    assert "4.0 times the fastest other loader (grain-jpeg256, 500)" in once
    assert docs.fill(once, tmp_path) == once


def test_what_cannot_be_made_is_said(tmp_path):
    block = "<!-- {} a.json -->\nold\n<!-- end -->"
    assert "old" not in docs.fill(block.format("throughput"), tmp_path)
    assert "Not measured: a.json" in docs.fill(block.format("throughput"), tmp_path)
    kinds = r"must be one of headline, summary, throughput.* Received: 'pie'"
    with pytest.raises(InputError, match=kinds):
        docs.fill(block.format("pie"), tmp_path)


def test_only_pages_that_change_are_written(tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    measured = [row("original-1", 50.0), row("sentiflow-memory", 2000.0, "memory")]
    rows.write_json(measured, tmp_path / "s.json")
    (tmp_path / "a.md").write_text("<!-- throughput s.json -->\n<!-- end -->\n")
    (tmp_path / "b.md").write_text("nothing\n")
    assert invoke(docs.main, "a.md", "b.md").output == "written: a.md\n"
    assert "| augmented | sentiflow-memory | 2,000 |" in (tmp_path / "a.md").read_text()
    assert invoke(docs.main, "a.md", "b.md").output == ""


def test_the_margin_of_a_recipe_compares_runs_of_the_same_seed(tmp_path):
    accuracies = {"reference": (0.80, 0.85), "best": (0.90, 0.87), "+ cosine": (0.1, 0.1)}
    ablation = [
        {"name": name, "seed": seed, "accuracy": accuracy, "images": 100}
        for name, both in accuracies.items()
        for seed, accuracy in enumerate(both)
    ]
    (tmp_path / "rows.json").write_text(json.dumps(ablation[::-1]))
    text = docs.fill("<!-- margin rows.json -->\n<!-- end -->", tmp_path)
    assert "Over 2 seeds, `--recipe best` has a test accuracy of 88.5 % (90.0, 87.0), the" in text
    assert "the reference recipe 82.5 % (80.0, 85.0): " in text
    assert "**6.0 points more**, from 2.0 to 10.0 with the same seed, on 100 test images." in text


def test_the_gain_of_one_pass_compares_the_same_runs(tmp_path):
    for name, seconds in (("nine", (10.0, 30.0)), ("nine-sequential", (50.0, 70.0))):
        pairs = zip("ab", seconds, strict=True)
        rows_of_runs = [{"run": run, "seconds": duration} for run, duration in pairs]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows_of_runs))
    block = "<!-- gain nine.json -->\n<!-- end -->"
    page = docs.fill(block, tmp_path)
    assert "These 2 runs trained for 120 s one after the other and for 40 s in one pass" in page
    assert "**3.0 times faster**" in page
    (tmp_path / "nine-sequential.json").write_text("[]")
    with pytest.raises(InputError, match="not of the same runs"):
        docs.fill(block, tmp_path)
