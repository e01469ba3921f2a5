from __future__ import annotations

import pytest
import torch

from rlplug.errors import ShapeError
from rlplug.ops.shapes import check_shapes


def test_tensors_that_share_their_axes_pass():
    check_shapes("loss", values=(torch.zeros(3, 2), "B A"), weight=(torch.zeros(3), "B"))


def test_column_that_would_broadcast_is_refused_in_the_callers_words():
    with pytest.raises(ShapeError, match=r"my loss: weight has shape \[3, 1\], expected \[B\]"):
        check_shapes("my loss", loss=(torch.zeros(3), "B"), weight=(torch.zeros(3, 1), "B"))


def test_message_tells_the_length_that_was_expected():
    with pytest.raises(ShapeError, match=r"target has shape \[4\], expected \[B\] with B=3"):
        check_shapes("my loss", loss=(torch.zeros(3), "B"), target=(torch.zeros(4), "B"))
