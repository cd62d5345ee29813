"""Mitigations: one file each, and one line each in `MITIGATIONS`."""

from recsys.mitigations.anchor import Anchor
from recsys.mitigations.base import Mitigated, Mitigation, mitigated
from recsys.mitigations.calibrated import Calibrated
from recsys.mitigations.cap import Cap
from recsys.mitigations.downweight import Downweight
from recsys.mitigations.ensemble import Ensemble
from recsys.mitigations.fresh_slot import FreshSlot
from recsys.mitigations.frozen import Frozen
from recsys.mitigations.language_gate import LanguageGate
from recsys.mitigations.offset import Offset
from recsys.mitigations.ramp import Ramp
from recsys.mitigations.warm_start import WarmStart

__all__ = [
    "MITIGATIONS",
    "Anchor",
    "Calibrated",
    "Cap",
    "Downweight",
    "Ensemble",
    "FreshSlot",
    "Frozen",
    "LanguageGate",
    "Mitigated",
    "Mitigation",
    "Offset",
    "Ramp",
    "WarmStart",
    "mitigated",
]

MITIGATIONS: dict[str, type[Mitigation]] = {
    "warm_start": WarmStart,
    "downweight": Downweight,
    "ramp": Ramp,
    "anchor": Anchor,
    "frozen": Frozen,
    "offset": Offset,
    "ensemble": Ensemble,
    "language_gate": LanguageGate,
    "calibrated": Calibrated,
    "cap": Cap,
    "fresh_slot": FreshSlot,
}
