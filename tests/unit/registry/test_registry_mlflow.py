"""What the MLflow client does with answers and redirects."""

from urllib.request import Request

import pytest

from mesh.errors import ArtifactError
from mesh.registry.mlflow import MlflowAway, MlflowServer, OwnCredentials
from mesh.registry.reference import Reference

ADDRESS = "http://mlflow:5000"


@pytest.mark.parametrize("answer", [b"<html>sign in</html>", b"{}", b"[]", b'{"model_version": 1}'])
def test_what_is_no_answer_of_mlflow_is_told_with_its_address(monkeypatch, answer):
    server = MlflowServer(ADDRESS, {})
    monkeypatch.setattr(server, "_get", lambda _: answer)
    with pytest.raises(
        MlflowAway, match=r"http://mlflow:5000: models:/a@champion: .*look at MLFLOW_TRACKING_URI"
    ):
        server.fetch(Reference("mlflow", "a", "champion"))


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        (ADDRESS, f"{ADDRESS}/other", True),
        ("http://mlflow", "https://mlflow/x", True),
        ("https://mlflow", "http://mlflow/x", False),
        (ADDRESS, "http://elsewhere:5000/x", False),
        (ADDRESS, "http://mlflow:6000/x", False),
    ],
)
def test_credentials_follow_no_redirect_to_another_server(old, new, kept):
    request = Request(old, headers={"Authorization": "Bearer secret", "Accept": "a"})  # noqa: S310 - never opened
    following = OwnCredentials().redirect_request(request, None, 302, "Found", {}, new)
    assert following is not None
    assert following.has_header("Authorization") is kept
    assert following.has_header("Accept")


@pytest.mark.parametrize("address", ["http://me:secret@mlflow.example", "me:secret@mlflow.example"])
def test_a_password_in_the_address_is_refused_and_not_repeated(address: str):
    with pytest.raises(ArtifactError, match="MLFLOW_TRACKING_PASSWORD") as told:
        MlflowServer(address, {})
    assert "secret" not in str(told.value)


def test_an_address_whose_port_is_no_number_is_told():
    with pytest.raises(MlflowAway, match="look at MLFLOW_TRACKING_URI"):
        MlflowServer("http://127.0.0.1:port", {}).fetch(Reference("mlflow", "pumps", "1"))
