"""What a run folder records of data, nets and arguments."""

import shutil

import numpy as np
import pytest

from kseg import data
from kseg.training.identity import as_json, describe_data, describe_net


def test_numbers_of_numpy_and_tuples_are_as_json_gives_them_back():
    config = {"epochs": np.int64(3), "weights": np.array([1.0, 2.0]), "size": (4, 5)}
    assert as_json(config) == {"epochs": 3, "weights": [1.0, 2.0], "size": [4, 5]}


def test_what_json_cannot_hold_is_named():
    with pytest.raises(TypeError, match=r"Received: .*\(of type object\)"):
        as_json({"model_arguments": {"norm": object()}})


def test_data_is_the_same_elsewhere_and_another_with_another_photo(
    squares_folder, tmp_path
):
    first = describe_data(data.datasets.ImageFolder(squares_folder))
    assert first.startswith("12 photos, ")
    shutil.copytree(squares_folder, tmp_path / "copy")
    copy = data.datasets.ImageFolder(tmp_path / "copy")
    assert describe_data(copy) == first
    assert describe_data(copy[:11]) != first
    assert describe_data(copy[::-1]) != first
    masks = tmp_path / "copy" / "masks"
    (masks / "03.png").write_bytes((masks / "03.png").read_bytes() + b"\0")
    assert describe_data(data.datasets.ImageFolder(tmp_path / "copy")) != first


def test_a_net_is_told_by_its_weights(threshold_net):
    net, same = threshold_net(), threshold_net()
    assert describe_net(net) == describe_net(same)
    assert as_json({"backbone": net}) == {"backbone": describe_net(net)}
    weights = same.get_weights()
    weights[-1] = weights[-1] + 1
    same.set_weights(weights)
    assert describe_net(net) != describe_net(same)
