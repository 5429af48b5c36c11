"""``POST /webhooks/plans``: a payment system gives readers their plans. Signed as Standard Webhooks has it.

The signature is checked over the raw bytes before anything of them is read. Without a secret in the settings there is
no such address. Answers name subscriptions by number: no address stands in an answer or a log line.
"""

from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.concurrency import run_in_threadpool

from newsletter.composition import Service
from newsletter.errors import Refused
from newsletter.plan_calls import PlanOrder, take
from newsletter.web.pages import service_of
from subscribers.errors import InvalidAddress, RefusedPlan, UnknownPlan, UnknownSubscriber


log = structlog.get_logger(__name__)
router = APIRouter()

BODY_LIMIT = 10_000
MAX_ID = 200
#: Of what the databases number rows with.
LARGEST_NUMBER = 2**31 - 1


class Body(BaseModel):
    """What a call says; what it says beside is left aside, so that a sender may say more."""

    model_config = ConfigDict(strict=True, extra="ignore")

    plan: Annotated[str, Field(min_length=1, max_length=100)]
    email: Annotated[str, Field(max_length=320)] | None = None
    subscription: Annotated[int, Field(ge=1, le=LARGEST_NUMBER)] | None = None
    until: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    publication: str | None = None
    reference: str = ""

    @property
    def order(self) -> PlanOrder:
        """What is asked for.

        Raises:
            Refused: It names no reader, or two.
        """
        if (reader := self.email if self.subscription is None else self.subscription) is None or (
            self.email is not None and self.subscription is not None
        ):
            raise Refused("name the reader by either email or subscription")
        return PlanOrder(reader, self.plan, self.until, self.publication, self.reference)


@router.post("/webhooks/plans")
async def take_call(request: Request) -> JSONResponse:
    """Carry out a call once, however often it comes."""
    service = service_of(request)
    secrets = service.settings.plan_hook_secrets
    if not secrets:
        return _answer(404, "not_configured", "set NEWSLETTER_PLAN_HOOK_SECRET to take calls of a payment system")
    if (raw := await _bounded(request)) is None:
        return _answer(413, "too_large", f"a call has {BODY_LIMIT:,} bytes at most")
    if not any(_is_signed(secret, raw, request) for secret in secrets):
        log.warning("a call of the plan hook was not signed with a secret of ours")
        return _answer(401, "not_signed", "the signature, its time (5 minutes) or the headers webhook-… are not right")
    return await run_in_threadpool(_carry_out, service, request.headers["webhook-id"], raw)


async def _bounded(request: Request) -> bytes | None:
    raw = b""
    async for part in request.stream():
        raw += part
        if len(raw) > BODY_LIMIT:
            return None
    return raw


def _is_signed(secret: str, raw: bytes, request: Request) -> bool:
    try:
        Webhook(secret).verify(raw, dict(request.headers), json_parse=False)
    except (WebhookVerificationError, ValueError):
        # Besides its own error the library raises whatever a malformed header or body makes it stumble over.
        return False
    return len(request.headers["webhook-id"]) <= MAX_ID


def _carry_out(service: Service, call_id: str, raw: bytes) -> JSONResponse:
    try:
        order = Body.model_validate_json(raw).order
        with service.database.writing() as session:
            return JSONResponse(take(session, call_id, order, now=service.clock()))
    except ValidationError as error:
        return _answer(422, "bad_body", "; ".join(map(_complaint, error.errors(include_input=False))))
    except UnknownSubscriber:
        return _answer(404, "unknown_reader", "nobody of this address or number is in the publication")
    except InvalidAddress:
        return _answer(422, "bad_body", "email: this is no address")
    except (Refused, RefusedPlan, UnknownPlan) as refusal:
        return _answer(422, "refused", str(refusal))


def _complaint(error: Any) -> str:
    return f"{'.'.join(map(str, error['loc'])) or 'body'}: {error['msg']}"


def _answer(status: int, error: str, message: str) -> JSONResponse:
    return JSONResponse({"error": error, "message": message}, status)
