"""Which source serves a tier and a storage; what each stage of a stream hands on."""

import pytest

from sentiflow import pipeline
from sentiflow.pipeline import sources
from sentiflow.pipeline.sources import device, files, intervals, mapped, ram

SERVED = [
    ("original", "none", files.Files),
    ("jpeg256", "none", intervals.Intervals),
    ("raw256", "none", mapped.Mapped),
    ("original", "memory", ram.Ram),
    ("jpeg256", "memory", ram.Ram),
    ("raw256", "memory", ram.Ram),
    ("raw256", "device", device.Device),
]


@pytest.mark.parametrize(("storage", "tier", "expected"), SERVED)
def test_a_tier_and_a_storage_have_one_source(data_dir, storage, tier, expected):
    data = pipeline.open(f"emotionroi/{storage}", data_dir=data_dir)
    settings = pipeline.Settings(cache=tier).evaluation()
    source = sources.choose(data.records("test", settings), data.records("all", settings), settings)
    assert type(source) is expected
    assert source.is_on_device == (tier == "device")


@pytest.mark.parametrize("rotation", [0.0, 20.0])
def test_windows_are_mirrored_once(data_dir, rotation):
    """Where they are cut from pixels, unless the view samples them anew."""
    data = pipeline.open("emotionroi/raw256", data_dir=data_dir)
    settings = pipeline.Settings(cache="none", rotation=rotation).training()
    records = data.records("train", settings)
    assert sources.choose(records, records, settings).flips == (rotation == 0)


def test_stages_of_a_stream(data_dir):
    data = pipeline.open("emotionroi/raw256", data_dir=data_dir)

    def shapes(**options):
        settings = pipeline.Settings(batch_size=4, last_batch="pad", **options)
        after = data.stages(
            "train", training=True, epochs=1, epoch=0, step=0, shard=(0, 1), settings=settings
        )
        return {name: stage.element_spec for name, stage in after.items()}

    host = shapes(cache="none")
    assert list(host) == ["plan", "windows", "view"]
    images, targets, draws = host["plan"]
    assert (images.dtype, draws.dtype, draws.shape[1]) == ("int64", "float64", 8)
    assert [target.dtype for target in targets] == ["int32", "float32"]
    windows, *_ = host["windows"]
    assert (windows.dtype, windows.shape[1:]) == ("uint8", (256, 256, 3))
    pixels, labels, mask = host["view"]
    assert (pixels.dtype, pixels.shape[1:]) == ("float32", (256, 256, 3))
    assert (labels.dtype, mask.dtype) == ("int32", "float32")
    on_device = shapes(cache="device")
    assert list(on_device) == ["plan", "windows"]
    told, labels, mask = on_device["windows"]
    assert {"block", "pixel", "width", "angle", "flip"} == set(told)
