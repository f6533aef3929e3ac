"""Real simulators as Gymnasium environments with ground-truth pose; importing it registers them."""

from gymnasium.envs.registration import register

register("SimMaze-v0", "simulators.maze.env:MazeEnv", max_episode_steps=300)
register("SimDMLab-v0", "simulators.dmlab.env:DMLabEnv", max_episode_steps=300)
register(
    "SimMinecraft-v0",
    "simulators.minecraft.env:MinecraftEnv",
    max_episode_steps=300,
    nondeterministic=True,
)
register("SimHabitat-v0", "simulators.habitat.env:HabitatEnv", max_episode_steps=300)
register("SimDoom-v0", "simulators.doom.env:DoomEnv", max_episode_steps=300)
register("SimMiniWorld-v0", "simulators.miniworld.env:MiniWorldEnv", max_episode_steps=300)
register("SimMemoryMaze-v0", "simulators.memory_maze.env:MemoryMazeEnv", max_episode_steps=1000)
# Its time limit is that of the environment it shows.
register("SimGym-v0", "simulators.gym_image.env:GymImageEnv")
