"""`.env.example` says what the settings say."""

from server.cli import env_example
from tests.architecture.tree import ROOT


def test_env_example_is_up_to_date() -> None:
    """Whoever adds a setting runs `make env-example`."""
    assert (ROOT / ".env.example").read_text("utf-8") == env_example.render()


def test_every_setting_explains_itself() -> None:
    """Each setting carries the sentence that its reader needs."""
    undescribed = [name for name, field in env_example.Settings.model_fields.items() if not field.description]
    assert undescribed == []
