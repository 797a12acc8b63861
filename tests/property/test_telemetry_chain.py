"""What the chain gives is a function of the records: not of polls, neighbours, levels, kills, or partitions that come and go."""

import itertools

from chain_log import PARTITIONS, RECORDS, Reading, assert_same, chain, log, poll, undisturbed, windows
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.pipeline.plan import Level

SEEDS = st.integers(0, 1_000)
POLLS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12)
EXAMPLES = settings(max_examples=25, deadline=None)


def read(reading, polls, levels=()):
    """These polls, then the rest; at these levels, then in full."""
    for counts, level in itertools.zip_longest(polls, levels[: len(polls)], fillvalue=Level.FULL):
        if any(counts):
            reading.read(dict(zip(PARTITIONS, counts, strict=True)), level)
    return reading.read_all()


@EXAMPLES
@given(SEEDS, POLLS)
def test_any_cut_into_polls_gives_the_same_windows(seed, polls):
    records = log(seed)
    whole = undisturbed(records)
    assert len(whole) > 60
    assert {(partition, asset) for partition, asset, _ in whole} == {
        (partition, asset) for partition in PARTITIONS for asset in ("pump-0", "pump-1")
    }
    assert_same(read(Reading.of(records), polls).found, whole)


@EXAMPLES
@given(SEEDS)
def test_partitions_are_alone_though_their_assets_have_the_same_names(seed):
    records = log(seed)
    alone = {}
    for partition in PARTITIONS:
        alone |= Reading.of({partition: records[partition]}).read_all().found
    assert_same(alone, undisturbed(records))


@EXAMPLES
@given(SEEDS, POLLS, st.lists(st.sampled_from(Level), max_size=12))
def test_features_are_the_same_at_every_level(seed, polls, levels):
    records = log(seed)
    found = read(Reading.of(records), polls, levels).found
    whole = undisturbed(records)
    assert_same(
        {key: values[:-1] for key, values in found.items()},
        {key: values[:-1] for key, values in whole.items()},
    )


@EXAMPLES
@given(SEEDS, st.lists(st.integers(1, 40), min_size=3, max_size=8), st.data())
def test_a_kill_and_a_replay_from_any_earlier_offset_give_the_same_windows(seed, polls, data):
    """Each asset may have been written at another poll's end, as when a writer dies between two pieces."""
    records = log(seed)
    killed = Reading.of(records)
    cuts = [{p: killed.states(p) for p in PARTITIONS}]
    for count in polls:
        killed.read(dict.fromkeys(PARTITIONS, count))
        cuts.append({p: killed.states(p) for p in PARTITIONS})
    heir = Reading(records, chain(), {}, killed.found)
    for partition in PARTITIONS:
        chosen = {
            asset: cuts[data.draw(st.integers(0, len(polls)), label=f"cut of {asset}")][partition].get(asset)
            for asset in ("pump-0", "pump-1")
        }
        kept = {asset: state for asset, state in chosen.items() if state is not None}
        known = min((state.upto for state in kept.values()), default=0) if len(kept) == 2 else 0
        resume = data.draw(st.integers(0, known), label=f"resume of {partition}")
        heir.chain.begin(partition, kept, resume)
        heir.at[partition] = resume
    assert_same(read(heir, data.draw(POLLS)).found, undisturbed(records))


@EXAMPLES
@given(SEEDS, st.integers(1, RECORDS - 1), st.integers(1, RECORDS))
def test_records_of_a_partition_that_has_moved_away_leave_no_trace(seed, before, after):
    records = log(seed)
    reading = Reading.of(records)
    reading.read(dict.fromkeys(PARTITIONS, before))
    held = reading.states(1)
    polled = poll(records, {p: (before, min(RECORDS, before + after)) for p in PARTITIONS}, gone=[1])
    computed = reading.chain.compute(polled, Level.FULL)
    found = windows(computed, polled)
    assert {partition for partition, _, _ in found} <= {0}
    assert computed.touched.keys() <= {0}
    assert (computed.since.keys(), computed.upto.keys(), computed.anew) == ({0}, {0}, [])
    assert reading.states(1) == held
    whole = undisturbed(records)
    assert_same(found, {key: whole[key] for key in found})


@EXAMPLES
@given(SEEDS, st.integers(1, RECORDS), st.integers(1, RECORDS))
def test_a_partition_that_comes_back_goes_on_as_if_it_had_stayed(seed, left, came):
    """Another reader has it between `left` and `came`; what this one remembered of it is worth nothing any more."""
    records = log(seed)
    mine, other = Reading.of(records), Reading.of({1: records[1]})
    mine.read(dict.fromkeys(PARTITIONS, min(left, came)))
    mine.chain.end(1)
    other.read({1: max(left, came)})
    mine.found |= other.found
    mine.chain.begin(1, other.states(1), max(left, came))
    mine.at[1] = max(left, came)
    assert_same(mine.read_all().found, undisturbed(records))


@EXAMPLES
@given(SEEDS, st.integers(2, RECORDS), st.integers(1, RECORDS), POLLS)
def test_a_topic_made_anew_is_another_stream(seed, before, first, polls):
    old, new = log(seed), log(seed + 5_000)
    reading = Reading.of(old)
    reading.read(dict.fromkeys(PARTITIONS, before))
    reading.records, reading.found, reading.at = new, {}, dict.fromkeys(PARTITIONS, 0)
    assert reading.read(dict.fromkeys(PARTITIONS, first)).anew == list(PARTITIONS)
    assert_same(read(reading, polls).found, undisturbed(new))
