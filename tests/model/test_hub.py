"""Image encoders of keras-hub as backbones, small and at random."""

import dataclasses
import importlib.util

import keras
import numpy as np
import pytest

from sentiflow.model.networks import backbones, hub, network
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import recipe
from sentiflow.pipeline import InputError
from sentiflow.pipeline.view import normalise

keras_hub = pytest.importorskip("keras_hub")

ARCHITECTURE = {
    "patch_size": 8,
    "hidden_dim": 16,
    "num_layers": 2,
    "num_heads": 2,
    "intermediate_dim": 24,
}
SMALL = tuple(f"{name}={value}" for name, value in ARCHITECTURE.items())
NAMES = {
    "clip_vit_base_patch16": "CLIPVisionEncoder",
    "siglip_base_patch16_224": "SigLIPVisionEncoder",
    "dinov2_small": "DINOV2Backbone",
}
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")


def make(name, *more, weights="none", image_size=32):
    settings = TrainSettings(backbone=name, backbone_options=SMALL + more, weights=weights)
    return backbones.make_backbone(settings, image_size=image_size)


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """Each encoder, and the folder of a preset that holds it."""
    made = {}
    for name, kind in NAMES.items():
        encoder = getattr(keras_hub.models, kind)(image_shape=(32, 32, 3), **ARCHITECTURE)
        folder = tmp_path_factory.mktemp(name)
        encoder.save_to_preset(str(folder))
        made[name] = encoder, str(folder)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_the_map_is_made_of_the_patch_tokens_of_the_preset(name, presets):
    encoder, folder = presets[name]
    images = {
        # Pixels: the network normalises them.
        "clip_vit_base_patch16": (PIXELS / 255 - [0.48145466, 0.4578275, 0.40821073])
        / [0.26862954, 0.26130258, 0.27577711],
        "siglip_base_patch16_224": PIXELS / 127.5 - 1,
        "dinov2_small": (PIXELS / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
    }[name].astype("float32")
    seen = normalise(PIXELS, backbones.find_backbone(name).preprocess)
    if name.startswith("siglip"):
        tokens = keras.Model(encoder.inputs, encoder.post_layer_norm.output).predict_on_batch(
            {"images": images}
        )
        first = encoder.predict_on_batch({"images": images})
        assert tokens.shape == (2, 16, 16)
    else:
        tokens = encoder.predict_on_batch({"images": images})
        first, tokens = tokens[:, 0], tokens[:, 1:]
    maps = make(name, weights=folder).predict_on_batch(seen)
    np.testing.assert_allclose(maps, tokens.reshape(2, 4, 4, 16), atol=1e-5)
    pooled = make(name, "tokens=class", weights=folder).predict_on_batch(seen)
    np.testing.assert_allclose(pooled, first.reshape(2, 1, 1, 16), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_trains_is_saved_and_loaded(name, tmp_path):
    settings = TrainSettings(backbone=name, backbone_options=SMALL, weights="none", fine_tune=1)
    model = network.build(settings, classes=3, image_size=32)
    recipe.compile_network(model, settings, steps=1)
    before = [weight.numpy() for weight in model.weights]
    model.train_on_batch(PIXELS, np.array([0, 2]))
    changed = [
        weight.path
        for weight, old in zip(model.weights, before, strict=True)
        if not np.array_equal(weight, old)
    ]
    assert any("logits" in path for path in changed)
    assert not any("embedding" in path or "block_0" in path for path in changed)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(
        again.predict_on_batch(PIXELS), model.predict_on_batch(PIXELS), atol=1e-6
    )
    model.save_weights(tmp_path / "initial.weights.h5")
    fresh = network.build(settings, classes=3, image_size=32)
    fresh.load_weights(tmp_path / "initial.weights.h5")
    np.testing.assert_allclose(
        fresh.predict_on_batch(PIXELS), model.predict_on_batch(PIXELS), atol=1e-6
    )


def test_a_preset_may_hold_more_than_the_image_encoder(tmp_path):
    vision = keras_hub.models.CLIPVisionEncoder(image_shape=(32, 32, 3), **ARCHITECTURE)
    text = keras_hub.models.CLIPTextEncoder(
        vocabulary_size=10,
        embedding_dim=8,
        hidden_dim=8,
        num_layers=1,
        num_heads=2,
        intermediate_dim=8,
        max_sequence_length=4,
    )
    whole = keras_hub.models.CLIPBackbone(
        vision_encoder=vision, text_encoder=text, projection_dim=4
    )
    whole.save_to_preset(str(tmp_path))
    loaded = make("clip_vit_base_patch16", weights=str(tmp_path))
    encoder = next(layer for layer in loaded.layers if isinstance(layer, keras.Model))
    for ours, theirs in zip(encoder.get_weights(), vision.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_architectures_are_those_of_the_names():
    """ViT-S/14 by hand: 12 blocks of attention, perceptron, norms and scales; 37 x 37 patches."""
    d, m = 384, 1536
    block = 4 * (d * d + d) + (d * m + m + m * d + d) + 4 * d + 2 * d
    # The last: as interpolated.
    embeddings = (14 * 14 * 3 * d + d) + 2 * d + (1 + 37 * 37) * d + (1 + 16 * 16) * d
    made = backbones.make_backbone(
        TrainSettings(backbone="dinov2_small", weights="none"), image_size=224
    )
    assert made.count_params() == 12 * block + embeddings + 2 * d


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"weights": "imagenet"},
            "must be pretrained, none, or the folder of a keras-hub preset. Received: imagenet",
        ),
        ({"weights": "pretrained"}, "clip_vit_base_patch16 need --image_size 224. Received: 32"),
        ({"backbone_options": ("tokens=all",)}, "tokens must be patches or class"),
        (
            {"backbone_options": ("depth=2",)},
            "no option depth; it has tokens, patch_size, hidden_dim",
        ),
        (
            {"backbone_options": ("patch_size=12",)},
            "multiple of its patches' 12 pixels. Received: 32",
        ),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(changes, message):
    settings = TrainSettings(
        backbone="clip_vit_base_patch16", backbone_options=SMALL, weights="none"
    )
    settings = dataclasses.replace(settings, **changes)
    with pytest.raises(InputError, match=message):
        backbones.make_backbone(settings, image_size=32)


def test_presets_that_do_not_fit_or_are_none_are_refused(presets, tmp_path):
    _, folder = presets["clip_vit_base_patch16"]
    with pytest.raises(
        InputError,
        match=r"has hidden_dim=16; .*--backbone_options must match it. Received: hidden_dim=8",
    ):
        make("clip_vit_base_patch16", "hidden_dim=8", weights=folder)
    with pytest.raises(InputError, match=r"has image_shape=.32, 32, 3.; --image_size"):
        make("clip_vit_base_patch16", weights=folder, image_size=64)
    with pytest.raises(
        InputError, match=r"is not a SigLIPVisionEncoder. Received: CLIPVisionEncoder"
    ):
        make("siglip_base_patch16_224", weights=folder)
    with pytest.raises(InputError, match="cannot be read as a preset"):
        make("dinov2_small", weights=str(tmp_path))


def test_what_cannot_be_downloaded_or_is_not_installed_names_the_way_out(monkeypatch):
    def offline(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(keras_hub.models.Backbone, "from_preset", offline)
    with pytest.raises(
        InputError,
        match=r"dinov2_small cannot be downloaded \(no route to host\).*--weights FOLDER",
    ):
        make("dinov2_small", weights="pretrained", image_size=32)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install keras-hub"):
        hub.require_hub()
