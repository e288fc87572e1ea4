"""What a features file says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hewston_bff.feature_flags import BadFeatures, Feature, parse_features

CHART_OFF = {Feature.CHART_DATA: False}


@pytest.mark.parametrize(
    "text",
    [
        '{"chart_data_aggregation": false}',
        '{"features": {"chart_data_aggregation": "off"}}',
        '\ufeff {"BFF_FEATURE_CHART_AGGREGATION": "No"}\n',
        "chart_data_aggregation=0",
        "# a note\n\nexport BFF_FEATURE_CHART_AGGREGATION = 'FALSE'\r\n",
    ],
)
def test_json_and_lines_say_the_same(text: str) -> None:
    assert parse_features(text.encode()) == CHART_OFF


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff", "UTF-8"),
        (b'{"chart_data_aggregation": ', "JSON"),
        (b'{"features": []}', "object"),
        (b'{"chart_data_aggregatoin": false}', "chart_data_aggregatoin"),
        (b'{"chart_data_aggregation": 0}', "true or false"),
        (b'{"chart_data_aggregation": null}', "true or false"),
        (b"websocket_proxy=perhaps", "true or false"),
        (b"websocket_proxy", "KEY=value"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(BadFeatures, match=reason):
        parse_features(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_switches_or_refused(data: bytes) -> None:
    try:
        found = parse_features(data)
    except BadFeatures:
        return
    assert set(found) <= set(Feature)
