"""The Vulkan driver in software that comes with Chromium, for LiteRT's GPU accelerator."""

import os
from pathlib import Path

# Of Debian's package chromium; the Vulkan loader lies beside it.
SOFTWARE_DRIVER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")


def software_environment() -> dict[str, str]:
    """Returns the variables of a process that is to find the driver in software."""
    folder = str(SOFTWARE_DRIVER.parent)
    libraries = os.environ.get("LD_LIBRARY_PATH")
    return {
        **os.environ,
        "VK_ICD_FILENAMES": str(SOFTWARE_DRIVER),
        # Last, so that a Vulkan loader of the system comes first.
        "LD_LIBRARY_PATH": f"{libraries}:{folder}" if libraries else folder,
    }
