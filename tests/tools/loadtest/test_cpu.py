import os
from time import process_time

import pytest

from hewston_bff.tools.loadtest.cpu import NoSuchProcess, cpu_s


def test_the_cpu_of_a_process_is_what_it_used() -> None:
    before_s = process_time()
    found_s = cpu_s([os.getpid()])
    tick_s = 2 / os.sysconf("SC_CLK_TCK")
    assert before_s - tick_s <= found_s <= process_time() + tick_s


def test_several_processes_are_added() -> None:
    one_s = cpu_s([os.getpid()])
    assert cpu_s([os.getpid(), os.getpid()]) >= 2 * one_s


def test_a_process_that_is_not_there_is_told() -> None:
    with pytest.raises(NoSuchProcess, match="no process"):
        cpu_s([2**22 + 1])
