"""The contact sheet."""

import numpy as np
from click.testing import CliRunner
from PIL import Image

from sentiflow.pipeline import preview


def run(*arguments):
    return CliRunner().invoke(preview.main, arguments)


def test_preview_draws_a_row_for_every_image(data_dir, tmp_path):
    out = tmp_path / "sheet.png"
    arguments = ("--data_dir", data_dir, "--out", str(out), "--images", "3", "--views", "2")
    for dataset in ("emotionroi/original", "emotionroi/raw256", "twitter1/raw256"):
        result = run("--dataset", dataset, *arguments)
        assert result.exit_code == 0, result.stderr
        with Image.open(out) as sheet:
            pixels = np.asarray(sheet.convert("RGB")).astype(int)
        assert pixels.shape[0] > 3 * 150
        assert (
            np.ptp(pixels, axis=2) > 30
        ).mean() > 0.2  # colourful pictures rather than blank paper
    assert list(tmp_path.iterdir()) == [out]


def test_preview_errors(data_dir, tmp_path):
    missing = run("--data_dir", str(tmp_path), "--out", str(tmp_path / "x.png"))
    assert (missing.exit_code, missing.stderr.count("\n")) == (2, 1)
    (tmp_path / "file").touch()
    nowhere = run("--data_dir", data_dir, "--out", str(tmp_path / "file" / "x.png"))
    assert (nowhere.exit_code, nowhere.stderr.count("\n")) == (2, 1)
    assert "x.png" in nowhere.stderr
