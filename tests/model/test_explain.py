"""Activation maps, their pictures, and their scores, on either Keras backend."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds
import tiny_dataset
from click.testing import CliRunner
from PIL import Image
from test_heads import SETTINGS, small_backbone

from sentiflow import pipeline
from sentiflow.builders import emotionroi
from sentiflow.model import evaluate, predict
from sentiflow.model.networks import heads, network
from sentiflow.model.scores import maps, stimuli
from sentiflow.model.training import checkpoint
from sentiflow.model.training.record import MODELS, Environment, Record, write_record
from sentiflow.pipeline import InputError

IMAGES = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
INPUTS = pipeline.Settings(
    batch_size=2, image_size=32, interpolation="bilinear", preprocess="tf", cache="none"
)
NAMES = ["calm", "lively", "$5 _odd_"]


def build(name):
    settings = dataclasses.replace(SETTINGS, head=name, dropout=0.1)
    return network.build(settings, classes=3, image_size=32, backbone=small_backbone())


@pytest.mark.parametrize("name", ["gap", "linear"])
def test_the_mean_of_a_class_map_is_the_logit(name):
    model = build(name)
    probabilities, values = maps.class_maps(model).predict_on_batch(IMAGES)
    assert values.shape == (2, 4, 4, 3)
    kernel, bias = model.get_layer("logits").get_weights()
    pooled = keras.Model(model.inputs, model.get_layer("pooled").input).predict_on_batch(IMAGES)
    np.testing.assert_allclose(values, pooled @ kernel + bias, atol=1e-5)
    scores = np.exp(values.mean(axis=(1, 2)))
    np.testing.assert_allclose(probabilities, scores / scores.sum(axis=1, keepdims=True), rtol=1e-4)


def test_a_head_with_layers_of_its_own_is_applied_to_every_place():
    features = keras.Input((1, 1, 8))
    pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(features)
    hidden = keras.layers.Dense(5, activation="relu")(pooled)
    logits = keras.layers.Dense(3, name="logits")(hidden)
    model = keras.Model(features, keras.layers.Softmax()(logits))
    place = np.random.default_rng(1).normal(size=(2, 1, 1, 8))
    probabilities, values = maps.class_maps(model).predict_on_batch(place)
    scores = np.exp(values[:, 0, 0])  # of the only place there is
    np.testing.assert_allclose(probabilities, scores / scores.sum(axis=1, keepdims=True), rtol=1e-4)


@pytest.mark.parametrize("name", heads.HEADS)
def test_every_head_has_a_map_a_class(name):
    _, values = maps.class_maps(build(name)).predict_on_batch(IMAGES)
    assert values.shape == (2, 4, 4, 3)
    assert np.ptp(values) > 0


@pytest.mark.parametrize("name", ["wscnet", "wildcat"])
def test_heads_with_maps_of_their_own_show_these(name, tmp_path):
    model = build(name)
    expected = keras.Model(model.inputs, model.get_layer(heads.CLASS_MAPS).output).predict_on_batch(
        IMAGES
    )
    probabilities, values = maps.class_maps(model).predict_on_batch(IMAGES)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_allclose(probabilities, model.predict_on_batch(IMAGES), rtol=1e-5)
    model.save(tmp_path / "explained.keras")  # its layers are shared, and it stays what it was
    assert len(keras.saving.load_model(tmp_path / "explained.keras").outputs) == 1


def test_heat_is_enlarged_bilinearly_and_spans_0_to_1():
    values = maps.heat(np.array([[-2.0, 6.0], [-2.0, 6.0]]), 4)
    np.testing.assert_allclose(values, np.tile([0, 0.25, 0.75, 1], (4, 1)), atol=1e-6)
    np.testing.assert_array_equal(maps.heat(np.full((3, 3), 5.0), 4), np.zeros((4, 4)))


def test_an_overlay_is_a_map_of_colours_over_a_grey_photograph():
    photo = np.zeros((4, 4, 3), np.uint8)
    photo[...] = (255, 0, 0)  # as grey: 76
    drawn = maps.overlay(photo, np.array([[0.0, 8.0], [0.0, 8.0]]))
    assert drawn.dtype == np.uint8
    coldest, hottest = np.array([0, 0, 4]), np.array([252, 255, 164])  # the ends of inferno
    np.testing.assert_allclose(drawn[0, 0], 0.4 * 76 + 0.6 * coldest, atol=1)
    np.testing.assert_allclose(drawn[0, 3], 0.4 * 76 + 0.6 * hottest, atol=1)


def make_record(settings, class_names):
    dataset = pipeline.Description("emotionroi/original", class_names, {}, "original", None)
    environment = Environment.current(precision="float32", device="CPU")
    return Record(settings, INPUTS, dataset, environment)


def write_run(folder):
    """A run folder as far as predictions need it."""
    write_record(folder, make_record(SETTINGS, NAMES))
    build("wscnet").save(folder / MODELS["final"])


@pytest.mark.on_one_backend
def test_predict_draws_one_picture_a_file_also_for_files_of_one_name(tmp_path):
    write_run(tmp_path / "run")
    for folder, color in (("a", (200, 30, 60)), ("b", (20, 30, 60))):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (50, 40), color).save(tmp_path / folder / "rose.jpg")
    (tmp_path / "a" / "broken.jpg").write_bytes(b"no picture")
    arguments = [
        "--run",
        str(tmp_path / "run"),
        "--json",
        "--explain",
        str(tmp_path / "new" / "maps"),
    ]
    outcome = CliRunner().invoke(
        predict.main, [*arguments, str(tmp_path / "a"), str(tmp_path / "b")]
    )
    assert outcome.exit_code == 1
    assert "broken.jpg" in outcome.stderr
    drawn = [row["explanation"] for row in json.loads(outcome.stdout)]
    assert sorted(drawn) == sorted(str(path) for path in (tmp_path / "new" / "maps").iterdir())
    assert len(set(drawn)) == 2
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.size[0] > 3 * picture.size[1]
    for folder, color in (("a", (200, 30, 60)), ("b", (20, 30, 60))):
        name = maps.picture_name(tmp_path / folder / "rose.jpg")
        with Image.open(tmp_path / "new" / "maps" / name) as picture:
            # Inside the photograph.
            colors = picture.convert("RGB").crop((100, 200, 300, 300)).getcolors(1)
        np.testing.assert_allclose(colors[0][1], color, atol=2)
    assert len(maps.picture_name(tmp_path / ("ä" * 120 + ".jpg")).encode()) < 255


@pytest.mark.on_one_backend
def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    write_run(tmp_path / "run")
    (tmp_path / "file").write_text("")
    arguments = [
        "--run",
        str(tmp_path / "run"),
        "--explain",
        str(tmp_path / "file" / "maps"),
        "x.jpg",
    ]
    outcome = CliRunner().invoke(predict.main, arguments)
    assert outcome.exit_code == 2
    assert outcome.stderr.count("\n") == 1
    assert "cannot be made: Not a directory" in outcome.stderr


@pytest.mark.on_one_backend
def test_otsu_parts_two_heaps():
    assert 0.31 < stimuli.otsu(np.array([0.0, 0.1, 0.31, 0.8, 0.9, 0.9])) < 0.8
    assert 0 < stimuli.otsu(np.array([0.0, 0.0, 1.0])) < 1
    # Between-class variances by hand: {0} | {2, 3}/5: 2/9 * 0.25 = 0.0556; {0, 2} | {3}/5: 2/9 *
    # 0.16 = 0.0356.
    assert stimuli.otsu(np.array([0.0, 0.4, 0.6])) < 0.4


@pytest.mark.on_one_backend
def test_scores_by_hand():
    truth = np.zeros((4, 4))
    truth[:2] = 1
    assert stimuli.score(truth, truth) == stimuli.Agreement(0, 1, 1, 1)
    assert stimuli.score(0.2 + 0.5 * truth, truth) == stimuli.Agreement(0.25, 1, 1, 1)
    prediction = np.zeros((4, 4))
    prediction[1:, :2] = 1  # 6 places, of which 2 are among the 8 right ones
    agreement = stimuli.Agreement(mae=10 / 16, precision=2 / 6, recall=2 / 8, f1=4 / 14)
    assert stimuli.score(prediction, truth) == agreement
    assert stimuli.score(np.zeros((4, 4)), truth) == stimuli.Agreement(0.5, 0, 0, 0)


def blob(size, center, radius):
    """A grey picture of one bright spot on black."""
    y, x = np.mgrid[: size[1], : size[0]]
    distance = np.hypot(x - center[0], y - center[1])
    return Image.fromarray((220 * np.clip(2 - 2 * distance / radius, 0, 1)).astype(np.uint8))


@pytest.fixture(scope="module")
def with_maps(tmp_path_factory):
    """EmotionROI with four tests: a map like the photograph, a smaller one, a black one, none."""
    root, data_dir = (tmp_path_factory.mktemp(name) for name in ("archive", "prepared"))
    photo = blob((60, 40), (40, 15), 18)
    maps = {
        "joy/1.jpg": photo,
        "joy/2.jpg": photo.resize((30, 20), Image.Resampling.BILINEAR),
        "joy/3.jpg": Image.new("L", (60, 40)),
    }
    names = [*maps, "joy/4.jpg", "fear/1.jpg"]
    for number, name in enumerate(names):
        for folder, picture in (("images", photo), ("ground_truth", maps.get(name))):
            (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
            if picture is not None:
                marked = picture.copy()
                marked.putpixel((0, 0), number)  # files of different bytes
                marked.save(root / folder / name, "PNG")
    (root / "training_testing_split").mkdir()
    for split, lines in (("training", names[4:]), ("testing", names[:4])):
        (root / "training_testing_split" / f"{split}.txt").write_text("\n".join(lines))
    options = tfds.download.DownloadConfig(manual_dir=str(root))
    emotionroi.Builder(data_dir=str(data_dir), config="original").download_and_prepare(
        download_config=options
    )
    return data_dir


def test_a_stimuli_map_is_cut_as_its_photograph_is(with_maps, tmp_path):
    files = pipeline.open("emotionroi/original", data_dir=str(with_maps)).files("test")
    read = pipeline.open("emotionroi/original", data_dir=str(with_maps)).stimuli_maps(files, INPUTS)
    truths = dict(zip(files, read, strict=True))
    blob((60, 40), (40, 15), 18).save(tmp_path / "photo.png")
    photo = pipeline.read_image(
        tmp_path / "photo.png", dataclasses.replace(INPUTS, preprocess=None)
    )
    np.testing.assert_allclose(truths["joy/1.jpg"], photo[..., 0] / 255, atol=1e-6)
    assert np.abs(truths["joy/2.jpg"] - photo[..., 0] / 255).mean() < 0.02
    assert not truths["joy/3.jpg"].any()
    assert truths["joy/4.jpg"] is None


def brightness_network():
    """A network that always predicts joy, whose map is bright where the picture is."""
    images = keras.Input((32, 32, 3))
    grey = keras.ops.mean(images, axis=-1, keepdims=True)
    maps = keras.layers.Concatenate(name=heads.CLASS_MAPS)(
        [-grey, -grey, -grey, grey, -grey, -grey]
    )
    shares = np.array([0.1, 0.1, 0.1, 0.5, 0.1, 0.1], "float32")
    return keras.Model(images, keras.ops.mean(0 * maps, axis=(1, 2)) + shares)


@pytest.mark.on_one_backend
def test_evaluate_scores_the_maps_of_the_pictures_that_have_stimuli(
    with_maps, tmp_path, monkeypatch
):
    settings = dataclasses.replace(SETTINGS, dataset="emotionroi/original", data_dir=str(with_maps))
    names = ["anger", "disgust", "fear", "joy", "sadness", "surprise"]
    record = make_record(settings, names)
    monkeypatch.setattr(checkpoint, "load", lambda *_, **__: (record, brightness_network()))
    outcome = CliRunner().invoke(
        evaluate.main, ["--run", str(tmp_path), "--split", "test", "--stimuli"]
    )
    assert outcome.exit_code == 0
    result = json.loads((tmp_path / "stimuli-test.json").read_text())
    assert list(result) == ["images", "class_map", "centre"]
    assert result["images"] == 2
    assert result["class_map"]["mae"] < 0.02
    assert result["class_map"]["f1"] > 0.95
    assert result["centre"]["f1"] < 0.8
    assert "Stimuli maps of 2 images" in outcome.stdout
    assert f"f1 {result['class_map']['f1']:.4f}" in outcome.stdout


def test_without_stimuli_maps_one_line_says_so(data_dir, tmp_path):
    tiny_dataset.write(tmp_path)
    with pytest.raises(
        InputError, match=r"kept in storage `original`.*tiny/original is not in .*tfds build"
    ):
        pipeline.open(tiny_dataset.NAME, data_dir=str(tmp_path)).stimuli_maps([], INPUTS)
    with pytest.raises(InputError, match=r"emotionroi/original in .* holds no stimuli maps"):
        pipeline.open("emotionroi/raw256", data_dir=data_dir).stimuli_maps([], INPUTS)
