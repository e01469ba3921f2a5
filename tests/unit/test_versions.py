import platform
import subprocess
import sys
from importlib.metadata import version

import rlplug
from rlplug.versions import installed_versions


def test_versions_are_those_installed():
    assert installed_versions() == {
        "python": platform.python_version(),
        "rlplug": rlplug.__version__,
        "torch": version("torch"),
        "numpy": version("numpy"),
        "gymnasium": version("gymnasium"),
    }


def test_asking_for_versions_imports_none_of_the_packages():
    program = (
        "import sys, rlplug.versions; rlplug.versions.installed_versions();"
        "assert not {'torch', 'gymnasium', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
