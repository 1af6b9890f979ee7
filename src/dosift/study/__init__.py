"""The simulation study of Kumar and Sinha (UAI 2021), reproduced, extended and resumable."""

from dosift.study.runner import run_study
from dosift.study.settings import PRESETS, StudySettings
from dosift.study.summary import summarise

__all__ = ["PRESETS", "StudySettings", "run_study", "summarise"]
