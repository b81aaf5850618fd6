"""What a provider and precision do to the magnified change of a rendered person, against the CPU in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmag import backends, deepmag, models
from fastmag.ascent import ascend
from fastmag.coherent.estimate import estimate
from fastmag.gradients import InputGradient
from fastmag.params import Pulse
from fastmag.synthetic import reduce_to_cells, render_clip
from fastmag.temporal import butterworth

SEED, SECONDS, FPS, SIZE, ALPHA = 3, 4.0, 30.0, (120, 160), 10.0
HERE = (("cpu", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"), ("cuda", "fp32"), ("cuda", "bf16"))


def changes(cells: np.ndarray, network: Any) -> dict[str, np.ndarray]:
    """The change of cells (T, 36, 36, 3) in the coherent form and, band-passed, in the paper's."""
    ops, params = backends.get("cpu"), Pulse(form="paper")
    y, share = deepmag.read_pulse(cells, FPS, network, ops)
    coherent = estimate(cells, y, share, FPS, params.passband, ops).change(cells, ALPHA)
    x = deepmag.differences(cells, ops)
    climbed = ascend(x, deepmag.at_rate(network, FPS), ops, **params.updates) - x
    paper = ops.bandpass(climbed.reshape(len(x), -1), butterworth(params.passband, FPS))
    return {"coherent": coherent, "paper": paper}


def run(threads: int = 1) -> list[dict[str, Any]]:
    """One row a form and provider: relative L2 error and correlation of the change."""
    from fastmag.errors import InputError

    clip = render_clip(SEED, "A", SECONDS, FPS, threads=threads, size=SIZE)
    cells = np.stack([reduce_to_cells(frame) for frame in clip.frames])
    rows: list[dict[str, Any]] = []
    true: dict[str, np.ndarray] = {}
    for provider, precision in HERE:
        try:
            network = InputGradient(models.path("pulse_gradient"), threads, provider=provider, precision=precision)
        except InputError:
            continue
        found = changes(cells, network)
        true = true or found
        for form, change in found.items():
            off = float(np.linalg.norm(change - true[form]) / np.linalg.norm(true[form]))
            together = float(np.corrcoef(change.ravel(), true[form].ravel())[0, 1])
            rows.append({"form": form, "provider": provider, "precision": network.precision, "off": off,
                         "correlation": together, "gradient_off": network.error})  # fmt: skip
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = [
        "| pulse network, a rendered person | form | single gradients off by | change off by | correlation |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['provider']} {r['precision']} | {r['form']} | {r['gradient_off']:.2g} | {r['off']:.2g} "
        f"| {r['correlation']:.6f} |"
        for r in rows
        if r["provider"] != "cpu"
    ]
    return "\n".join(lines)
