"""Where the store is, and that nobody reads a password."""

from concurrent.futures import Future
from pathlib import Path

import pytest

from pipelines import crash
from pipelines.tracking import addresses
from pipelines.tracking.addresses import address, masked, shown
from pipelines.tracking.tracker import Tracker, TrackingError

SECRET = "hunter2%40x"
ADDRESSES = [
    f"postgresql://ann:{SECRET}@db.local/runs",
    f"mysql+pymysql://ann:{SECRET}@db.local:3306/runs?charset=utf8",
    f"http://ann:{SECRET}@host:5000",
    f"https://host/mlflow?token={SECRET}",
    f"postgresql://db.local/runs?user=ann&password={SECRET}",
    f"https://{SECRET}@host/mlflow",
]


@pytest.mark.parametrize("uri", ADDRESSES)
def test_no_password_is_shown(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert SECRET not in shown()
    assert "host" in shown() or "db.local" in shown()
    failed: Future = Future()
    failed.set_exception(RuntimeError(f"could not connect to '{uri}'\n(Background on: x)"))
    with pytest.raises(TrackingError) as caught, Tracker(failed)._taken():
        pass
    assert SECRET not in str(caught.value)
    assert "could not connect" in str(caught.value)
    assert "Background" not in str(caught.value)


def test_passwords_of_the_environment_are_masked_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:sw%2Ford@host")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "tok-123456")
    text = "sent tok-123456 and sw/ord (sw%2Ford)"
    assert masked(text) == "sent *** and *** (***)"
    sentence = crash.reported(ValueError(text))
    (file,) = (tmp_path / "data/errors").iterdir()
    for secret in ("tok-123456", "sw/ord", "sw%2Ford"):
        assert secret not in sentence
        assert secret not in file.read_text()


def test_texts_without_passwords_stay() -> None:
    for text in ("http://127.0.0.1:5000/#/runs/1", "a@b.example wrote: see https://x.org/y"):
        assert masked(text) == text


@pytest.mark.parametrize("name", ["plain", "with space", "a%2Fb", "what?now", "a#b", "it's", "ряд"])
def test_the_local_address_needs_no_escaping(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    assert addresses.is_local()
    assert address().isascii()
    assert not set(address()) & set(" %?#'")
    place = address().removeprefix("sqlite:///")
    assert Path(place).absolute() == tmp_path / name / "mlruns/mlflow.db"
