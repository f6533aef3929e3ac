"""Runs MineRL in the interpreter that has it: a script of its own, which imports nothing of ours.

MineRL needs an old gym and an old numpy, so it lives in another Python environment. This script
talks through its standard input and output: a line of JSON each way, and after an answer that has
"shape" the bytes of a frame. Python 3.7 and later; MineRL 0.4 and 1.0.
"""

import json
import os
import sys

BIOME = 6
"""Swamp, which TECO's authors call marsh."""

WORLD = {
    "seaLevel": 1, "fixedBiome": BIOME, "biomeSize": 8, "riverSize": 1, "useDungeons": False,
    "useStrongholds": False, "useVillages": False, "useMineShafts": False, "useTemples": False,
    "useMonuments": False, "useMansions": False, "useRavines": False, "useWaterLakes": False,
    "useLavaLakes": False,
}  # fmt: skip
"""How the world of Minecraft-200k differs from Minecraft's default one."""


def marsh(resolution):
    """The environment of Minecraft-200k, with the player's location besides the picture."""
    from minerl.herobraine.env_specs.simple_embodiment import SimpleEmbodimentEnvSpec
    from minerl.herobraine.hero import handlers

    class Marsh(SimpleEmbodimentEnvSpec):
        def create_observables(self):
            return [
                handlers.POVObservation(self.resolution),
                handlers.ObservationFromCurrentLocation(),
            ]

        def create_server_world_generators(self):
            options = json.dumps(WORLD)
            return [handlers.DefaultWorldGenerator(force_reset="true", generator_options=options)]

        def create_server_initial_conditions(self):
            return [
                handlers.TimeInitialCondition(allow_passage_of_time=False),
                handlers.SpawningInitialCondition(allow_spawning=True),
            ]

        def create_rewardables(self):
            return []

        create_agent_start = create_agent_handlers = create_monitors = create_rewardables
        create_server_quit_producers = create_server_decorators = create_rewardables

        def determine_success_from_rewards(self, rewards):
            return False

        def is_from_folder(self, folder):
            return False

        def get_docstring(self):
            return ""

    return Marsh("WorldmodelMarsh-v0", resolution=(resolution, resolution))


class Bridge:
    """One environment, asked for things by name."""

    def make(self, level, size, fake):
        """Makes it; tells the names of its actions and MineRL's version."""
        import minerl

        if fake:
            from minerl.herobraine.env_specs.navigate_specs import Navigate

            self.env = Navigate(dense=True, extreme=False).make(fake=True)
        elif level == "marsh":
            self.env = marsh(size).make()
        else:
            import gym

            self.env = gym.make(level)
        space = self.env.action_space
        # MineRL 0.4.4 calls it noop, and no_op, 1.0 only no_op.
        self.nothing = getattr(space, "no_op", None) or space.noop
        version = str(getattr(minerl, "__version__", "unknown"))
        return {"actions": sorted(space.spaces), "version": version}, None

    def reset(self, seed):
        """Begins an episode; where only steps tell the location, takes one that does nothing."""
        self.env.seed(seed)
        seen = self.env.reset()
        answer, frame = self.told(seen, {})
        if answer["location"] is None:
            seen, _, _, info = self.env.step(self.nothing())
            answer, frame = self.told(seen, info)
        return answer, frame

    def step(self, action):
        """Takes an action; keys that are not in it stay at rest."""
        import numpy as np

        full = self.nothing()
        for name, value in action.items():
            full[name] = np.array(value, np.float32) if name == "camera" else np.array(value)
        seen, reward, done, info = self.env.step(full)
        answer, frame = self.told(seen, info)
        limit = bool(info.get("TimeLimit.truncated", False))
        answer.update(reward=float(reward), done=bool(done), limit=limit, error=info.get("error"))
        return answer, frame

    def told(self, seen, info):
        """The location, where a handler gives one, and the frame."""
        stats = seen.get("location_stats") or info.get("location_stats")
        names = ("xpos", "zpos", "yaw", "pitch")
        location = None if not stats else {name: float(stats[name]) for name in names}
        return {"location": location}, seen["pov"]

    def close(self):
        """Ends the game."""
        self.env.close()
        return {}, None


def main():
    """Serves until the input ends."""
    orders = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # the game prints there
    bridge = Bridge()
    for line in orders:
        name, arguments = json.loads(line)
        try:
            answer, frame = getattr(bridge, name)(**arguments)
        except Exception as error:
            answer, frame = {"failed": f"{type(error).__name__}: {error}"}, None
        if frame is not None:
            import numpy as np

            frame = np.ascontiguousarray(frame, np.uint8)
            answer["shape"] = list(frame.shape)
        answers.write(json.dumps(answer).encode() + b"\n")
        if frame is not None:
            answers.write(frame.tobytes())
        answers.flush()


if __name__ == "__main__":
    sys.stdout.flush()
    main()
