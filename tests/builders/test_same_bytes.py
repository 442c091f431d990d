"""The same files give the same bytes, whatever process builds them."""

import os
import subprocess
import sys
from pathlib import Path

from archive_files import DUMMY, ROOT, build

from sentiflow.builders import twitter1

ELSEWHERE = """
import sys
from archive_files import build
from sentiflow.builders import twitter1
build(twitter1, *sys.argv[1:])
"""


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def test_another_process_builds_the_same_bytes(tmp_path):
    """Its order of sets and of the features in a protocol buffer is another one."""
    here, there = tmp_path / "here", tmp_path / "there"
    build(twitter1, DUMMY["twitter1"], here, "original")
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "builders")))
    subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(DUMMY["twitter1"]), str(there), "original"],
        env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
    )
    assert contents(there) == contents(here)
    assert len(contents(here)) > 10
