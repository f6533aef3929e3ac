"""A stand-in for the old gym that MineRL needs: `make`, and nothing else."""

from minerl import standin


class error:
    class UnregisteredEnv(Exception):
        pass


def make(env_id):
    if env_id not in standin.LEVELS:
        raise error.UnregisteredEnv(f"No registered env with id: {env_id}")
    return standin.Env(env_id)
