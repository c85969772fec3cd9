"""Networks for video: functional models, and what drives them frame by frame."""

from kseg.models.video import schedules as schedules
from kseg.models.video.clockwork_fcn import clockwork_fcn
from kseg.models.video.low_latency import low_latency
from kseg.models.video.mask_feedback import mask_feedback
from kseg.models.video.netwarp import netwarp
from kseg.models.video.state import (
    check_inputs,
    initial_state,
    parts,
    state_names,
)
from kseg.models.video.stfcn import stfcn
from kseg.models.video.stream import Stream
from kseg.models.video.unroll import unroll

__all__ = [
    "Stream",
    "check_inputs",
    "clockwork_fcn",
    "initial_state",
    "low_latency",
    "mask_feedback",
    "netwarp",
    "parts",
    "schedules",
    "state_names",
    "stfcn",
    "unroll",
]
