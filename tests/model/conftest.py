"""What the tests of the model share: a tiny prepared dataset, and a backbone of one layer."""

from io import StringIO

import pytest
import tiny_dataset
from rich.console import Console

from sentiflow import pipeline
from sentiflow.bench.campaign.inputs import small_backbone
from sentiflow.model.networks import backbones
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import loop


@pytest.fixture(scope="session")
def tiny_dir(tmp_path_factory):
    """Where `tiny_dataset` is prepared; tests only read it."""
    folder = tmp_path_factory.mktemp("prepared")
    tiny_dataset.write(folder)
    return folder


@pytest.fixture(scope="session", name="small_backbone")
def registered_backbone():
    """A backbone called `small`, which is compiled in no time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(backbones.BACKBONES, "small", backbones.Backbone(small_backbone, "tf"))
        yield


@pytest.fixture(scope="session")
def tiny_inputs():
    """Batches of 8, of which the training split has three."""
    return pipeline.Settings(batch_size=8, image_size=tiny_dataset.IMAGE_SIZE)


@pytest.fixture(scope="session")
def small(tiny_dir, small_backbone):
    """Three epochs of the small backbone."""
    return TrainSettings(
        dataset=tiny_dataset.NAME,
        data_dir=str(tiny_dir),
        backbone="small",
        weights="none",
        epochs=3,
        learning_rate=0.05,
        precision="float32",
    )


@pytest.fixture(scope="session")
def finished(small, tiny_inputs, tmp_path_factory):
    """A finished run, which tests add evaluations to at most: its folder and what it printed."""
    out, text = tmp_path_factory.mktemp("runs") / "finished", StringIO()
    loop.train(small, tiny_inputs, out=out, console=Console(file=text))
    return out, text.getvalue()
