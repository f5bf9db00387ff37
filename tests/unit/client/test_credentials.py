"""Credentials as objects: KFP's form, ours, and where the token of a service account is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.client import ServiceAccountTokenVolumeCredentials, TokenCredentialsBase
from headrace.client.credentials import token_of


class OfKfp(TokenCredentialsBase):
    def refresh_api_key_hook(self, config: Any) -> None:
        config.api_key["authorization"] = "from-the-hook"


class WithGetToken:
    def get_token(self) -> str:
        return "from-get-token"


def test_both_forms_give_their_token() -> None:
    assert token_of(OfKfp()) == "from-the-hook"
    assert token_of(WithGetToken()) == "from-get-token"
    assert token_of(None) is None


@pytest.mark.kfp
def test_credentials_of_kfp_are_taken(tmp_path: Path) -> None:
    from kfp.client import ServiceAccountTokenVolumeCredentials as OfTheRealKfp

    file = tmp_path / "token"
    file.write_text("a-token\n")
    assert token_of(OfTheRealKfp(str(file))) == token_of(ServiceAccountTokenVolumeCredentials(str(file))) == "a-token"


def test_the_file_may_be_named_by_the_environment_and_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))
    credentials = ServiceAccountTokenVolumeCredentials()
    with pytest.raises(FileNotFoundError):
        token_of(credentials)
    file.write_text("first")
    assert token_of(credentials) == "first"
    file.write_text("second")
    assert token_of(credentials) == "second"


def test_a_base_without_a_hook_says_so() -> None:
    with pytest.raises(NotImplementedError, match="refresh_api_key_hook"):
        token_of(TokenCredentialsBase())
