from __future__ import annotations

import pytest

from rlplug.registry.names import package_for, suggest, unknown_name_message


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("pong", "rlplug-atari"),
        ("ALE/Pong-v5", "rlplug-atari"),
        ("PongNoFrameskip-v4", "rlplug-atari"),
        ("atari/pong", "rlplug-atari"),
        ("half-cheetah", "rlplug-mujoco"),
        ("halfcheetah", "rlplug-mujoco"),
        ("procgen/coinrun", "rlplug-procgen"),
        ("cartpole", ""),
    ],
)
def test_package_that_would_provide_an_environment(name, package):
    assert package_for(name) == package


def test_suggestions_ignore_case_and_underscores():
    assert suggest("Mountain_Car", ["acrobot", "mountain-car"]) == ["mountain-car"]


def test_message_names_the_package_to_install():
    assert "pip install rlplug-atari" in unknown_name_message("environments", "pong", ["cartpole"])


def test_message_names_the_nearest_and_what_there_is():
    message = unknown_name_message("algorithms", "dqnn", ["dqn", "ppo"])
    assert message == (
        "Unknown algorithm 'dqnn'. Did you mean 'dqn'? Known: dqn, ppo (all of them: rlplug list)"
    )


def test_algorithm_is_in_no_environment_package():
    assert "pip" not in unknown_name_message("algorithms", "pong", [])
