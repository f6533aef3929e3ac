"""Names, numbers and small rules of the on-disk format (docs/trajectory-format.md)."""

import json
import re

import numpy as np
from gymnasium import spaces

from worldmodel_env.errors import InputError

SCHEMA_VERSION = 1
SPLITS = ("train", "validation", "test")
SEED_BASE = {"train": 0, "validation": 1_000_000, "test": 2_000_000}
SEEDS_PER_SPLIT = 1_000_000

DATA = "data"
EPISODES = "episodes"
SHARDS = "shards"
METADATA_FILE = "metadata.json"
LINK_FILE = "main_data.hdf5"

CHUNK = 16
"""Frames in one compressed chunk: what one random read of a frame costs to decode."""

OBSERVATIONS = "observations"
ACTIONS = "actions"
REWARDS = "rewards"
TERMINATIONS = "terminations"
TRUNCATIONS = "truncations"
POSE = "infos/pose"

REQUIRED_ATTRIBUTES = (
    "id",
    "seed",
    "total_steps",
    "split",
    "task",
    "policy",
    "frame_skip",
    "simulator",
    "env_kwargs",
    "action_space",
    "versions",
    "schema_version",
    "sha256",
)

_EPISODE_FILE = re.compile(r"(train|validation|test)-(\d{9})\.hdf5")
_SHARD_FILE = re.compile(r"(train|validation|test)-(\d{9})-(\d{9})\.hdf5")

ActionSpace = spaces.Discrete | spaces.MultiDiscrete | spaces.Box


def split_of(seed: int) -> str:
    """Return the split whose range holds `seed`; InputError outside 0 .. 2,999,999."""
    for split, base in SEED_BASE.items():
        if base <= seed < base + SEEDS_PER_SPLIT:
            return split
    raise InputError(
        f"seed {seed} is in no split: use 0 to {3 * SEEDS_PER_SPLIT - 1}, "
        f"{SEEDS_PER_SPLIT} for each of {', '.join(SPLITS)}"
    )


def check_split(split: str) -> str:
    """Return `split` if it is one of `SPLITS`, else raise InputError."""
    if split not in SPLITS:
        raise InputError(f"unknown split {split!r}: use one of {', '.join(SPLITS)}")
    return split


def episode_key(episode_id: int) -> str:
    """Name of an episode's group inside its file."""
    return f"episode_{episode_id}"


def episode_file(seed: int) -> str:
    """Path of a single episode's file, relative to the `data` folder."""
    return f"{EPISODES}/{split_of(seed)}-{seed:09d}.hdf5"


def shard_file(first_seed: int, last_seed: int) -> str:
    """Path of a shard, relative to the `data` folder."""
    return f"{SHARDS}/{split_of(first_seed)}-{first_seed:09d}-{last_seed:09d}.hdf5"


def is_episode_file(name: str) -> bool:
    """True if `name` (no folder) is that of a single episode's file."""
    return _EPISODE_FILE.fullmatch(name) is not None


def is_shard_file(name: str) -> bool:
    """True if `name` (no folder) is that of a shard."""
    return _SHARD_FILE.fullmatch(name) is not None


def image_space(height: int, width: int) -> spaces.Box:
    """The observation space of `height` x `width` RGB frames."""
    return spaces.Box(0, 255, (height, width, 3), np.uint8)


def space_to_json(space: spaces.Space) -> str:
    """Serialise a space as Minari does; InputError for a kind that actions cannot have here."""
    match space:
        case spaces.Discrete():
            content = {
                "type": "Discrete",
                "dtype": "int64",
                "start": int(space.start),
                "n": int(space.n),
            }
        case spaces.MultiDiscrete():
            content = {
                "type": "MultiDiscrete",
                "dtype": str(space.dtype),
                "nvec": space.nvec.tolist(),
                "start": space.start.tolist(),
            }
        case spaces.Box():
            content = {
                "type": "Box",
                "dtype": str(space.dtype),
                "shape": list(space.shape),
                "low": space.low.tolist(),
                "high": space.high.tolist(),
            }
        case _:
            raise InputError(
                f"action space {space} cannot be stored: use Discrete, MultiDiscrete or Box"
            )
    return json.dumps(content)


def space_from_json(text: str) -> ActionSpace:
    """Inverse of `space_to_json`; InputError if `text` describes no space."""
    try:
        content = json.loads(text)
        dtype = np.dtype(content["dtype"]).type
        match content["type"]:
            case "Discrete":
                return spaces.Discrete(content["n"], start=content["start"])
            case "MultiDiscrete":
                return spaces.MultiDiscrete(content["nvec"], dtype=dtype, start=content["start"])
            case "Box":
                low, high = np.array(content["low"], dtype), np.array(content["high"], dtype)
                return spaces.Box(low, high, tuple(content["shape"]), dtype)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"space {text!r} cannot be read ({error!r})") from error
    raise InputError(f"space {text!r} is of no known type: use Discrete, MultiDiscrete or Box")
