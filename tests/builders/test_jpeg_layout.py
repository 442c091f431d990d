"""The layout of `jpeg` files: what the builder writes is what the pipeline reads, byte for byte."""

import numpy as np
import pytest

from sentiflow.builders.writing import jpeg
from sentiflow.pipeline.sources import intervals


@pytest.mark.parametrize("subsampling", jpeg.UNITS)
@pytest.mark.parametrize(("height", "width"), [(292, 292), (292, 439), (519, 292), (9, 11)])
def test_both_sides_have_the_same_layout(height, width, subsampling):
    """The constants of `pipeline.intervals` find in a file what `jpeg.encode` put there."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    file = np.frombuffer(jpeg.encode(pixels, subsampling=subsampling), np.uint8)
    name = file[intervals.NAME_AT :][: len(intervals.NAME)].tobytes()
    facts = file[intervals.FACTS_AT : intervals.BEGIN_AT].view("<i4")
    stored_height, stored_width, frame, interval, count = facts.tolist()
    begin = file[intervals.BEGIN_AT :][: 4 * (count + 4)].view("<i4") * intervals.WORD
    assert name == intervals.NAME == jpeg.NAME.rstrip(b"\0")
    assert list(jpeg.UNITS.values()) == [intervals.BLOCK, intervals.BLOCKS_420]
    assert intervals.WORD == jpeg.WORD
    unit = jpeg.UNITS[subsampling]
    assert intervals.unit_of(np.concatenate([[7], file]).astype(np.uint8), 1) == unit
    assert (stored_height, stored_width) == (height, width)
    units = -(-height // unit), -(-width // unit)
    assert interval == unit * jpeg.interval_units(units[1], units[0])
    assert count == units[0] * -(-width // interval)
    assert (begin[0], begin[-1]) == (0, len(file))
    header = np.concatenate([file[: begin[1]], file[begin[2] : begin[3]]])
    sides = header[frame : frame + 4].view(">u2")
    assert sides.tolist() == [height, width]
    for end in begin[4:-1]:
        assert (file[end - 2], file[end - 1] & 0xF8) == (0xFF, 0xD0)  # RST
    assert file[-2:].tolist() == [0xFF, 0xD9]  # EOI
