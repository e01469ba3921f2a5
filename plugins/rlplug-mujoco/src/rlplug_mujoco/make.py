"""Building one of Gymnasium's MuJoCo tasks, with what is wrong said in rlplug's words."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from rlplug.errors import ConfigError
from rlplug_mujoco import rendering, simulator

if TYPE_CHECKING:
    import gymnasium

_SUPPLIED = {"self", "kwargs", "model_path", "observation_space", "render_mode"}
"""Parameters of Gymnasium's classes that are no settings."""


class TaskMaker:
    """Builds a task from its settings: those of its config, and `env.kwargs`."""

    def __init__(self, gymnasium_id: str) -> None:
        self.gymnasium_id = gymnasium_id

    def __call__(
        self,
        *,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        **settings: Any,
    ) -> gymnasium.Env[Any, Any]:
        """One environment with its time limit.

        Raises:
            PluginError: MuJoCo is missing or too old.
            ConfigError: a setting it does not take, a model file that is not there, or nothing to
                draw with where frames are asked for.
        """
        simulator.require(self.gymnasium_id)
        import gymnasium

        if render_mode not in {None, "human"}:
            rendering.prepare(self.gymnasium_id)
        self._refuse_unknown(settings)
        try:
            return gymnasium.make(
                self.gymnasium_id,
                render_mode=render_mode,
                max_episode_steps=max_episode_steps,
                disable_env_checker=True,
                **{name: _without_bound(name, value) for name, value in settings.items()},
            )
        except OSError as error:
            raise ConfigError(f"env.xml_file: {error}.") from error

    def _refuse_unknown(self, settings: dict[str, Any]) -> None:
        known = self.parameters()
        for name in settings.keys() - known.keys():
            raise ConfigError(
                f"env.kwargs: {self.gymnasium_id} takes no {name!r}; it takes: {', '.join(known)}."
            )

    def parameters(self) -> dict[str, Any]:
        """Every setting of the task with Gymnasium's default."""
        import gymnasium
        from gymnasium.envs.mujoco import MujocoEnv
        from gymnasium.envs.registration import load_env_creator

        entry_point: Any = gymnasium.spec(self.gymnasium_id).entry_point
        task = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
        return {
            name: parameter.default
            for cls in (MujocoEnv, task)
            for name, parameter in inspect.signature(cls).parameters.items()
            if name not in _SUPPLIED
        }


def _without_bound(name: str, value: Any) -> Any:
    """A range as Gymnasium has it: settings have None where there is no bound."""
    if not name.endswith("_range") or not isinstance(value, tuple):
        return value
    low, high = value
    return (-float("inf") if low is None else low, float("inf") if high is None else high)


HalfCheetah = TaskMaker("HalfCheetah-v5")
Hopper = TaskMaker("Hopper-v5")
Walker2d = TaskMaker("Walker2d-v5")
Ant = TaskMaker("Ant-v5")
Humanoid = TaskMaker("Humanoid-v5")
HumanoidStandup = TaskMaker("HumanoidStandup-v5")
Swimmer = TaskMaker("Swimmer-v5")
Reacher = TaskMaker("Reacher-v5")
Pusher = TaskMaker("Pusher-v5")
InvertedPendulum = TaskMaker("InvertedPendulum-v5")
InvertedDoublePendulum = TaskMaker("InvertedDoublePendulum-v5")
