"""Package metadata; `mobile/` is installed as `kseg.mobile`."""

from pathlib import Path

from setuptools import find_packages, setup

VERSION = "0.1.0"

EXTRAS = {
    "mobile": [
        "ai-edge-litert>=2.3",
        "ai-edge-quantizer>=0.10",
        "tensorflow-model-optimization>=0.8.1",
        "tf_keras>=2.21",
    ],
    "data": ["nibabel>=5.3", "tifffile>=2025.1"],
    "video": ["opencv-python-headless>=4.11"],
    "points": ["laspy>=2.7", "lazrs>=0.8"],
    "demo": ["scikit-image>=0.25"],
    "dev": [
        "pytest>=9",
        "pytest-timeout>=2.4",
        "pytest-xdist>=3.6",
        "ruff>=0.15",
        "hypothesis>=6.100",
        "scikit-learn>=1.6",
        "shapely>=2.1",
        "tree-sitter>=0.25",  # reads the sources of the phone apps
        "tree-sitter-kotlin>=1.1",
        "tree-sitter-swift>=0.7",
        "pyyaml>=6",
        "jax>=0.10",
        "pre-commit>=4",
        "setuptools>=77",  # builds the wheel that a test installs
    ],
}

mobile_packages = [f"kseg.mobile.{name}" for name in find_packages("mobile")]

setup(
    name="kseg",
    version=VERSION,
    description="Semantic segmentation for Keras 3, from the paper to the phone",
    long_description=Path("README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[*find_packages(include=["kseg*"]), "kseg.mobile", *mobile_packages],
    package_dir={"kseg.mobile": "mobile"},
    package_data={
        "kseg.mobile": ["weights/*", "weights/*/*", "javascript/*.*", "web/*"]
    },
    install_requires=[
        "keras>=3.15",
        "tensorflow>=2.21",
        "numpy>=2.1",
        "pillow>=11",
        "scipy>=1.14",
        "matplotlib>=3.9",
        "numba>=0.61",
        "typer>=0.15",
        "rich>=13",
        "defusedxml>=0.7",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["kseg = kseg.cli:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
