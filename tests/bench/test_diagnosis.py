"""What limits a run, in words and in the columns of a table."""

import csv

from PIL import Image
from sample_rows import make_fed_row

from sentiflow.bench.harness.settings import TrainingSettings
from sentiflow.bench.show import diagnosis, utilisation
from sentiflow.bench.show.publish import publish
from sentiflow.bench.show.table import percent

MEMORY = {"tier": "memory", "storage": "raw256"}
RAW = {"tier": "none", "storage": "raw256"}
JPEG = {"tier": "none", "storage": "jpeg256"}


def test_the_fastest_accelerator_kept():
    emulated = [
        make_fed_row("a", rate, emulate=speed)
        for speed, rate in ((250, 249), (1000, 990), (2500, 2300), (5000, 2600))
    ]
    assert diagnosis.fastest_kept(emulated, 0.99) == 1000
    assert diagnosis.fastest_kept(emulated, 0.9) == 2500
    assert diagnosis.fastest_kept(emulated, 0.999) is None


def test_percentages_are_rounded_down():
    texts = [percent(share) for share in (0.98999, 0.99, 1.0, None)]
    assert texts == ["98.9%", "99.0%", "100.0%", "-"]


REAL = [
    make_fed_row("constant", 1000.0),
    make_fed_row("original-1", 100.0, waiting=0.89),
    make_fed_row("sentiflow-none-jpeg256", 600.0, waiting=0.39, cpu=0.0033, **JPEG),
    make_fed_row("sentiflow-memory", 995.0, waiting=0.001, cpu=0.001, **MEMORY),
    make_fed_row("sentiflow-none-raw256", 700.0, waiting=0.29, cpu=0.0001, **RAW),
    make_fed_row("sentiflow-none-original", 800.0, tier="none", storage="original", device="CPU"),
]


def test_what_limits_the_real_step_in_words():
    original, jpeg, memory, raw, source = diagnosis.diagnose(REAL)
    start = "training: original-1 keeps the GPU 10.0% busy: the input limits the run"
    assert original.startswith(f"{start}: 89.0% of the time")
    assert original.endswith("Tier memory on storage raw256 would lift it to 99.5%.")
    assert "the decoding of JPEGs, for which it has all cores" in jpeg
    assert "99.5% busy: the accelerator limits the run; no other tier or storage would" in memory
    hand_over = "its workers, or their hand-over of batches"
    assert f"waiting for {hand_over}: it has only 3.5% of the processor" in raw
    assert "shares the processor with its input" in source
    cold = make_fed_row("a", 700.0, waiting=0.29, cpu=0.0001, pages="cold", **RAW)
    (sentence,) = diagnosis.diagnose([cold])
    assert "waiting for the disk: it has only 3.5% of the processor" in sentence


def test_what_limits_the_real_step_is_a_column():
    page = utilisation.markdown(REAL)
    lift = "sentiflow-memory to 99.5%"
    for line in (
        "| constant | 100.0% | 0.0% | - | - |",
        f"| original-1 | 10.0% | 89.0% | worker | {lift} |",
        f"| sentiflow-none-jpeg256 | 60.0% | 39.0% | JPEG decoding | {lift} |",
        "| sentiflow-memory | 99.5% | 0.1% | accelerator | - |",
        f"| sentiflow-none-raw256 | 70.0% | 29.0% | hand-over | {lift} |",
        f"| sentiflow-none-original | 80.0% | 0.0% | processor | {lift} |",
        "* worker: its one worker, which decodes, resizes and augments image by image",
    ):
        assert line in page
    assert "* disk: " not in page


EMULATED = [
    *(make_fed_row("sentiflow-memory", rate, emulate=rate, **MEMORY) for rate in (1000.0, 2500.0)),
    make_fed_row("sentiflow-none-jpeg256", 999.0, emulate=1000.0, **JPEG),
    make_fed_row("sentiflow-none-jpeg256", 1500.0, emulate=2500.0, cpu=0.0013, **JPEG),
    *(make_fed_row("original-1", 100.0, emulate=rate) for rate in (1000.0, 2500.0)),
]


def test_what_limits_emulated_accelerators_in_words():
    memory, jpeg, original = diagnosis.diagnose(EMULATED)
    lift = "Tier memory on storage raw256 would lift it to 100.0%."
    assert memory == "crop: sentiflow-memory keeps every accelerator up to 2,500 images/s 99% busy."
    kept = "crop: sentiflow-none-jpeg256 keeps an accelerator of 1,000 images/s 99% busy"
    decoding = "the decoding of JPEGs, for which it has all cores"
    assert jpeg == f"{kept}; one of 2,500 gets 1,500 and waits for {decoding}. {lift}"
    kept = "crop: original-1 keeps none of these accelerators 99% busy"
    worker = "its one worker, which decodes, resizes and augments image by image"
    assert original == f"{kept}; one of 1,000 gets 100 and waits for {worker}. {lift}"


def test_what_limits_emulated_accelerators_is_a_column():
    page = utilisation.markdown(EMULATED)
    lift = "sentiflow-memory to 100.0%"
    for line in (
        "| contestant | 1,000 | 2,500 | keeps at 90% | keeps at 99% | limited by | lifted by |",
        "| sentiflow-memory | 100.0% | 100.0% | 2,500 | 2,500 | - | - |",
        f"| sentiflow-none-jpeg256 | 99.9% | 60.0% | 1,000 | 1,000 | JPEG decoding | {lift} |",
        f"| original-1 | 10.0% | 4.0% | - | - | worker | {lift} |",
    ):
        assert line in page


def test_advice_is_given_only_where_something_is_better():
    jpeg = make_fed_row("sentiflow-none-jpeg256", 500.0, waiting=0.5, **JPEG)
    noisy = make_fed_row("sentiflow-memory", 800.0, spread=0.3, **MEMORY)
    slightly_better = make_fed_row("sentiflow-none-raw256", 850.0, **RAW)
    memory = make_fed_row("sentiflow-memory", 500.0, waiting=0.5, cpu=0.004, **MEMORY)
    ceiling = make_fed_row("constant", 1000.0)
    nothing = "No tier or storage among these would lift it: fewer augmentations or more cores"
    (sentence,) = diagnosis.diagnose([ceiling, jpeg])
    assert sentence.endswith("Tier memory, which leaves this stage out, was not measured.")
    assert nothing in diagnosis.diagnose([noisy, slightly_better])[0]
    (sentence,) = diagnosis.diagnose([ceiling, memory])
    assert f"for the view: cutting windows, augmenting, copying batches. {nothing}" in sentence


def test_a_rate_above_the_ceiling_is_not_believed():
    fast = make_fed_row("sentiflow-memory", 1200.0, **MEMORY)
    (sentence,) = diagnosis.diagnose([make_fed_row("constant", 1000.0), fast])
    start = "training: sentiflow-memory keeps the GPU 120.0% busy, more than a constant batch does"
    assert sentence == f"{start}: the machine was not left alone. Measure again."


def test_tables_and_plot(tmp_path, capsys, drawn_texts):
    nothing = {"images_per_second": None, "utilisation": None, "status": "absent: no b"}
    measured = [
        make_fed_row("constant", 1000.0),
        make_fed_row("original-1", 100.0),
        make_fed_row("a", 990.0, emulate=1000.0),
        make_fed_row("b", 1.0, emulate=1000.0, **nothing),
    ]
    path = tmp_path / "plots" / "u.png"
    settings = TrainingSettings(plot=path, csv=tmp_path / "u.csv")
    publish(measured, settings, show=utilisation.print_tables, draw=utilisation.plot)
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("10.0%", "99.0%", "absent: no b", "keeps at"))
    with Image.open(path) as plot:
        assert plot.format == "PNG"
    texts = drawn_texts(utilisation.plot, measured)
    assert {" 10.0%   100 images/s, waiting 0.0%", "work: crop", "a"} <= texts
    with open(tmp_path / "u.csv", newline="") as file:
        assert [line["utilisation"] for line in csv.DictReader(file)] == ["1.0", "0.1", "0.99", ""]
