"""How a person acts in a world: buttons, and the keys that press them."""

from dataclasses import dataclass

from gymnasium import spaces

from worldmodel_env.errors import InputError

MOST_ACTIONS = 9
"""Actions without a meaning of their own are on the digit keys."""


@dataclass(frozen=True)
class Control:
    """One action of a person.

    Attributes:
        label: what it does.
        keys: names of keys as browsers give them (`KeyboardEvent.code`).
        action: of the world's action space.
    """

    label: str
    keys: tuple[str, ...]
    action: int


_WALK = (
    ("Turn left", ("ArrowLeft", "KeyA")),
    ("Turn right", ("ArrowRight", "KeyD")),
    ("Step forward", ("ArrowUp", "KeyW")),
)


def controls_of(space: spaces.Space) -> tuple[Control, ...]:
    """The controls of an action space; three actions walk, as in all of TECO's simulators.

    Raises:
        InputError: a space that keys cannot act in.
    """
    if not isinstance(space, spaces.Discrete) or space.n > MOST_ACTIONS:
        raise InputError(
            f"the world's action space is {space}, but a page can be played with Discrete actions, "
            f"at most {MOST_ACTIONS}; choose another world."
        )
    first = int(space.start)
    if space.n == len(_WALK):
        return tuple(Control(label, keys, first + i) for i, (label, keys) in enumerate(_WALK))
    return tuple(
        Control(f"Action {i}", (f"Digit{i + 1}", f"Numpad{i + 1}"), first + i)
        for i in range(int(space.n))
    )
