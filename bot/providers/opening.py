"""The channels that are configured, opened and closed together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bot.clock import Now, machine_now
from bot.providers.email import EmailChannel
from bot.providers.fcm import FcmChannel
from bot.providers.sms import SmsChannel
from bot.providers.web_push import WebPushChannel
from bot.settings.channels import ChannelSettings


class Closable(Protocol):
    async def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


@dataclass(frozen=True, slots=True)
class Channels:
    """None stands for a channel that is not configured."""

    email: EmailChannel | None = None
    sms: SmsChannel | None = None
    fcm: FcmChannel | None = None
    web_push: WebPushChannel | None = None


@asynccontextmanager
async def open_channels(settings: ChannelSettings, now: Now = machine_now) -> AsyncIterator[Channels]:
    """They belong to the running loop, and must not be opened before a fork. Nothing is connected to yet."""
    async with AsyncExitStack() as stack:

        def kept(channel: C | None) -> C | None:
            if channel is not None:
                stack.push_async_callback(channel.close)
            return channel

        yield Channels(
            kept(_email(settings, now)),
            kept(_sms(settings, now)),
            kept(_fcm(settings, now)),
            kept(_web_push(settings, now)),
        )


def _email(settings: ChannelSettings, now: Now) -> EmailChannel | None:
    if settings.smtp_url is None or settings.mail_from is None:
        return None
    return EmailChannel(
        settings.smtp_url,
        settings.mail_from,
        now=now,
        timeout_s=settings.provider_timeout_s,
        ca_file=settings.smtp_ca_file,
    )


def _sms(settings: ChannelSettings, now: Now) -> SmsChannel | None:
    account, token, sender = settings.twilio_account_sid, settings.twilio_auth_token, settings.twilio_from
    if account is None or token is None or sender is None:
        return None
    return SmsChannel(
        account, token, sender, api_url=settings.twilio_api_url, now=now, timeout_s=settings.provider_timeout_s
    )


def _fcm(settings: ChannelSettings, now: Now) -> FcmChannel | None:
    if settings.fcm_service_account is None:
        return None
    return FcmChannel(
        settings.fcm_service_account, url=settings.fcm_url, now=now, timeout_s=settings.provider_timeout_s
    )


def _web_push(settings: ChannelSettings, now: Now) -> WebPushChannel | None:
    if settings.vapid_private_key is None or settings.vapid_subject is None:
        return None
    return WebPushChannel(
        settings.vapid_private_key,
        settings.vapid_subject,
        settings.push_services,
        now=now,
        timeout_s=settings.provider_timeout_s,
    )
