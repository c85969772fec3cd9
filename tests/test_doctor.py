"""What `kseg doctor` says about environments that are not right."""

from importlib import metadata

import pytest

from kseg import doctor


def state_of(findings, what):
    (finding,) = [f for f in findings if f.what.startswith(what)]
    return finding


@pytest.fixture
def installed(monkeypatch):
    """Replaces the versions of installed distributions."""

    def replace(**versions):
        real = doctor.version
        names = {name.replace("_", "-"): v for name, v in versions.items()}
        monkeypatch.setattr(
            doctor, "version", lambda name: names[name] if name in names else real(name)
        )

    return replace


def test_this_environment_has_nothing_wrong(monkeypatch):
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    assert [f for f in doctor.examine() if f.state == "wrong"] == []


def test_every_requirement_of_the_package_is_examined():
    examined = {f.what.split(" ")[0] for f in doctor.requirements()}
    for line in metadata.requires("kseg"):
        assert doctor.re.match(r"[\w-]+", line)[0] in examined


def test_core_package_that_is_too_old_is_wrong(installed):
    installed(keras="2.15.0")
    finding = state_of(doctor.requirements(), "keras")
    assert (finding.state, finding.found) == ("wrong", "2.15.0")
    assert finding.fix == "pip install 'keras>=3.15'"


def test_missing_package_of_an_extra_names_the_extra(installed):
    installed(ai_edge_litert=None)
    finding = state_of(doctor.requirements(), "ai-edge-litert")
    assert (finding.state, finding.fix) == ("missing", "pip install 'kseg[mobile]'")


def test_chosen_backend_that_is_missing_is_wrong(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setattr(
        doctor.importlib.util, "find_spec", lambda name: None if name == "torch" else 1
    )
    assert state_of(doctor.backends(), "backend torch").state == "wrong"
    assert state_of(doctor.backends(), "backend jax").state == "ok"


def test_a_backend_that_nobody_knows_is_wrong(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "mxnet")
    finding = state_of(doctor.backends(), "Keras' backend")
    assert finding.state == "wrong"
    assert "mxnet" in finding.found
    assert "tensorflow, jax, torch" in finding.fix


def test_the_backend_of_keras_own_settings_is_the_chosen_one(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert doctor.chosen_backend() == ("tensorflow", "by default")
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert doctor.chosen_backend() == ("jax", str(tmp_path / "keras.json"))
    (tmp_path / "keras.json").write_text('{"backend": ')
    assert doctor.chosen_backend() == ("tensorflow", "by default")


def test_legacy_keras_switch_is_wrong(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    finding = state_of(doctor.backends(), "TF_USE_LEGACY_KERAS")
    assert finding.state == "wrong"
    assert "unset" in finding.fix


def test_two_opencvs_clash(installed):
    installed(opencv_python="4.12", opencv_python_headless="4.13")
    finding = state_of(doctor.clashes(), "several distributions of cv2")
    assert finding.found == "opencv-python, opencv-python-headless"


def test_tensorflow_addons_is_named_as_dead(installed):
    installed(tensorflow_addons="0.23.0")
    assert state_of(doctor.clashes(), "tensorflow-addons").state == "wrong"
