"""Reading and writing the state of a simulation, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlplug.errors import CheckpointError

_DERIVED = ("xpos", "xipos")
"""Positions that a task reads before it steps, for how far it moves.

MuJoCo computes them before it integrates: they lag behind the joints, and nothing else tells them.
"""
_TASK_FIELDS = ("goal", "goal_pos", "cylinder_pos")
"""Where reacher and pusher keep the goal of an episode."""


class MujocoState:
    """State of any of Gymnasium's MuJoCo tasks (a `rlplug.envs.state.StateAccess`)."""

    @staticmethod
    def get(env: Any) -> dict[str, Any]:
        """The physics, the positions that lag behind it, and what the task remembers."""
        import mujoco

        # what the next physics step depends on, the solver's warm start included
        everything = mujoco.mjtState.mjSTATE_INTEGRATION
        physics = np.empty(mujoco.mj_stateSize(env.model, everything))
        mujoco.mj_getState(env.model, env.data, physics, everything)
        derived = {name: getattr(env.data, name).copy() for name in _DERIVED}
        fields = {name: np.array(getattr(env, name)) for name in _TASK_FIELDS if hasattr(env, name)}
        return {"physics": physics, "derived": derived, "task": fields}

    @staticmethod
    def set(env: Any, state: dict[str, Any]) -> None:
        """Bring the task into this state.

        Raises:
            CheckpointError: it is of another model, or of a MuJoCo that keeps other things.
        """
        import mujoco

        physics, everything = state["physics"], mujoco.mjtState.mjSTATE_INTEGRATION
        expected = mujoco.mj_stateSize(env.model, everything)
        if physics.shape != (expected,):
            raise CheckpointError(
                f"The saved state of {type(env).__name__} holds {physics.size} numbers; with "
                f"MuJoCo {mujoco.__version__} and this model it has {expected}. Resume with the "
                "versions and settings that the run folder names."
            )
        mujoco.mj_setState(env.model, env.data, physics, everything)
        mujoco.mj_forward(env.model, env.data)  # what frames are drawn from; moves the warm start
        mujoco.mj_setState(env.model, env.data, physics, everything)
        for name, values in state["derived"].items():
            getattr(env.data, name)[...] = values
        for name, values in state["task"].items():
            setattr(env, name, values.copy())
