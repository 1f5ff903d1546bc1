import pytest
from pydantic import Field

from understudy.config import Config, load_config
from understudy.errors import InputError


class Inner(Config):
    rate: float = 0.5
    """A rate."""

    depth: int = 1
    """A depth."""


class Owner(Config):
    name: str
    """Whose."""


class Outer(Config):
    name: str = "x"
    """A name."""

    steps: int = Field(default=3, gt=0)
    """How many."""

    inner: Inner = Inner()
    """A table."""

    owner: Owner | None = None
    """A table that may be missing."""


def write(tmp_path, text):
    path = tmp_path / "c.toml"
    path.write_text(text)
    return path


def test_file_then_overrides(tmp_path):
    path = write(tmp_path, 'name = "file"\n[inner]\nrate = 0.25\n')
    config = load_config(Outer, path, ["steps=7", "inner.rate=1", "name=two words"])
    assert config == Outer(name="two words", steps=7, inner=Inner(rate=1.0))
    assert Outer.model_fields["steps"].description == "How many."
    assert load_config(Outer) == Outer()


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("step = 1", [], "unknown key 'step'; known keys: inner, name, owner, steps"),
        ("[inner]\nrat = 1", [], "unknown key 'inner.rat'; known keys: depth, rate"),
        ("[owner]\nnam = 'x'", [], "owner.name is missing; give it in a file or as --set owner.name="),
        ("[owner]\nname = 'x'\nnam = 'x'", [], "unknown key 'owner.nam'; known keys: name"),
        ("steps = 0", [], "steps: Input should be greater than 0"),
        ("steps = ", [], "not valid TOML"),
        ("", ["steps"], "expected key=value"),
        ("", ["name.x=1", "name.x.y=1"], "is a value, not a table"),
        ("", ["steps=many"], "steps: Input should be a valid integer"),
    ],
)
def test_bad_input_is_one_line(tmp_path, text, overrides, message):
    with pytest.raises(InputError) as caught:
        load_config(Outer, write(tmp_path, text), overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_config(Outer, tmp_path / "absent.toml")


def test_the_saved_configuration_of_a_run_is_read_too(tmp_path):
    config = Outer(name="saved", inner=Inner(rate=0.75))
    (tmp_path / "config.json").write_text(config.model_dump_json())
    assert load_config(Outer, tmp_path / "config.json", ["steps=4"]) == config.model_copy(update={"steps": 4})
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(InputError, match="expected a JSON object"):
        load_config(Outer, tmp_path / "config.json")


def test_a_table_changes_the_keys_it_names_and_no_others(tmp_path):
    class Own(Config):
        inner: Inner = Inner(rate=0.9, depth=7)

    class Deep(Config):
        own: Own = Own()

    assert load_config(Own, None, ["inner.depth=2"]).inner == Inner(rate=0.9, depth=2)
    assert load_config(Own, write(tmp_path, "inner = {rate = 0.1}")).inner == Inner(rate=0.1, depth=7)
    assert load_config(Deep, None, ["own.inner.rate=0.2"]).own.inner == Inner(rate=0.2, depth=7)
    assert load_config(Deep) == Deep()
