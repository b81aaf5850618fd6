"""Methods by name, and settings by name, each with the source of its numbers."""

from __future__ import annotations

from fastmag.errors import InputError
from fastmag.params import EvmColor, EvmMotion, Params, Pulse, VamColor

METHODS: dict[str, Params] = {
    "pulse": Pulse(),  # passband: Chen and McDuff 2018, section 3.2; alpha: ours, a flush that is seen at a glance
    "evm-color": EvmColor(),  # passband and level: those of the pulse in Chen and McDuff 2018; alpha: as for pulse
    "evm-motion": EvmMotion(),  # passband: breathing in Chen and McDuff 2018; lambda_c and chroma: MIT's baby
    "vam-color": VamColor(),  # frequency: the pulse's in Chen and McDuff 2018, section 4; level: EVM's
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
# Chen and McDuff 2018, section 4: the passbands and frequencies that the methods were given there
_PAPER: dict[str, Params] = {
    "evm/pulse": EvmColor(passband=(0.7, 2.5)),
    "vam/pulse": VamColor(frequency=1.3),
    "evm/breathing": EvmMotion(passband=(0.16, 0.5)),
}
PRESETS: dict[str, Params] = _MIT | _PAPER


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
