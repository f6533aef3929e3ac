"""Real simulators as Gymnasium environments with ground-truth pose; importing it registers them."""

from gymnasium.envs.registration import register

register("SimMaze-v0", "simulators.maze.env:MazeEnv", max_episode_steps=300)
