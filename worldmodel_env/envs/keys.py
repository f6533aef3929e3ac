"""Which keys mean which actions, so that `gymnasium.utils.play` works without being told."""

from collections.abc import Sequence

from gymnasium import spaces

from worldmodel_env.errors import InputError

LEFT, RIGHT, AHEAD, BACK = "turn left", "turn right", "forward", "backward"

LAYOUTS: tuple[dict[str, int], ...] = (
    {AHEAD: ord("w"), LEFT: ord("a"), BACK: ord("s"), RIGHT: ord("d")},
    # SDL's codes of the arrow keys, which pygame uses.
    {AHEAD: 1073741906, LEFT: 1073741904, BACK: 1073741905, RIGHT: 1073741903},
)
"""A key for each meaning: WASD and the arrow keys."""


def keys_to_action(
    space: spaces.Space, meanings: Sequence[str] | None
) -> dict[tuple[int, ...], int]:
    """Keys held together -> action.

    With two keys held, one of them a turn, the turn is taken: who walks ahead wants to steer.

    Args:
        space: the actions.
        meanings: of each action of a Discrete space: "turn left", "turn right", "forward",
            "backward", or anything else, which gets no key.

    Raises:
        InputError: the meanings are not known.
    """
    if not isinstance(space, spaces.Discrete) or meanings is None or len(meanings) != space.n:
        raise InputError(
            f"action_meanings is {meanings!r}, which does not tell the keys of {space}; give "
            "keys_to_action= to gymnasium.utils.play, or for a Discrete space "
            f"action_meanings=[...] to gymnasium.make, such as {[LEFT, RIGHT, AHEAD]}."
        )
    action = {meaning: int(space.start) + i for i, meaning in enumerate(meanings)}
    keys: dict[tuple[int, ...], int] = {}
    for layout in LAYOUTS:
        known = {meaning: key for meaning, key in layout.items() if meaning in action}
        keys |= {(key,): action[meaning] for meaning, key in known.items()}
        for turn in {LEFT, RIGHT} & set(known):
            for move in {AHEAD, BACK} & set(known):
                keys[tuple(sorted((known[turn], known[move])))] = action[turn]
    return keys
