"""The tests of the model once more on JAX: Keras has one backend in a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Two processes of about the same length.
GROUPS = {
    "runs": (
        "test_train.py",
        "test_finished.py",
        "test_explain.py",
        "test_hub.py::test_a_network_trains_is_saved_and_loaded[dinov2_small]",
    ),
    "parts": (
        "test_network.py",
        "test_heads.py",
        "test_recipe.py",
        "test_targets.py",
        "test_lockstep.py",
        "../pipeline/test_stream.py::test_a_view_that_is_left_to_the_device_shows_the_same",
        "../pipeline/test_stream.py::test_pixels_on_the_device_lie_in_blocks_that_windows_cross",
    ),
}


@pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND") == "jax", reason="these tests are running on JAX already"
)
@pytest.mark.parametrize("names", GROUPS.values(), ids=GROUPS)
def test_the_model_tests_pass_on_jax(names, tmp_path):
    files = [str(TESTS / name) for name in names]
    # Keras, and so JAX, is imported before anything imports TensorFlow (see model/__init__.py).
    start = "import sys, keras, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    # Several processes compile the same steps, and each step runs but a few times.
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    quick = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    outcome = subprocess.run(
        [sys.executable, "-c", start, "-x", "-m", "not on_one_backend", *files],
        cwd=TESTS.parents[1],
        env=os.environ | {"KERAS_BACKEND": "jax"} | cache | quick,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout[-8000:] + outcome.stderr[-2000:]
    assert " passed" in outcome.stdout
