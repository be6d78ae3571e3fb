"""The paths put together."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware

from .errors import EngineDeadError, RequestError
from .server import Caught, Keys, Site, dead, invalid, refused


def application(site: Site, allowed_origins: Sequence[str]) -> FastAPI:
    app = FastAPI(title="winvllm-build fallback server")
    app.add_api_route("/v1/chat/completions", site.chat, methods=["POST"])
    app.add_api_route("/v1/completions", site.completion, methods=["POST"])
    app.add_api_route("/tokenize", site.tokenize, methods=["POST"])
    app.add_api_route("/detokenize", site.detokenize, methods=["POST"])
    app.add_api_route("/v1/models", site.models)
    app.add_api_route("/health", site.health)
    app.add_api_route("/ping", site.health, methods=["GET", "POST"])
    app.add_api_route("/version", site.version)
    app.add_api_route("/metrics", site.metrics)
    app.add_exception_handler(RequestError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(EngineDeadError, dead)
    app.add_middleware(Caught)
    if site.api_keys:
        app.add_middleware(Keys, keys=site.api_keys)
    app.add_middleware(
        CORSMiddleware, allow_origins=allowed_origins, allow_methods=["*"], allow_headers=["*"]
    )
    return app
