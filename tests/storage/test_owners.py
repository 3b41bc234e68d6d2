from __future__ import annotations

import subprocess
import sys

import pytest

from unipelt_search.storage.owners import format_owner, is_dead, new_owner


def test_a_living_process_is_alive_and_every_driver_has_a_name_of_its_own() -> None:
    first, second = new_owner(), new_owner()
    assert first != second
    assert len(first) <= 255
    assert not is_dead(first)


def test_a_process_that_has_ended_is_dead_even_before_its_parent_looked() -> None:
    code = "from unipelt_search.storage.owners import new_owner; print(new_owner(), flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdin is not None
    owner = child.stdout.readline().strip()
    assert not is_dead(owner)
    child.kill()
    child.stdout.read()  # returns when the process has closed everything
    while not is_dead(owner):  # nobody has waited for it: it is a zombie now, or in a moment
        pass
    child.wait()
    assert is_dead(owner)
    child.stdin.close()
    child.stdout.close()


def test_a_number_that_was_given_again_is_another_process() -> None:
    host, place, pid, started, word = new_owner().split("|")
    assert is_dead("|".join([host, place, pid, f"{int(started) - 1}", word]))


@pytest.mark.parametrize("owner", ["me", "a|b|c|d|e", "host|elsewhere|1|5|abc"])
def test_of_another_machine_nothing_is_known(owner: str) -> None:
    assert not is_dead(owner)


def test_a_message_names_process_and_host() -> None:
    assert format_owner("node7|ab12|4242|99|cd34") == "process 4242 on node7"
    assert format_owner("me") == "me"
