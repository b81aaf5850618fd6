"""Who is filmed: a person drawn at random, or a cast in the proportions of the paper's 25 people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag.errors import InputError
from fastmag.synthetic.motion import TASKS

# The paper prints Fitzpatrick I 1, II 13, III 10, IV 2: 26 of 25 people. We take one from the largest group.
PAPER = {"people": 25, "women": 8, "skin_types": (1, 12, 10, 2, 0, 0), "glasses": 9, "facial_hair": 8, "makeup": 4}
MELANIN = ((0.0, 0.1), (0.1, 0.26), (0.26, 0.42), (0.42, 0.58), (0.58, 0.78), (0.78, 1.0))
"""Range of melanin (paint.tone) of the Fitzpatrick skin types I to VI."""
_VARIED = (
    0.08,
    0.2,
    0.22,
    0.2,
    0.16,
    0.14,
)  # share of each skin type among people drawn at random: darker than the cast

CAST_SEED = 5_000_000  # of casts and their recordings: people drawn at random use seeds below


@dataclass(frozen=True)
class Member:
    """One person: the seed of all that is not said here; skin_type 1..6 (Fitzpatrick I to VI).

    Raises InputError for a skin type out of range.
    """

    seed: int
    woman: bool
    skin_type: int
    glasses: bool = False
    facial_hair: bool = False
    makeup: bool = False

    def __post_init__(self) -> None:
        if self.skin_type not in range(1, 7):
            raise InputError(f"skin_type must be 1 to 6 (Fitzpatrick); got {self.skin_type}")


def draw(seed: int) -> Member:
    """Anybody: every skin type, glasses, facial hair and makeup, for training. The same seed gives the same person."""
    rng = np.random.default_rng([seed, 9])
    woman = bool(rng.random() < 0.4)
    skin_type = int(rng.choice(6, p=_VARIED)) + 1
    glasses, hair, made_up = rng.random(3) < (0.3, 0.0 if woman else 0.45, 0.4 if woman else 0.0)
    return Member(seed, woman, skin_type, bool(glasses), bool(hair), bool(made_up))


def _shares(counts: tuple[int, ...], n: int) -> list[int]:
    """`counts` scaled to the sum n: rounded down, the rest to the largest remainders."""
    exact = np.array(counts) * n / sum(counts)
    whole = np.floor(exact).astype(int)
    for i in np.argsort(whole - exact, kind="stable")[: n - whole.sum()]:
        whole[i] += 1
    return whole.tolist()


def cast(seed: int = 0, n: int = 25) -> list[Member]:
    """n people in the proportions of the paper's 25: exactly those for 25, rounded for others.

    17 men and 8 women; skin types I 1, II 12, III 10, IV 2; 9 with glasses; 8 of the men with facial hair; 4 of the
    women with makeup. Who has which is drawn from the seed. Raises InputError for n below 1.
    """
    if n < 1:
        raise InputError(f"a cast needs one person at least; got {n}")
    rng = np.random.default_rng([seed, 8])
    women = _shares((8, 17), n)[0]
    sexes = rng.permutation(np.arange(n) < women)
    skin = rng.permutation(np.repeat(np.arange(1, 7), _shares(PAPER["skin_types"], n)))  # type: ignore[arg-type]

    def some(count: int, among: np.ndarray) -> np.ndarray:
        chosen = np.zeros(n, bool)
        chosen[rng.permutation(np.flatnonzero(among))[:count]] = True
        return chosen

    glasses = some(_shares((9, 16), n)[0], np.ones(n, bool))
    hair = some(_shares((8, 17), n)[0], ~sexes)
    made_up = some(_shares((4, 21), n)[0], sexes)
    return [
        Member(
            CAST_SEED + 1000 * seed + i, bool(sexes[i]), int(skin[i]), bool(glasses[i]), bool(hair[i]), bool(made_up[i])
        )
        for i in range(n)
    ]


@dataclass(frozen=True)
class Recording:
    """One recording of a cast: person (its number), member, task, and the seed of light, motion, waves and noise."""

    person: int
    member: Member
    task: str
    seed: int

    @property
    def name(self) -> str:
        return f"person-{self.person:03d}-{self.task}"


def recordings(seed: int = 0, people: int = 25, tasks: str = "ABCD") -> list[Recording]:
    """A recording of every person of cast(seed, people) in every task, person by person."""
    return [
        Recording(i, member, task, CAST_SEED + 100_000 * seed + 16 * i + TASKS.index(task))
        for i, member in enumerate(cast(seed, people))
        for task in checked(tasks)
    ]


def checked(tasks: str) -> str:
    """The tasks as they are. Raises InputError where one is unknown or named twice."""
    if not tasks or len(set(tasks)) != len(tasks) or not set(tasks) <= set(TASKS):
        raise InputError(f"tasks must be some of {''.join(TASKS)}, each once, as in ABCD; got {tasks!r}")
    return tasks
