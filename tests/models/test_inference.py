"""Size at which a network that takes any size sees a photo."""

import pytest

from kseg.models.inference import photo_size


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ((3000, 1500), (512, 256)),
        ((20, 4000), (32, 512)),
        ((512, 512), (512, 512)),
        ((100, 90), (96, 96)),
    ],
)
def test_long_side_is_at_most_512_and_both_are_multiples_of_32(photo, expected):
    assert photo_size(photo) == expected
