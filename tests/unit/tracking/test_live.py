import io

import pytest
from rich.console import Console

from rlplug.tracking.live import LiveDisplay
from rlplug.tracking.progress import Progress


def draw(progress, width):
    terminal = Console(file=io.StringIO(), width=width, record=True, force_terminal=True)
    terminal.print(LiveDisplay(progress, "dqn on cartpole", terminal).render())
    return [line.rstrip() for line in terminal.export_text().rstrip().splitlines()]


@pytest.fixture
def progress(clock, metrics, report):
    progress = Progress(50_000, clock=clock)
    clock.now += 4.0
    progress.evaluated(10_000, report)
    progress.report(12_500, metrics | {"td_error": 0.11})
    return progress


def test_the_display_at_80_columns(progress):
    title, bar, times, *table = draw(progress, 80)

    assert title == "dqn on cartpole"
    assert bar.endswith("  25%  12,500/50,000")
    assert len(bar) == 80
    done = bar.index("╺") + 1
    assert done / bar.count("━") == pytest.approx(0.25, abs=0.03)
    assert times == "3,412 steps/s  elapsed 0:04  left 0:11"
    assert table == [
        "return          87.3 (last 20)         loss      0.0312",
        "evaluation      120.4 ± 8.1 at 10,000  q_value   12.3",
        "episode length  87.3                   epsilon   0.05",
        "updates         2,750                  td_error  0.11",
    ]


def test_the_display_at_120_columns_is_the_same_with_a_longer_bar(progress):
    narrow, wide = draw(progress, 80), draw(progress, 120)

    assert len(wide[1]) == 120
    assert wide[2:] == narrow[2:]


def test_a_narrow_terminal_shows_the_losses_alone(progress):
    lines = draw(progress, 50)

    assert lines[-1] == "loss            0.0312"
    assert not any("epsilon" in line for line in lines)


def test_many_metrics_take_eight_rows_and_a_second_column_where_it_fits(progress):
    progress.report(12_500, {f"metric_{index}": index for index in range(30)})

    assert len(draw(progress, 80)) == len(draw(progress, 120)) == 3 + 8
    assert "metric_8" not in "\n".join(draw(progress, 80))
    assert "metric_15" in "\n".join(draw(progress, 120))


@pytest.mark.parametrize("width", [80, 120])
def test_large_numbers_and_long_names_keep_to_the_width_and_lose_no_digit(clock, report, width):
    progress = Progress(200_000_000, clock=clock)
    metrics = {f"some/very_long_name_of_metric_{index}": -1234567.0 for index in range(20)}
    progress.report(123_456_789, metrics | {"updates": 123_456_789.0, "steps_per_second": 1e6})
    progress.evaluated(120_000_000, report._replace(mean_return=-12345.6, std_return=1234.5))
    lines = draw(progress, width)

    assert max(map(len, lines)) <= width
    assert sum(line.count("-1.23e+06") for line in lines) == (8 if width == 80 else 16)
    assert any("123,456,789/200,000,000" in line for line in lines)


def test_before_the_first_episode_nothing_is_unknown_or_nan(clock):
    lines = draw(Progress(50_000, clock=clock), 80)

    assert len(lines) == 3
    assert lines[1].endswith("0%  0/50,000")
    assert lines[2] == "elapsed 0:00"


def test_frames_are_at_least_a_quarter_of_a_second_apart(clock):
    stream = io.StringIO()
    terminal = Console(file=stream, width=80, force_terminal=True)
    display = LiveDisplay(Progress(100, clock=clock), "title", terminal, clock=clock)
    drawn = []
    for _ in range(1_000):
        before = len(stream.getvalue())
        display.refresh()
        drawn.append(len(stream.getvalue()) > before)
        clock.now += 1 / 512
    display.stop()

    assert sum(drawn) == 8  # 1,000 calls in 1.95 seconds
