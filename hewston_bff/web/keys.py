"""What handlers find in the application."""

from aiohttp import web

from hewston_bff.hub.hub import Hub
from hewston_bff.net.backend import HttpBackend
from hewston_bff.settings import Settings
from hewston_bff.web.clients import Clients

SETTINGS = web.AppKey("settings", Settings)
BACKEND = web.AppKey("backend", HttpBackend)
HUB = web.AppKey("hub", Hub)
CLIENTS = web.AppKey("clients", Clients)
CORRELATION_ID = web.RequestKey("correlation_id", str)
