"""Packaging of the OpenvCloud admin console.

The versions that a release was tested with stand in requirements/runtime.txt; here are only
the bounds.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def _requirements(name: str) -> list[str]:
    lines = (HERE / "requirements" / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-"))]


setup(
    name="ovcadmin",
    version="0.1.0",
    description="The admin console of OpenvCloud, a private cloud in a box",
    author="OpenvCloud",
    license="MIT",
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=["ovcadmin", "ovcadmin.*"]),
    package_data={
        "ovcadmin": [
            "*.yml",
            "api/openapi/*.yaml",
            "knowledge/**/*.md",
            "models/migrations/script.py.mako",
            "py.typed",
            "templates/**/*.pt",
            "views/*.json",
        ]
    },
    data_files=[("share/man/man1", ["docs/ovc.1"])],
    include_package_data=False,
    zip_safe=False,
    install_requires=_requirements("runtime.in"),
    extras_require={"kerberos": _requirements("kerberos.in")},
    entry_points={
        "console_scripts": [
            "ovc = ovcadmin.cli.main:main",
            "ovcadmin = ovcadmin.manage.main:main",
        ],
        "paste.app_factory": ["main = ovcadmin:main"],
    },
)
