"""What a frontend may use here, and the refusal of what it may not."""

from aiohttp import web
from pydantic import BaseModel

from hewston_bff.errors import FeatureDisabled
from hewston_bff.feature_flags import Feature
from hewston_bff.web.endpoint import ApiAnswer, Endpoint, RequestHandler, Tag
from hewston_bff.web.keys import FEATURES, HUB


class FeaturesPage(BaseModel):
    """`GET /api/v1/features`."""

    features: dict[Feature, bool]
    topics: list[str]
    """The kinds of topics that carry events here: `bus`, `job`, `system`."""
    simulated: list[str]
    """Those of them whose events are made up, to look around."""


_INSTEAD = {
    Feature.CHART_DATA: "chart data is switched off here: use /bars/…",
    Feature.RUN_DATA: "run data is switched off here: use /backtests/{id}",
    Feature.WEBSOCKET_PROXY: "streaming is switched off here: use the backend's own path",
}


async def features(request: web.Request) -> web.Response:
    """`GET /api/v1/features`: the frontend's roll-back switch."""
    kinds = [channel.kind for channel in request.app[HUB].events]
    page = FeaturesPage.model_validate(
        {
            "features": request.app[FEATURES].by_name(),
            "topics": [kind.name for kind in kinds],
            "simulated": [kind.name for kind in kinds if kind.is_simulated],
        }
    )
    return web.Response(body=page.model_dump_json().encode(), content_type="application/json")


def switched(handler: RequestHandler, feature: Feature) -> RequestHandler:
    """`handler`, while `feature` is on."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if not request.app[FEATURES].is_on(feature):
            raise FeatureDisabled(_INSTEAD[feature])
        return await handler(request)

    return serve


ENDPOINTS = (
    Endpoint(
        name="get_features",
        path="/api/v1/features",
        handler=features,
        tag=Tag.OPERATIONS,
        summary="What a frontend may use here",
        answers=(ApiAnswer(200, "By name.", FeaturesPage),),
    ),
)
