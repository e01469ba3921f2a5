"""Actor-critics on rollouts: PPO, A2C, REINFORCE and recurrent PPO as one agent with slots."""
