"""A recipe's keys, and what is said of wrong ones."""

from __future__ import annotations

import pytest

from xrv_node.errors import ConfigError
from xrv_node.lab.train.recipe import Recipe, load


def test_a_file_and_what_wins_over_it(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text('init = "scratch"\nbatch = 16\nlearning_rate = "find"\nlabels = ["Mass", "Effusion"]\n')
    recipe = load(file, batch=8, seed=None)
    assert (recipe.init, recipe.batch, recipe.seed, recipe.learning_rate) == ("scratch", 8, 0, "find")
    assert recipe.labels == ("Mass", "Effusion")
    assert load() == Recipe()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bach = 3", "bach: unknown key; accepted here: init, network, task"),
        ("batch = 0", "batch: Input should be greater than or equal to 1"),
        ('task = "one-vs-all"', "task: String should match pattern"),
        ("valid_share = 0.5\ntest_share = 0.5", "leave nothing to train on"),
        ('task = "one-vs-all:Mass"\nlabels = ["Mass"]', "exclude one another"),
        ('epochs = 0\ninit = "scratch"', "leave nothing to do"),
        ("learning_rate = 0.0", "learning_rate is above 0"),
        ("batch = ", "not valid TOML"),
    ],
)
def test_a_wrong_recipe_is_one_clear_line(tmp_path, text, words):
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load(file)


def test_what_is_wrong_is_sought_where_it_was_said(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text("epochs = -1\nbatch = 8\n")
    with pytest.raises(ConfigError) as raised:
        load(file, batch=0)
    epochs, batch = sorted(str(raised.value).splitlines())
    assert epochs.startswith(f"{file}: epochs: ")
    assert batch.startswith("batch: ")


def test_a_recipe_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.toml: cannot be read"):
        load(tmp_path / "nowhere.toml")
