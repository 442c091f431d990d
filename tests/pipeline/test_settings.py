"""Settings: what they resolve to, and what is refused."""

import re

import pytest
import tiny_dataset

from sentiflow import pipeline
from sentiflow.options import choices, hints


def test_settings_resolve():
    training = pipeline.Settings().training()
    assert (training.crop, training.last_batch, training.rotation, training.flip) == (
        "random",
        "drop",
        20.0,
        True,
    )
    still = pipeline.Settings(zoom=0.2, brightness=0.1).evaluation()
    assert (still.crop, still.last_batch, still.rotation, still.flip) == (
        "center",
        "keep",
        0.0,
        False,
    )
    assert (still.zoom, still.brightness) == (0.0, 0.0)
    assert pipeline.Settings(crop="random").evaluation().crop == "random"


@pytest.mark.parametrize(
    "name", ["crop", "last_batch", "cache", "interpolation", "preprocess", "agreement", "fold"]
)
def test_a_choice_that_there_is_not_is_refused_with_the_list(name):
    allowed = choices(hints(pipeline.Settings)[name])
    with pytest.raises(pipeline.InputError) as error:
        pipeline.Settings(**{name: "x"})
    assert (
        str(error.value) == f"{name} must be one of {', '.join(map(str, allowed))}. Received: 'x'"
    )


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1. Received: 0"),
        ({"image_size": 0}, "image_size must be at least 1 pixel. Received: 0"),
        ({"crop_fraction": 0.0}, "crop_fraction must be in (0, 1]. Received: 0.0"),
        ({"rotation": 180.5}, "rotation must be in [0, 180] degrees. Received: 180.5"),
        ({"zoom": 1.0}, "zoom must be in [0, 1). Received: 1.0"),
        ({"seed": -1}, "seed must be in [0, 9223372036854775807]. Received: -1"),
    ],
)
def test_a_number_outside_of_its_range_is_refused_with_the_range(values, rule):
    with pytest.raises(pipeline.InputError, match=f"^{re.escape(rule)}$"):
        pipeline.Settings(**values)


@pytest.mark.parametrize(
    ("images", "batch", "policy", "hosts", "expected"),
    [
        (1584, 32, "drop", 1, 49),
        (10, 4, "keep", 1, 3),
        (10, 4, "drop", 3, 0),
        (10, 4, "pad", 3, 1),
        (11, 2, "pad", 2, 3),
    ],
)
def test_steps(images, batch, policy, hosts, expected):
    assert pipeline.steps(images, batch_size=batch, last_batch=policy, hosts=hosts) == expected


def test_the_size_is_what_the_storage_holds(tmp_path):
    """Of source files it is the reference system's."""
    tiny_dataset.write(tmp_path)
    data = pipeline.open(tiny_dataset.NAME, data_dir=str(tmp_path))
    size = tiny_dataset.IMAGE_SIZE
    for training in (False, True):
        first = next(iter(data.load("train", training=training, batch_size=2)))
        assert first[0].shape == (2, size, size, 3)
    assert data.windows("test", data.files("test")[:1], pipeline.Settings()).shape[1] == size
    assert pipeline.Settings().sized(None).image_size == 256
    assert pipeline.Settings(image_size=112).sized(256).image_size == 112
    with pytest.raises(pipeline.InputError, match=f"holds pixels for image_size={size}"):
        data.load("train", image_size=size + 1)
