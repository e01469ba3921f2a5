import json

import pytest


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """Write a run folder of an untrained DQN: `make_run("cartpole")`."""
    from rlplug.checkpoint import CheckpointInfo, save_checkpoint
    from rlplug.envs.make import make_env
    from rlplug.envs.space_json import spaces_to_json
    from rlplug.protocols import AgentContext
    from rlplug.registry import discovery
    from rlplug.resolve import CONFIG_FILE, resolve, to_yaml
    from rlplug.seeding import Seeds

    def make(environment, *, scores=(None,), **settings):
        run = tmp_path_factory.mktemp("run")
        resolved = resolve("dqn", environment, overrides=settings)
        (run / CONFIG_FILE).write_text(to_yaml(resolved.config))
        env = make_env(resolved.environment, resolved.config.env)
        spaces = env.observation_space, env.action_space
        (run / "spaces.json").write_text(json.dumps(spaces_to_json(*spaces)))
        build = discovery.import_string(resolved.algorithm.agent)
        for number, score in enumerate(scores):
            context = AgentContext(*spaces, 1000, Seeds(number))
            weights = build(resolved.config.agent, context).policy_weights()
            info = CheckpointInfo(env_steps=100 * (number + 1), mean_return=score)
            save_checkpoint(run / "checkpoints", {"policy_weights": weights}, info=info)
        env.close()
        return run

    return make


@pytest.fixture(scope="session")
def cartpole_run(make_run):
    """Two checkpoints, of which the first is the better one; its evaluations end after 30 steps."""
    settings = {"env.max_episode_steps": 30, "evaluate.num_envs": 3}
    return make_run("cartpole", scores=(20.0, 10.0), **settings)
