"""What the doctor finds when it imports a plugin in a process of its own."""

from __future__ import annotations

import pytest

from rlplug.registry.doctor import examine
from rlplug.registry.entries import distributions

SPEC = """
from rlplug.config import Config
from rlplug.specs import AlgorithmSpec

class MyConfig(Config):
    pass

class Parts:
    pass

def spec(name, agent="{module}:Parts"):
    return AlgorithmSpec(
        name=name, summary="A test", paper="none", config="{module}:MyConfig", agent=agent,
        policy="{module}:Parts", observation_spaces=("box",), action_spaces=("discrete",),
    )
"""


@pytest.fixture
def diagnose(fake_site, monkeypatch):
    """Install a plugin with this module body and examine it, with time for a busy machine."""
    monkeypatch.setenv("RLPLUG_PLUGIN_TIMEOUT", "100")

    def install_and_examine(module, body, *, groups=None, **about):
        points = groups or {"algorithms": {module: f"{module}:SPEC"}}
        text = f"{SPEC.format(module=module)}\n{body}"
        name = f"rlplug-{module}".replace("_", "-")
        fake_site.install(name, {f"{module}.py": text}, points, **about)
        return examine(distributions()[name])

    return install_and_examine


def test_sound_plugin_has_neither_faults_nor_remarks(diagnose):
    found = diagnose("sound_a", "SPEC = spec('sound_a')")
    assert (found.faults, found.remarks, found.tracebacks) == ([], [], [])
    assert 0 < found.spec_seconds < 10
    assert found.seconds >= 0


STATES = {
    "environment variables": "import os; os.environ['OMP_FOO'] = '1'",
    "signal handlers": "import signal; signal.signal(signal.SIGTERM, lambda *_: None)",
    "Python's random generator": "import random; random.seed(0)",
    "numpy's random generator": "import numpy; numpy.random.seed(0)",
    "numpy's handling of errors": "import numpy; numpy.seterr(all='raise')",
    "sys.path": "import sys; sys.path.append('x')",
    "the filters of warnings": "import warnings; warnings.simplefilter('ignore')",
    "the root logger": "import logging; logging.basicConfig(level=logging.DEBUG)",
    "the recursion limit": "import sys; sys.setrecursionlimit(9999)",
    "the working directory": "import os; os.chdir('/')",
    "threads": "import threading; threading.Thread(name='mole', target=threading.Event().wait, daemon=True).start()",  # noqa: E501
}


def test_every_change_of_global_state_is_a_fault(diagnose):
    body = "\n".join(STATES.values())
    found = diagnose("changes_b", f"{body}\nSPEC = spec('changes_b')")
    for state in STATES:
        assert any(one.startswith(f"changes {state} when") for one in found.faults), state
    told = " ".join(found.faults)
    assert "(OMP_FOO)" in told
    assert "(SIGTERM)" in told
    assert "(mole)" in told
    assert len(found.faults) == len(STATES)


def test_torch_in_a_spec_is_a_remark_and_what_it_sets_a_fault(diagnose):
    body = """
import torch
torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
torch.set_grad_enabled(False)
SPEC = spec('torch_c')
"""
    found = diagnose("torch_c", body)
    assert any(one.startswith("imports torch with its specs") for one in found.remarks)
    for state in ("default dtype", "random generator", "recording of gradients"):
        assert f"changes torch's {state} when imported" in found.faults


def test_heavy_parts_are_imported_too_and_blamed_for_what_they_do(diagnose, fake_site):
    heavy = (
        "import numpy\nimport torch\nnumpy.random.seed(1)\ntorch.manual_seed(3)\nclass Agent: ..."
    )
    (fake_site.folder / "heavy_d_agent.py").write_text(heavy)
    found = diagnose("heavy_d", "SPEC = spec('heavy_d', agent='heavy_d_agent:Agent')")
    assert sorted(found.faults) == [
        "changes numpy's random generator when imported",
        "changes torch's random generator when imported",
    ]
    assert found.remarks == []


def test_what_a_spec_names_and_cannot_be_imported_is_a_fault(diagnose):
    found = diagnose("names_e", "SPEC = spec('names_e', agent='names_e:Gone')")
    (fault,) = found.faults
    assert fault.startswith("names_e:Gone: AttributeError")


def test_what_does_not_load_has_its_reason_and_traceback(diagnose):
    found = diagnose("raises_f", "raise KeyError('lost')")
    (fault,) = found.faults
    assert fault.startswith("algorithm 'raises_f': KeyError: 'lost'.")
    assert "raises_f.py" in found.tracebacks[0]


def test_prints_and_warnings_are_remarks(diagnose):
    body = "import warnings\nprint('hello')\nwarnings.warn('old', DeprecationWarning)\n"
    found = diagnose("loud_g", f"{body}SPEC = spec('loud_g')")
    assert found.faults == []
    assert "warns when imported: DeprecationWarning: old" in found.remarks
    assert "prints when imported: 'hello'" in found.remarks


def test_hang_and_exit_are_survived(diagnose, monkeypatch):
    found = diagnose("ends_h", "import os; os._exit(7)")
    assert found.faults == ["it ended the process that imported it, with status 7"]
    monkeypatch.setenv("RLPLUG_PLUGIN_TIMEOUT", "5")
    found = diagnose("hangs_i", "import time; time.sleep(60)")
    assert found.faults == [
        "it takes too long to import (RLPLUG_PLUGIN_TIMEOUT is 5 s for its specs and twelve times "
        "that for all of it)"
    ]
    assert "hangs_i.py" in found.tracebacks[0]


def test_conflicts_and_ranges_are_read_from_metadata_and_nothing_is_imported(diagnose):
    found = diagnose("future_j", "1 / 0", requires="rlplug>=99")
    assert len(found.faults) == 1
    assert "it needs rlplug>=99; this is rlplug 0." in found.faults[0]
    found = diagnose("needs_k", "SPEC = spec('needs_k')", requires="numpy<1")
    (fault,) = found.faults
    assert fault.startswith("it needs numpy<1; installed is ")
    found = diagnose("lacks_l", "SPEC = spec('lacks_l')", requires="no-such-package>2")
    (fault,) = found.faults
    assert fault.startswith("it needs no-such-package>2, which is not installed: pip install")


def test_names_that_others_have_are_remarks(diagnose):
    groups = {"algorithms": {"dqn": "shadow_m:SPEC"}}
    found = diagnose("shadow_m", "SPEC = spec('dqn')", groups=groups)
    (remark,) = found.remarks
    assert remark.startswith("algorithm 'dqn' is that of rlplug")
    assert remark.endswith("ask for 'rlplug-shadow-m:dqn'")


def test_plugins_own_doctor_is_asked(diagnose):
    body = """
from rlplug.registry.hookspecs import hookimpl

@hookimpl
def rlplug_doctor(event):
    return ["the licence has expired"]
"""
    found = diagnose("doctor_n", body, groups={"hooks": {"n": "doctor_n"}})
    assert found.faults == ["the licence has expired"]


def test_disabled_plugin_is_not_imported(diagnose, monkeypatch):
    monkeypatch.setenv("RLPLUG_DISABLE_PLUGINS", "rlplug-off-o")
    found = diagnose("off_o", "1 / 0")
    assert found.faults == []
    assert found.remarks == ["not examined: named in RLPLUG_DISABLE_PLUGINS"]


def test_rlplug_itself_is_sound(fake_site, monkeypatch):
    monkeypatch.setenv("RLPLUG_PLUGIN_TIMEOUT", "100")
    found = examine(distributions()["rlplug"])
    assert (found.faults, found.remarks) == ([], [])
