"""Train DQN on CartPole from Python, evaluate what it learned, and act with it.

python examples/train_from_python.py [ENV_STEPS]
"""

import sys

import gymnasium

import rlplug

env_steps = float(sys.argv[1]) if sys.argv[1:] else 50_000

# Every setting of `rlplug show dqn cartpole` is an argument, by section.
result = rlplug.train("dqn", "cartpole", steps=env_steps, seed=1, agent={"batch_size": 128})

# Whole episodes, greedy actions, raw returns, a seed that training never used.
report = rlplug.evaluate(result.run_dir, episodes=20)
print(f"{report.mean_return:.1f} ± {report.std_return:.1f} over {report.episodes} episodes")

# The policy alone: no trainer, no replay, no environment of its own.
policy = rlplug.load(result.run_dir)
env = gymnasium.make("CartPole-v1")
observation, _ = env.reset(seed=0)
episode_return, episode_over = 0.0, False
while not episode_over:
    observation, reward, terminated, truncated, _ = env.step(policy.act(observation))
    episode_return += float(reward)
    episode_over = terminated or truncated
print(f"one more episode by hand: {episode_return:.0f}")
