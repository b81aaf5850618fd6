"""Methods by name, and settings by name, each with the source of its numbers."""

from __future__ import annotations

from fastmag.errors import InputError
from fastmag.params import EvmColor, EvmMotion, Params, PhaseEvm, Pulse, Respiration, Riesz, VamColor, VamMotion

METHODS: dict[str, Params] = {
    "pulse": Pulse(),  # passband: Chen and McDuff 2018, section 3.2; alpha: ours, a flush that is seen at a glance
    "respiration": Respiration(),  # passband: Chen and McDuff 2018, section 3.3; alpha: ours, a breath that is seen
    "evm-color": EvmColor(),  # passband and level: those of the pulse in Chen and McDuff 2018; alpha: as for pulse
    "evm-motion": EvmMotion(),  # passband: breathing in Chen and McDuff 2018; lambda_c and chroma: MIT's baby
    "vam-color": VamColor(),  # frequency: the pulse's in Chen and McDuff 2018, section 4; level: EVM's
    "vam-motion": VamMotion(),  # frequency: breathing there; alpha: cat_toy in Zhang et al. 2017; sigma: as phase-evm
    "phase-evm": PhaseEvm(),  # passband: breathing in Chen and McDuff 2018; sigma: woman in Wadhwa et al. 2013
    "riesz": Riesz(),  # passband: breathing in Chen and McDuff 2018; sigma: ours
}

# Wu et al. 2012, the settings of the released reproduceResults script, by the clips' names there
_MIT: dict[str, Params] = {
    "evm/face": EvmColor(alpha=50, level=4, passband=(50 / 60, 60 / 60)),
    "evm/face2-color": EvmColor(alpha=50, level=6, passband=(50 / 60, 60 / 60)),
    "evm/baby2": EvmColor(alpha=150, level=6, passband=(140 / 60, 160 / 60)),
    "evm/baby": EvmMotion(alpha=10, lambda_c=16, temporal="iir", rates=(0.4, 0.05), chroma=0.1),
    "evm/wrist": EvmMotion(alpha=10, lambda_c=16, temporal="iir", rates=(0.4, 0.05), chroma=0.1),
    "evm/face2-motion": EvmMotion(alpha=20, lambda_c=80, passband=(0.5, 10), chroma=0),
    "evm/subway": EvmMotion(alpha=60, lambda_c=90, passband=(3.6, 6.2), chroma=0.3),
    "evm/camera": EvmMotion(alpha=150, lambda_c=20, passband=(45, 100), fs=300, chroma=0),
    "evm/shadow": EvmMotion(alpha=5, lambda_c=48, passband=(0.5, 10), chroma=0),
    "evm/guitar-e": EvmMotion(alpha=50, lambda_c=10, temporal="ideal", passband=(72, 92), fs=600, chroma=0),
    "evm/guitar-a": EvmMotion(alpha=100, lambda_c=10, temporal="ideal", passband=(100, 120), fs=600, chroma=0),
}
# Wadhwa et al. 2013, the settings of the released reproduceResults script
_PHASE: dict[str, Params] = {
    "phase/crane": PhaseEvm(alpha=100, passband=(0.2, 0.25), sigma=5),
    "phase/car-engine": PhaseEvm(alpha=15, passband=(15, 25), sigma=3),
    "phase/guitar": PhaseEvm(alpha=25, passband=(72, 92), sigma=2, fs=600),
    "phase/woman": PhaseEvm(alpha=15, passband=(0.35, 0.71), sigma=3),
    "phase/baby": PhaseEvm(alpha=20, temporal="iir", rates=(0.4, 0.04), sigma=5),
}
# Zhang et al. 2017, the settings of the released script
_VAM: dict[str, Params] = {
    "vam/syn-ball": VamMotion(alpha=5, frequency=10 / 3, acceleration="dog"),
    "vam/cat-toy": VamMotion(alpha=8, frequency=4, acceleration="int"),
    "vam/gun": VamMotion(alpha=8, frequency=8, acceleration="dog"),
    "vam/bottle": VamMotion(alpha=8, frequency=4, acceleration="int"),
}
# Chen and McDuff 2018, section 4: the passbands and frequencies that the methods were given there
_PAPER: dict[str, Params] = {
    "evm/pulse": EvmColor(passband=(0.7, 2.5)),
    "vam/pulse": VamColor(frequency=1.3),
    "evm/breathing": EvmMotion(passband=(0.16, 0.5)),
    "phase/breathing": PhaseEvm(passband=(0.16, 0.5)),
    "riesz/breathing": Riesz(passband=(0.16, 0.5)),
    "vam/breathing": VamMotion(frequency=0.28),
}
_OURS: dict[str, Params] = {
    "breathing/baby": Respiration(passband=(0.16, 0.9), sure=True),  # a baby takes 30 to 50 breaths a minute
}
PRESETS: dict[str, Params] = _MIT | _PHASE | _VAM | _PAPER | _OURS


def method(name_or_params: str | Params) -> Params:
    """The params of a method's or preset's name, or the params themselves. Raises InputError for anything else."""
    if isinstance(name_or_params, Params):
        return name_or_params
    if name_or_params in METHODS:
        return METHODS[name_or_params]
    if name_or_params in PRESETS:
        return PRESETS[name_or_params]
    raise InputError(f"method must be one of {', '.join(METHODS)}, or a preset; got {name_or_params!r}")


def name_of(params: Params) -> str:
    """The name of the method that params belong to."""
    return next(name for name, default in METHODS.items() if type(default) is type(params))


def preset(name: str, of_method: str | None = None) -> Params:
    """The params of a preset. Raises InputError when it is unknown, or belongs to another method than `of_method`."""
    if name not in PRESETS:
        raise InputError(
            f"preset must be one of {', '.join(PRESETS)}; got {name!r} (the encoder's speed is --encoder-preset)"
        )
    owner = name_of(PRESETS[name])
    if of_method not in (None, owner):
        raise InputError(f"preset {name} belongs to the method {owner}; got {of_method}: drop --method")
    return PRESETS[name]
