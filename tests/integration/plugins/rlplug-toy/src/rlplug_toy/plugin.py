"""What rlplug-toy registers; heavy parts are import strings."""

from rlplug.specs import AlgorithmSpec, EnvironmentSpec

TOY_Q = AlgorithmSpec(
    name="toy-q",
    summary="Q-learning with a linear function of the observation",
    paper="Watkins and Dayan 1992, Machine Learning 8:279-292",
    config="rlplug_toy.config:ToyQConfig",
    agent="rlplug_toy.agent:ToyQAgent",
    policy="rlplug_toy.agent:ToyQPolicy",
    observation_spaces=("box",),
    action_spaces=("discrete",),
    defaults={"train": {"warmup_env_steps": 50}},
)

CORRIDOR = EnvironmentSpec(
    name="toy-corridor",
    summary="Walk to the right end of a corridor; every step costs 0.1",
    make="rlplug_toy.corridor:Corridor",
    aliases=("corridor",),
)
