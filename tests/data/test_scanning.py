import pytest

from kseg.data.scanning import raise_problems, scan


def test_results_come_in_order_with_errors_in_place():
    def halve(number):
        if number % 2:
            raise ValueError(f"odd {number}")
        return number // 2

    results = scan(halve, range(1000), "Halving")
    assert results[::2] == list(range(500))
    assert [str(error) for error in results[1::2]] == [
        f"odd {number}" for number in range(1, 1000, 2)
    ]


def test_other_errors_are_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        scan(lambda number: 1 / number, [1, 0], "Dividing")


def test_no_items():
    assert scan(str, [], "Nothing") == []


def test_a_bar_is_drawn_on_a_terminal_for_many_items(monkeypatch):
    drawn = []

    def track(results, description, total, **_):
        drawn.append((description, total))
        return results

    monkeypatch.setattr("rich.progress.track", track)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert scan(str, range(199), "Few") == [str(i) for i in range(199)]
    assert drawn == []
    assert scan(str, range(200), "Many") == [str(i) for i in range(200)]
    assert drawn == [("Many", 200)]


def test_no_problem_raises_nothing():
    raise_problems([], 5, "samples")


def test_the_first_twenty_problems_are_named_and_all_counted():
    with pytest.raises(ValueError, match="^37 of 90 masks") as caught:
        raise_problems([f"problem {i}." for i in range(37)], 90, "masks")
    lines = str(caught.value).splitlines()
    assert lines[1:] == [f"- problem {i}." for i in range(20)] + ["- … and 17 more"]
