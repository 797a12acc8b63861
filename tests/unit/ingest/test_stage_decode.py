"""Raw records into columns: every form that is taken, every odd value as declared, every refusal with its reason."""

import json
from dataclasses import replace

import numpy as np
import pytest
from polls import polled

from ingest.record import RejectKind
from ingest.stages.decode import Decode
from ingest.stages.units import REMEMBERED, conversion
from ingest.stages.values import Odd
from mesh.signals import Grid, Sensor
from mesh.signals.sensors import RecordRules, Telemetry

NOW = 1_700_000_000_000
TELEMETRY = Telemetry(
    sensors=(Sensor("temp", unit="degC", low=-40, high=160), Sensor("flow", unit="l/s", low=0)),
    grid=Grid(),
    features=("mean",),
    rules=RecordRules(max_ahead_ms=1_000, max_age_ms=60_000),
)


def opened(*records, rules=None, **changes):
    telemetry = replace(TELEMETRY, **({"rules": rules} if rules else {}), **changes)
    values = [
        record if record is None or isinstance(record, bytes) else json.dumps(record).encode()
        for record in records
    ]
    return Decode(telemetry, 100_000).open(polled(values))


def record(ts=NOW, **fields):
    return {"asset": "pump-7", "ts": ts, **fields}


def only(*records, rules=None, **changes):
    """The reason and kind of the one record that is refused."""
    decoded = opened(*records, rules=rules, **changes)
    (rejected,) = decoded.rejected
    return rejected


def test_all_sensors_in_a_record_in_any_order():
    decoded = opened(record(sensors={"flow": 2, "temp": 21.5}), record(sensors={"temp": 22.0, "flow": None}))
    np.testing.assert_array_equal(decoded.values, [[21.5, 2.0], [22.0, np.nan]])
    assert decoded.assets == ["pump-7", "pump-7"]
    assert decoded.positions == [0, 1]
    assert not decoded.rejected
    assert not decoded.odd


def test_one_sensor_in_a_record():
    decoded = opened(record(sensor="flow", value=3.5), record(sensors={"temp": 1}))
    np.testing.assert_array_equal(decoded.values, [[np.nan, 3.5], [1.0, np.nan]])


@pytest.mark.parametrize(
    "ts", ["2023-11-14T22:13:20Z", "2023-11-14T22:13:20", "2023-11-14T23:13:20.000+01:00", NOW, float(NOW)]
)
def test_times_in_every_form_are_the_same_moment(ts):
    assert opened(record(ts, sensors={"temp": 1})).time.tolist() == [NOW]


def test_units_are_converted_for_one_or_for_each():
    decoded = opened(
        record(sensors={"temp": 212.0}, unit="degF"),
        record(sensors={"temp": 373.15, "flow": 60.0}, unit={"temp": "kelvin", "flow": "l/min"}),
    )
    np.testing.assert_allclose(decoded.values, [[100.0, np.nan], [100.0, 1.0]])


@pytest.mark.parametrize(
    "unit",
    ["(", "'", "m**-", "\0", "9**9**9**9", "degC**9**9**9", "9⁹⁹⁹⁹⁹⁹⁹⁹⁹", "9*,*9*,*9*,*9", "sq square cubic degC**99", "m" * 70],
)  # fmt: skip
def test_a_unit_that_makes_no_sense_refuses_its_record_alone(unit):
    """Pint raises other errors than its own for some, and would compute others for ever."""
    decoded = opened(record(sensors={"temp": 1.0}, unit=unit), record(sensors={"temp": 2.0}))
    assert decoded.values[:, 0].tolist() == [2.0]
    (rejected,) = decoded.rejected
    assert (rejected.position, rejected.kind) == (0, RejectKind.WRONG_UNIT)


@pytest.mark.parametrize(
    ("given", "declared"),
    [("degF", "degC"), ("m/s**2", "mm/s^2"), ("kg*m²/s³", "W"), ("m s⁻¹", "km/h"), ("1/min", "Hz"), ("(m/s)**2", "m**2/s**2"),
     ("cubic meter per hour", "l/s"), ("kW·h", "J"), ("%", "dimensionless")],
)  # fmt: skip
def test_units_in_every_form_convert(given, declared):
    assert conversion(given, declared) is not None


def test_what_is_known_of_units_is_bounded():
    for number in range(2 * REMEMBERED):
        conversion(f"{number}!", "m")
    assert conversion.cache_info().currsize <= REMEMBERED


def test_odd_values_are_counted_and_taken_for_missing():
    decoded = opened(
        record(sensors={"temp": 500.0, "flow": 1.0}),
        record(sensors={"temp": "hot", "flow": True}),
        record(sensors={"temp": 20.0, "presure": 3.0}),
    )
    np.testing.assert_array_equal(decoded.values, [[np.nan, 1.0], [np.nan, np.nan], [20.0, np.nan]])
    assert decoded.odd == {
        (Odd.OUT_OF_RANGE, "temp"): 1,
        (Odd.NOT_A_NUMBER, "temp"): 1,
        (Odd.NOT_A_NUMBER, "flow"): 1,
        (Odd.UNKNOWN_SENSOR, ""): 1,
    }
    assert not decoded.rejected


STERN = RecordRules("dead_letter", "dead_letter", "dead_letter", "dead_letter")


@pytest.mark.parametrize(
    ("bad", "kind", "reason"),
    [
        (record(sensors={"temp": 500.0}), RejectKind.OUT_OF_RANGE, "'temp' is 500, its range is -40 to 160"),
        (record(sensors={"temp": "hot"}), RejectKind.NOT_A_NUMBER, "'temp' is 'hot', expected a number"),
        (record(sensors={"presure": 1}), RejectKind.UNKNOWN_SENSOR, "'presure' is not declared"),
        (
            record(sensors={"temp": 1}, unit="bar"),
            RejectKind.WRONG_UNIT,
            "'bar', which does not convert to 'degC'",
        ),
        (record(sensors={"temp": 1}, unit="blorp"), RejectKind.WRONG_UNIT, "'blorp'"),
    ],
)
def test_where_declared_so_an_odd_value_refuses_its_record_alone(bad, kind, reason):
    decoded = opened(
        record(sensors={"temp": 1, "flow": 1}), bad, record(sensors={"temp": 2, "flow": 2}), rules=STERN
    )
    (rejected,) = decoded.rejected
    assert (rejected.position, rejected.kind) == (1, kind)
    assert reason in rejected.reason
    np.testing.assert_array_equal(decoded.values, [[1.0, 1.0], [2.0, 2.0]])
    assert decoded.positions == [0, 2]


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (b'{"asset": "a", "sensors": {"temp": "hot"', RejectKind.NOT_JSON),
        (b'{"asset": "a", "value": [', RejectKind.NOT_JSON),
        (b'{"asset": "a", "value": "\xff"}', RejectKind.NOT_JSON),
        (b'{"asset": "a", "value": ' + b"[" * 90_000, RejectKind.TOO_DEEP),
        (None, RejectKind.NULL_VALUE),
        (b"", RejectKind.EMPTY_VALUE),
        (b"  ", RejectKind.EMPTY_VALUE),
        (b"{", RejectKind.NOT_JSON),
        (b'{"asset": "a", "ts": 1, "sensors": {"temp": NaN}}', RejectKind.NOT_JSON),
        (b"\xff", RejectKind.NOT_JSON),
        (b'{"asset": "a", "ts": 1, "x": ' + b"[" * 10_000, RejectKind.TOO_DEEP),
        (b"x" * 100_001, RejectKind.TOO_LARGE),
        ([1, 2], RejectKind.WRONG_TYPE),
        ({"ts": NOW, "sensors": {"temp": 1}}, RejectKind.WRONG_TYPE),
        ({"asset": "a", "sensors": {"temp": 1}}, RejectKind.WRONG_TYPE),
        ({"asset": "", "ts": NOW, "sensors": {"temp": 1}}, RejectKind.WRONG_TYPE),
        ({"asset": "a" * 129, "ts": NOW, "sensors": {"temp": 1}}, RejectKind.WRONG_TYPE),
        (record("yesterday", sensors={"temp": 1}), RejectKind.WRONG_TYPE),
        (record(True, sensors={"temp": 1}), RejectKind.WRONG_TYPE),
        (record(sensors={}), RejectKind.NO_FEATURES),
        (record(), RejectKind.NO_FEATURES),
        (record(NOW + 1_001, sensors={"temp": 1}), RejectKind.BAD_TIME),
        (record(NOW - 60_001, sensors={"temp": 1}), RejectKind.BAD_TIME),
        (record(-5, sensors={"temp": 1}), RejectKind.BAD_TIME),
        (record(1e300, sensors={"temp": 1}), RejectKind.BAD_TIME),
    ],
)
def test_what_is_no_record_is_refused(bad, kind):
    assert only(bad).kind is kind


def test_an_asset_that_is_not_declared_is_refused_where_they_are():
    rejected = only(record(sensors={"temp": 1}), known_assets=frozenset({"pump-8"}))
    assert rejected.kind is RejectKind.UNKNOWN_ASSET
    assert "pump-7" in rejected.reason


def test_numbers_too_large_for_a_float_are_out_of_range():
    decoded = opened(b'{"asset": "a", "ts": %d, "sensors": {"temp": 1, "flow": 1e999}}' % NOW)
    assert len(decoded.rejected) + decoded.odd.get((Odd.OUT_OF_RANGE, "flow"), 0) == 1


@pytest.mark.parametrize("unit", [None, "degF"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_whole_numbers_that_no_float_holds_are_out_of_range(sign, unit):
    huge = f"{sign}1{'0' * 400}"
    record = b'{"asset": "a", "ts": %d, "sensors": {"temp": %s, "flow": 2}, "unit": %s}'
    units = json.dumps(unit and {"temp": unit}).encode()
    decoded = opened(record % (NOW, huge.encode(), units))
    np.testing.assert_array_equal(decoded.values, [[np.nan, 2.0]])
    assert decoded.odd == {(Odd.OUT_OF_RANGE, "temp"): 1}


def test_what_no_window_can_be_computed_with_is_out_of_every_range():
    """The largest doubles and floats are what broken drivers say; their fourth powers are no numbers any more."""
    free = (Sensor("temp"), Sensor("flow"))
    said = [record(sensors={"temp": value, "flow": 1.0}) for value in (1.7e308, -3.4028235e38, 9e35)]
    decoded = opened(*said, sensors=free)
    np.testing.assert_array_equal(decoded.values[:, 0], [np.nan, np.nan, 9e35])
    assert decoded.odd == {(Odd.OUT_OF_RANGE, "temp"): 2}


def test_no_record_gives_no_row():
    decoded = opened()
    assert decoded.values.shape == (0, 2)
