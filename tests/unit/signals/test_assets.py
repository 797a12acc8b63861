"""Slots are kept while an asset is heard, and go from the longest silent to whoever is new."""

from mesh.signals.assets import Assets


def test_a_name_keeps_its_slot():
    assets = Assets(10)
    first = assets.seat(["a", "b", "a"]).slot.tolist()
    assert first == [0, 1, 0]
    assert assets.seat(["b", "c", "a"]).slot.tolist() == [1, 2, 0]
    assert len(assets) == assets.capacity == 3


def test_past_the_limit_the_longest_silent_makes_room():
    assets = Assets(3)
    assets.seat(["a", "b", "c"])
    assets.seat(["a"])
    seated = assets.seat(["d"])
    assert seated.forgotten == ("b",)
    assert seated.slot.tolist() == seated.cleared.tolist() == [1]
    assert assets.names == ("c", "a", "d")


def test_nobody_of_the_batch_makes_room_for_another():
    assets = Assets(2)
    assets.seat(["a", "b"])
    seated = assets.seat(["b", "c", "d", "e"])
    assert seated.forgotten == ("a",)
    assert len(set(seated.slot.tolist())) == 4
    assert assets.seat(["f"]).forgotten == ("b", "c", "d")
    assert len(assets) == 2


def test_a_forgotten_slot_is_used_again():
    assets = Assets(10)
    assets.seat(["a", "b"])
    assert assets.forget(["a", "never"]).tolist() == [0]
    assert assets.slot_of("a") is None
    assert assets.seat(["c"]).slot.tolist() == [0]


def test_memory_is_bounded_however_many_names_come():
    assets = Assets(50)
    for n in range(10_000):
        assets.seat([f"asset-{n}"])
    assert len(assets) == assets.capacity == 50
