"""The tests of the model once more on the JAX backend: a backend is chosen when Keras is imported, once per process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "jax", reason="these tests are running on JAX already")
def test_the_model_tests_pass_on_jax(tmp_path):
    names = ("test_network", "test_heads", "test_explain", "test_train", "test_recipe", "test_hub", "test_lockstep")
    files = [str(TESTS / f"{name}.py") for name in names]
    # Keras, and so JAX, is imported before anything imports TensorFlow (see model/__init__.py).
    start = "import sys, keras, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    # Several processes compile the same steps.
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    outcome = subprocess.run(
        [sys.executable, "-c", start, "-x", "--durations=6", *files],
        cwd=TESTS.parent,
        env=os.environ | {"KERAS_BACKEND": "jax"} | cache,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout[-8000:] + outcome.stderr[-2000:]
    assert " passed" in outcome.stdout
