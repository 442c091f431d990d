"""Files as memory: more of them than there is memory, and pages that are given back."""

import os
import threading
import time

import pytest

from sentiflow.pipeline.sources import mapping


@pytest.mark.skipif(
    not os.path.exists("/proc/self/statm"), reason="the system does not tell what is resident"
)
def test_pages_that_were_read_are_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr(mapping, "RESIDENT", 0)
    (tmp_path / "shard").write_bytes(os.urandom(2**26))
    threads = threading.active_count()
    data, _ = mapping.map_files((str(tmp_path / "shard"),))
    before, deadline = mapping.resident_file_bytes(), time.monotonic() + 20
    assert data[::4096].sum() > 0
    while mapping.resident_file_bytes() > before + 2**24:
        assert time.monotonic() < deadline, "64 MiB are still resident"
        time.sleep(0.01)
    assert threading.active_count() == threads + 1
    del data
    while threading.active_count() > threads:
        assert time.monotonic() < deadline, "the thread outlives what it watches"
        time.sleep(0.01)


def test_more_bytes_than_there_is_memory_can_be_mapped(tmp_path):
    paths = []
    for number in range(8):
        path = tmp_path / str(number)
        with path.open("wb") as file:
            file.truncate(2**37)  # 128 GiB that take no room on the disk
            file.seek(-1, 2)
            file.write(bytes([number]))
        paths.append(str(path))
    data, bases = mapping.map_files(tuple(paths))
    assert len(data) == 2**40
    assert [data[base + 2**37 - 1] for base in bases] == list(range(8))
