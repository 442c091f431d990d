"""Contestants from other loaders: those entered, those that are absent, and those installed."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sentiflow import bench, pipeline
from sentiflow.bench.contestants import CONTESTANTS
from sentiflow.bench.contestants.task import find_loader
from sentiflow.bench.harness import check, inputs, prepared, runner
from sentiflow.bench.harness.settings import WORKS, Settings
from sentiflow.bench.harness.storages import STORAGES
from sentiflow.bench.show import table
from sentiflow.bench.worker import writers

PEERS = [entry for entry in CONTESTANTS.values() if entry.kind == "peer"]
ENVIRONMENTS = Path(bench.__file__).parent / "environments"


@pytest.fixture(scope="module")
def photos_of(data_dir, tmp_path_factory):
    """Class folders of the source files by what a peer reads."""
    folders = {}
    for storage in ("files", "prepared"):
        folders[storage] = tmp_path_factory.mktemp(storage) / "photos"
        inputs.export_photos(
            "emotionroi", split="train", data_dir=data_dir, folder=folders[storage]
        )
    for path in list(folders["files"].glob("*/*")):
        with Image.open(path) as image:
            size = image.size
        if size == (256, 256):
            # The reference system takes it as it is, other loaders enlarge it like any small one.
            path.unlink()
    return folders


def make_task(entry, data_dir, photos, work="crop"):
    settings = Settings(batch_size=8, seconds=0.1)
    images = sum(1 for _ in Path(photos).glob("*/*"))
    source = {"data_dir": data_dir, "photos": str(photos), "images": images}
    return runner.make_task(entry, settings, work=work, **source), settings


@pytest.mark.parametrize("entry", PEERS, ids=lambda entry: entry.name)
def test_every_peer_is_well_formed(entry):
    assert callable(find_loader(entry.function))
    assert entry.storage in (*STORAGES, "files")
    assert set(entry.works) <= set(WORKS)
    assert entry.form in ("", prepared.FILES, *writers.WRITERS)
    assert entry.requires
    assert bool(entry.form) == (entry.storage in ("jpeg256", "raw256"))
    if entry.environment:
        names = (ENVIRONMENTS / f"{entry.environment}.txt").read_text().splitlines()
        assert all("==" in name or name.startswith("#") for name in names)
        assert {"numpy", "psutil"} <= {name.partition("==")[0] for name in names}


def test_every_environment_has_a_contestant():
    made = {path.stem for path in ENVIRONMENTS.glob("*.txt")}
    assert made == {entry.environment for entry in PEERS} - {""}


IMPORTED = """
import importlib, pkgutil, sys
before = set(sys.modules)
import bench.contestants, bench.worker
names = []
for room in (bench.contestants, bench.worker):
    names += [module.name for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")]
for name in names:
    importlib.import_module(name)
new = set(sys.modules) - before
loaded = {name for name in new if getattr(sys.modules[name], "__file__", None)}
print(*names)
print(*({name.partition(".")[0] for name in loaded} - sys.stdlib_module_names))
"""


def test_contestants_and_worker_need_numpy_and_psutil_alone():
    command = [sys.executable, "-c", IMPORTED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    modules, packages = (set(line.split()) for line in done.stdout.splitlines())
    assert {
        "bench.contestants.original",
        "bench.worker.__main__",
        "bench.worker.writers",
    } <= modules
    assert packages == {"bench", "numpy", "psutil"}


def test_an_absent_peer_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setattr(prepared, "ENVIRONMENTS", tmp_path)
    (tmp_path / "dali" / "bin").mkdir(parents=True)  # its installation failed half-way
    for name in ("dali-files", "ffcv-raw256"):
        task, settings = make_task(CONTESTANTS[name], str(tmp_path), tmp_path)
        row = runner.run(CONTESTANTS[name], task, settings, judge=None)
        environment = CONTESTANTS[name].environment
        remedy = "install it with: make peers"
        assert row.status == f"absent: no environment {environment!r}; {remedy}"
        assert row.images_per_second is None


def test_images_are_written_once_and_again_when_the_storage_changes(data_dir, tmp_path):
    source = tmp_path / "emotionroi" / "raw256"
    shutil.copytree(Path(data_dir) / "emotionroi", tmp_path / "emotionroi")
    task, _ = make_task(CONTESTANTS["dali-jpeg256"], str(tmp_path), tmp_path)
    folder = Path(prepared.provide(CONTESTANTS["dali-jpeg256"], task, sys.executable))
    stored = inputs.read_stored("emotionroi/jpeg256", split="train", data_dir=data_dir)
    expected = sorted((label, decoded(file).tobytes()) for file, label in stored)
    files = sorted(folder.glob("*/*"))
    contents = [(int(path.parent.name[:3]), path.read_bytes()) for path in files]
    assert sorted((label, decoded(file).tobytes()) for label, file in contents) == expected
    restart_interval = b"\xff\xdd"
    assert not any(restart_interval in file for _, file in contents)
    files[0].unlink()
    prepared.provide(CONTESTANTS["dali-jpeg256"], task, sys.executable)
    assert not files[0].exists()
    (source / "README.md").write_text("rebuilt")
    prepared.provide(CONTESTANTS["dali-jpeg256"], task, sys.executable)
    assert files[0].exists()


def decoded(file):
    return np.asarray(Image.open(io.BytesIO(file)))


def test_noise_becomes_a_plain_jpeg_as_well():
    noise = np.random.default_rng(0).integers(0, 256, (292, 439, 3), np.uint8)
    assert np.abs(decoded(inputs.plain_jpeg(noise)).astype(int) - noise).mean() < 5


def test_a_failing_writer_says_why(data_dir):
    entry = CONTESTANTS["webdataset-jpeg256"]
    task, _ = make_task(entry, data_dir, data_dir)
    with pytest.raises(
        pipeline.InputError, match=r"the writer of tar failed: .*No module named 'webdataset'"
    ):
        prepared.provide(entry, task, sys.executable)


def test_a_deviation_stands_beside_the_status():
    entry = CONTESTANTS["keras-directory"]
    task, settings = make_task(entry, "", ENVIRONMENTS)
    row = runner.make_row(entry, task, settings, {"status": "ok"})
    assert row.deviation == entry.deviation
    assert "not the same crop" in table.remark(row)
    assert table.remark(row).startswith("ok")


@pytest.mark.parametrize("entry", PEERS, ids=lambda entry: entry.name)
def test_every_installed_peer_is_right(entry, data_dir, photos_of):
    if prepared.find_python(entry.environment) is None:
        pytest.skip("not installed")
    photos = photos_of["files" if entry.storage == "files" else "prepared"]
    task, settings = make_task(entry, data_dir, photos, entry.works[0])
    sources = check.read_sources(photos, task.image_size, task.crop_fraction)
    row = runner.run(
        entry, task, settings, lambda evidence, task: check.find_fault(evidence, task, sources)
    )
    assert row.status == "ok"
    assert row.images_per_second > 0
