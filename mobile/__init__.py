"""From a trained model to a verified file on a phone, and back to masks.

Names load on first use: `kseg.mobile.ImageSegmenter` imports neither keras nor
tensorflow, so that what only runs a `.tflite` starts at once.
"""

import importlib

_HOMES = {
    "exporting.exporter": ("export",),
    "exporting.parts": ("export_parts",),
    "exporting.report": ("ExportReport",),
    "compressing.quantization_aware": ("quantize_aware",),
    "compressing.compression": ("cluster", "prune"),
    "exporting.parity": ("ExportError", "ParityError"),
    "segmenter": (
        "ImageSegmenter",
        "SegmentationResult",
        "VideoSegmenter",
        "load",
        "read_image",
    ),
    "linting.linter": ("lint", "LintReport"),
    "linting.gpu_run": ("GpuRun",),
    "tflite.metadata": ("Metadata", "read_metadata"),
    "benchmarking.benchmarking": ("benchmark",),
    "benchmarking.report": ("BenchmarkReport",),
    "benchmarking.ios": ("write_ios_benchmark",),
    "scenarios.portrait": ("portrait",),
    "scenarios.background": ("background",),
    "scenarios.background_video": ("background_video",),
    "scenarios.tryon": ("garment_crop", "tryon"),
    "scenarios.makeup": ("makeup",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name):
    if name in _HOME_OF:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
