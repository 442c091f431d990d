"""Two processes never write into one run folder."""

import pytest
from click.testing import CliRunner

from sentiflow.model import experiments
from sentiflow.model.training import loop
from sentiflow.model.training.alone import alone
from sentiflow.pipeline import InputError


def test_a_run_that_another_process_trains_is_refused(small, tiny_inputs, tmp_path):
    out = tmp_path / "run"
    with alone(out):
        with pytest.raises(InputError, match=r"Another process is writing to .*run"):
            loop.train(small, tiny_inputs, out=out)
        assert not list(out.iterdir())
    assert not out.exists()


def test_a_set_that_another_process_trains_is_refused(tiny_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "plan", lambda *_, **__: [])
    options = ["--out", str(tmp_path), "--data_dir", str(tiny_dir), "--only=1"]
    with alone(tmp_path):
        (tmp_path / "kept").touch()
        outcome = CliRunner().invoke(experiments.main, options)
    assert (outcome.exit_code, outcome.stderr.count("\n")) == (2, 1)
    assert "Another process" in outcome.stderr
    assert (tmp_path / "kept").exists()
