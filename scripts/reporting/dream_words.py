"""What the browser's page says of a task, and how a person plays it; a task that is not in the table gets a default."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Side:
    """One end of a control: its label, and the keys that hold it there, as `KeyboardEvent.key` spells them."""

    label: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Control:
    """One dimension of the action, as a person's hands have it.

    minus, plus: its ends; None where it rests at that end. rate: how far a step moves it towards the key held, as a
    share of what is left (1: at once).
    """

    name: str
    minus: Side | None
    plus: Side | None
    rate: float = 1.0


@dataclass(frozen=True)
class Words:
    """What the page says of a task.

    title, about: its name, and what there is to do in a sentence. end: what M's done head predicts. exploited: what to
    look for in a dream at a low temperature.
    """

    title: str
    about: str
    end: str
    controls: tuple[Control, ...]
    exploited: str = "At a low temperature M samples its likeliest guess again and again, and the dream becomes easy."


LEFT, RIGHT = ("ArrowLeft", "a", "A"), ("ArrowRight", "d", "D")
DOWN, UP = ("ArrowDown", "s", "S"), ("ArrowUp", "w", "W")

WORDS = {
    "doomrnn": Words(
        title="Take cover",
        about="Monsters at the far wall throw fireballs. Step aside, and stay alive.",
        end="death",
        controls=(Control("move", Side("left", LEFT), Side("right", RIGHT)),),
        exploited="At temperature 0.10 M samples its likeliest guess every time, and hardly anything is thrown: C, "
        "trained in that dream, is almost immortal there, and mortal in the game. On the right the same M throws "
        "fireballs.",
    ),
    "pendulum": Words(
        title="Pendulum",
        about="Swing the rod up and hold it there; the torque is too weak to lift it at once.",
        end="the end",
        controls=(Control("torque", Side("right", RIGHT), Side("left", LEFT)),),
    ),
    "carracing": Words(
        title="Car racing",
        about="Follow the road through its bends, on grass as little as you can.",
        end="the end",
        controls=(
            Control("steer", Side("left", LEFT), Side("right", RIGHT), rate=0.25),
            Control("gas", None, Side("gas", UP), rate=0.3),
            Control("brake", None, Side("brake", (*DOWN, "b", "B")), rate=0.5),
        ),
    ),
}
DEFAULT_KEYS = ((LEFT, RIGHT), (DOWN, UP), (("j", "J"), ("l", "L")), (("k", "K"), ("i", "I")))


def words_of(task: str, action_size: int) -> Words:
    """Return the words of a task, or for one that is not in the table a slider and two keys a dimension."""
    if task in WORDS:
        return WORDS[task]
    keys = [*DEFAULT_KEYS, *[((), ())] * action_size][:action_size]
    names = [f"action {number}" if action_size > 1 else "action" for number in range(1, action_size + 1)]
    controls = [
        Control(name, Side("−", minus), Side("+", plus)) for name, (minus, plus) in zip(names, keys, strict=True)
    ]
    about = "Act, and see what M makes of it."
    return Words(title=task.rpartition(":")[2], about=about, end="the end", controls=tuple(controls))


def as_values(words: Words) -> dict[str, Any]:
    """Return the words as JSON has them."""
    return asdict(words)
