import threading

import pytest

from rlplug.checkpoint.background import BackgroundCall


def test_the_result_is_there_when_the_function_has_returned():
    may_end = threading.Event()

    def work():
        assert may_end.wait(10)
        return 7

    call = BackgroundCall(work)
    assert not call.is_done
    may_end.set()
    assert call.result() == 7
    assert call.is_done


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()])
def test_an_error_is_raised_where_the_result_is_asked_for(error):
    def fail():
        raise error

    with pytest.raises(type(error)):
        BackgroundCall(fail).result()
