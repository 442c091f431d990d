"""The parallel map that images go through."""

import pytest

from sentiflow.builders.writing import parallel


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_parallel_map_keeps_order_and_holds_few_items(workers):
    taken = []

    def items():
        for i in range(100):
            taken.append(i)
            yield i

    for done, square in enumerate(parallel.ordered_map(lambda i: i * i, items(), workers=workers)):
        assert square == done * done
        assert len(taken) <= done + 4 * workers


def test_parallel_map_hands_on_errors_and_stops():
    def fail(i):
        if i == 3:
            raise KeyError(i)
        return i

    results = parallel.ordered_map(fail, iter(range(10**9)), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)
