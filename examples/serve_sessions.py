"""Serves a model over HTTP: thousands of sessions, each a sequence that takes its next step.

    python examples/serve_sessions.py model.keras --port 8000 --state states.npz

    curl -d '{"values": [0.3, -1.2]}' localhost:8000/sessions/ann/steps
    {"outputs": [0.0713]}

`POST /sessions/{id}/steps` takes one step `[features]` or several `[steps, features]`, and opens
the session if it does not exist. `GET /sessions/{id}/state` shows its states, `DELETE
/sessions/{id}` forgets it, `GET /health` reports on the service. Errors are JSON as well:
`{"error": "..."}`.

Waiting requests are gathered and take their steps in one call of the engine, in a thread of its
own; those that arrive meanwhile make the next batch. The requests of one session are answered in
the order in which they came. Where too many wait, or too many sessions are open, the answer is 503
with `Retry-After`. A step that was accepted is taken, even if the client has gone.

The states of all sessions are written to the file `--state`, whole or not at all, every
`--save-every` seconds and at SIGTERM, when the service accepts no more connections and has answered
the waiting requests. It reads them when it starts again: `GET /sessions/{id}/state` says how many
`steps` a session has taken, so that after a crash a client knows where to continue.

Needs `pip install ferrnn[serve]`. It has neither passwords nor TLS: put a proxy in front of it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from session_service import Array, Busy, Limits, Service, UnknownError, service_of

import ferrnn as keras

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
except ImportError as error:
    raise SystemExit(f"{error}: install it with `pip install ferrnn[serve]`") from None

NAME = re.compile(r"[A-Za-z0-9._~-]{1,128}")


def failed(status: int, sentence: str, **headers: str) -> JSONResponse:
    """An error, as a sentence."""
    return JSONResponse({"error": sentence}, status, headers)


def parsed(body: bytes, features: int, dtype: Any) -> tuple[Array, bool]:
    """The rows `[steps, features]` of a request, and whether it had one step without an axis.

    Raises:
        ValueError: The body is not what a client should send; says what it should be.
    """
    wanted = (
        f'the body must be {{"values": [...]}} with [{features}] or [steps, {features}] numbers'
    )
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{wanted}; it is no JSON: {error}") from None
    if not isinstance(given, dict) or set(given) != {"values"}:
        raise ValueError(f"{wanted}, and nothing else")
    try:
        values = np.asarray(given["values"])
    except ValueError:
        raise ValueError(f"{wanted}; the rows differ in length") from None
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{wanted}; there are other things than numbers")
    single = values.ndim == 1
    if values.ndim not in (1, 2) or values.shape[-1] != features or not len(values):
        raise ValueError(f"{wanted}; received the shape {list(values.shape)}")
    with np.errstate(over="ignore"):
        rows = values.reshape(-1, features).astype(dtype)
    if not np.isfinite(rows).all():
        raise ValueError(f"{wanted}; each must be finite in {rows.dtype}")
    return rows, single


def plain(array: Array) -> Any:
    """Numbers for JSON; null where there is none, as before the first window of a convolution."""
    if np.isfinite(array).all():
        return array.tolist()
    return np.where(np.isfinite(array), array.astype(object), None).tolist()


async def body_of(request: Request, limit: int) -> bytes:
    """The body, if it is not above the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise HTTPException(413, f"the body is above the limit of {limit} bytes")
    return bytes(body)


def named(request: Request) -> str:
    """The session of a request."""
    session = request.path_params["session"]
    if not NAME.fullmatch(session):
        raise HTTPException(
            400, "a session's name must be 1 to 128 letters, digits, or one of . _ ~ -"
        )
    return str(session)


def application(service: Service, path: Path | None = None, every: float = 30.0) -> Starlette:
    """The service as an ASGI application, which keeps its states in the file `path`.

    It writes them at the end, and before every so many seconds; 0 means at the end only.
    """

    async def steps(request: Request) -> Response:
        session = named(request)
        body = await body_of(request, service.limits.body)
        try:
            rows, single = parsed(body, service.features, service.dtype)
        except ValueError as error:
            return failed(400, str(error))
        outputs = await service.step(session, rows)
        return JSONResponse({"outputs": plain(outputs[0] if single else outputs)})

    async def state(request: Request) -> Response:
        found, taken = await service.state(named(request))
        shown = {name: plain(array) for name, array in found.items()}
        return JSONResponse({"steps": taken, "state": shown})

    async def close(request: Request) -> Response:
        await service.close(named(request))
        return Response(status_code=204)

    async def health(request: Request) -> Response:
        facts = {"sessions": len(service), "waiting": service.count}
        done = {"batches": service.batches, "steps": service.steps}
        if path is not None:
            done["saved"] = round(time.monotonic() - service.saved)  # seconds ago
        return JSONResponse({"status": "ok", **facts, **done})

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        work = [service.run()]
        if path is not None and every:
            work.append(service.save_at_times(path, every))
        working = asyncio.gather(*work)
        yield
        service.finish()
        await working
        if path is not None:
            service.save(path)

    return Starlette(
        routes=[
            Route("/sessions/{session}/steps", steps, methods=["POST"]),
            Route("/sessions/{session}/state", state, methods=["GET"]),
            Route("/sessions/{session}", close, methods=["DELETE"]),
            Route("/health", health, methods=["GET"]),
        ],
        exception_handlers={
            Busy: lambda _, error: failed(503, str(error), **{"Retry-After": "1"}),
            UnknownError: lambda _, error: failed(404, "there is no session of that name"),
            HTTPException: lambda _, error: failed(
                error.status_code, str(error.detail), **(error.headers or {})
            ),
            ClientDisconnect: lambda _, error: failed(400, "the body is not complete"),
            Exception: lambda _, error: failed(500, "the service could not take this step"),
        },
        lifespan=lifespan,
    )


def serve(
    service: Service, host: str, port: int, path: Path | None, every: float = 30.0, grace: int = 30
) -> None:
    """Serves until SIGTERM or Ctrl+C; requests then have `grace` seconds to end."""
    uvicorn.run(
        application(service, path, every),
        host=host,
        port=port,
        access_log=False,
        timeout_graceful_shutdown=grace,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line, the model and the states, and serves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a file that `ferrnn.load_model` reads")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 chooses a free one")
    parser.add_argument("--state", type=Path, help="the file that keeps the states of sessions")
    parser.add_argument(
        "--save-every", type=float, default=30.0, help="seconds between two saves; 0: at the end"
    )
    for name, default in vars(Limits()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    given = parser.parse_args(arguments)
    try:
        limits = Limits(given.sessions, given.waiting, given.body, given.idle)
        service = service_of(
            keras.models.load_model(given.model, compile=False), limits, given.state
        )
    except (OSError, TypeError, ValueError) as error:
        raise SystemExit(str(error)) from None
    if not given.save_every >= 0:
        raise SystemExit(f"`--save-every` must be at least 0, received {given.save_every}")
    serve(service, given.host, given.port, given.state, given.save_every)


if __name__ == "__main__":
    main()
