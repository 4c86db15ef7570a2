"""What goes on while a page is closed: pushes are shown and lead back to it, and messages that waited are sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, Worker, expect

from bot.contract.story import SUBSCRIPTION
from bot.settings.vapid import public_key_of
from tests.browser.conftest import Chromium, Screenshot
from tests.browser.people import carried_by, guest_page, lose_network, messages, say, therapist_page, visit
from tests.clients import PATIENCE_S
from tests.house import VAPID_PRIVATE_KEY, House

pytestmark = pytest.mark.slow

# No press of a test reaches the browser's own question, and no push service is there to subscribe to.
ASKED = """
window.asked = 0;
Notification.requestPermission = async () => {
  window.asked += 1;
  return "denied";
};
"""
SUBSCRIBES = """
PushManager.prototype.subscribe = async function (options) {
  window.subscribed = options;
  return $;
};
"""
SHOWN = """async () => (await registration.getNotifications()).map((one) => ({
  title: one.title, body: one.body, tag: one.tag, requireInteraction: one.requireInteraction, url: one.data.url,
}))"""


@pytest_asyncio.fixture(loop_scope="session")
async def browser(chromium: Chromium) -> AsyncIterator[Browser]:
    """One of the test's own: what service workers do, and when, is not a matter of their context alone."""
    async with await chromium.another() as browser:
        yield browser


class PushService:
    """Stands for the browser's own: what it delivers reaches the service worker as if it had been sent to us."""

    def __init__(self, session: CDPSession, origin: str, registration_id: str) -> None:
        self._session = session
        self._whose = {"origin": origin, "registrationId": registration_id}

    async def deliver(self, **push: Any) -> None:
        await self._session.send("ServiceWorker.deliverPushMessage", {**self._whose, "data": json.dumps(push)})


async def watched(context: BrowserContext) -> Worker:
    """The service worker; `until_shown` will know when it has shown something."""
    worker = await worker_of(context)
    await worker.evaluate(WATCH)
    return worker


async def until_shown(worker: Worker) -> None:
    await asyncio.wait_for(worker.evaluate("() => self.isShown"), PATIENCE_S)


# Whether the worker has so many messages, and the browser will wake it: a page that is closed before keeps them itself.
LEFT_WITH_THE_WORKER = """async (count) => {
  const registration = await navigator.serviceWorker.ready;
  const tags = await registration.sync.getTags();
  const kept = await new Promise((resolve, reject) => {
    const opening = indexedDB.open("janji", 1);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const counting = opening.result.transaction("outbox").objectStore("outbox").count();
      counting.onsuccess = () => {
        opening.result.close();
        resolve(counting.result);
      };
    };
  });
  return tags.includes("janji.outbox") && kept === count;
}"""


async def worker_of(context: BrowserContext) -> Worker:
    return context.service_workers[0] if context.service_workers else await context.wait_for_event("serviceworker")


async def push_service(page: Page, origin: str) -> PushService:
    """For the service worker of this page; reached by a page of nobody, so that ours can be closed."""
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    session = await page.context.new_cdp_session(await page.context.new_page())
    known: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def learn(event: dict[str, Any]) -> None:
        for each in event["registrations"]:
            if not known.done():
                known.set_result(each["registrationId"])

    session.on("ServiceWorker.workerRegistrationUpdated", learn)
    await session.send("ServiceWorker.enable")
    return PushService(session, origin, await asyncio.wait_for(known, PATIENCE_S))


# A browser lets a worker open and focus windows only after a press of its own, which no test can make.
PRESS = """async () => {
  self.clients.openWindow = async (url) => { self.led = ["opened", url]; };
  WindowClient.prototype.focus = async function () { self.led = ["focused", this.url]; };
  let work;
  ExtendableEvent.prototype.waitUntil = (promise) => { work = promise; };
  const [notification] = await registration.getNotifications();
  self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
  await work;
  return [self.led, (await registration.getNotifications()).length];
}"""
# What a browser does that has replaced a subscription by itself, with the new one or without.
REPLACED = """async ([before, after]) => {
  let work;
  ExtendableEvent.prototype.waitUntil = (promise) => { work = promise; };
  PushManager.prototype.subscribe = async (options) => ({ ...after, endpoint: `${after.endpoint}${options.made}` });
  const event = new ExtendableEvent("pushsubscriptionchange");
  self.dispatchEvent(Object.assign(event, before));
  await work;
}"""
# Who asks for notifications while one is about to be shown makes Chromium 156 forget it: it is not on the screen yet.
WATCH = """() => {
  const show = registration.showNotification.bind(registration);
  self.isShown = new Promise((resolve) => {
    registration.showNotification = (...notification) => show(...notification).then(resolve);
  });
}"""
# A worker knows a page for a moment longer than the browser shows it.
UNTIL_NOBODY_IS_THERE = """async () => {
  const pages = () => clients.matchAll({ type: "window", includeUncontrolled: true });
  while ((await pages()).length) await new Promise((resolve) => setTimeout(resolve, 20));
}"""
REMINDER: dict[str, Any] = {
    "title": "Your visit begins soon",
    "body": "In one hour",
    "collapse_key": "reminders",
    "urgency": "urgent",
    "sound": "reminder-1h",
}


async def test_a_push_is_shown_while_no_page_is_open_and_a_press_opens_it(house: House, browser: Browser) -> None:
    sari = await house.add_therapist()
    console = await therapist_page(browser, house.url, house.token_of(sari), permissions=["notifications"])
    address = f"{house.url}/therapist"
    await carried_by(console, "socket")
    service, worker = await push_service(console, house.url), await watched(console.context)
    await console.close()
    await asyncio.wait_for(worker.evaluate(UNTIL_NOBODY_IS_THERE), PATIENCE_S)
    await service.deliver(**REMINDER, url=address, data={"booking_id": "b_1"})
    await until_shown(worker)
    assert await worker.evaluate(SHOWN) == [
        {
            "title": REMINDER["title"],
            "body": "In one hour",
            "tag": "reminders",
            "requireInteraction": True,
            "url": address,
        }
    ]
    assert await worker.evaluate(PRESS) == [["opened", f"{address}?booking=b_1"], 0]


async def test_a_push_that_an_open_page_tells_itself_is_not_told_twice(house: House, browser: Browser) -> None:
    async with visit(house) as both:
        chat = await guest_page(browser, house.url, both.budi, permissions=["notifications"])
        await carried_by(chat, "socket")
        service, worker = await push_service(chat, house.url), await watched(chat.context)
        await chat.evaluate(
            "navigator.serviceWorker.addEventListener('message', ({ data }) => { window.pushed = data; })"
        )
        await service.deliver(**REMINDER, url=f"{house.url}/chat")
        await service.deliver(title="For somebody else", url=f"{house.url}/therapist")
        await until_shown(worker)
        assert [each["title"] for each in await worker.evaluate(SHOWN)] == ["For somebody else"]
        assert (await chat.evaluate("window.pushed"))["type"] == "push"


async def test_a_press_on_a_push_shows_the_booking_on_the_page_that_is_open(house: House, browser: Browser) -> None:
    async with visit(house) as both:
        console = await therapist_page(
            browser, house.url, both.sari_token, permissions=["notifications"], viewport={"width": 390, "height": 844}
        )
        await carried_by(console, "socket")
        await expect(console.get_by_test_id("message-input")).to_have_count(0)
        service, worker = await push_service(console, house.url), await watched(console.context)
        await worker.evaluate(
            "self.clients.matchAll = ((all) => async () => (self.isBusy ? all() : []))"
            "(self.clients.matchAll.bind(self.clients))"
        )
        await service.deliver(**REMINDER, url=f"{house.url}/therapist", data={"booking_id": both.booking_id})
        await until_shown(worker)
        await worker.evaluate("self.isBusy = true")
        assert (await worker.evaluate(PRESS))[0] == ["focused", f"{house.url}/therapist"]
        await expect(console.get_by_test_id("message-input")).to_be_visible()


async def test_what_was_written_offline_is_sent_once_though_the_page_was_closed(house: House, browser: Browser) -> None:
    async with visit(house) as both:
        chat = await guest_page(browser, house.url, both.budi)
        context = chat.context
        await carried_by(chat, "socket")
        await worker_of(context)
        await lose_network(chat)
        for text in ("one", "two"):
            await say(chat, text)
        await expect(chat.get_by_test_id("message")).to_have_count(2)
        await chat.wait_for_function(LEFT_WITH_THE_WORKER, arg=2)
        await context.new_page()
        await chat.close()
        await context.set_offline(False)
        await both.sari.until(lambda: len(both.sari.of_type("message")) == 2, "what the worker sent")
        again = await context.new_page()
        await again.goto(f"{house.url}/chat")
        await carried_by(again, "socket")
        await say(again, "three")
        await both.sari.until(lambda: len(both.sari.of_type("message")) == 3, "what the page sent")
        assert [entry["text"] for entry in both.sari.of_type("message")] == ["one", "two", "three"]
        await expect(messages(again)).to_have_text(["one", "two", "three"])


async def test_notifications_are_asked_for_by_a_press_and_a_refusal_is_said_honestly(
    house: House, browser: Browser, screenshot: Screenshot
) -> None:
    async with visit(house) as both:
        chat = await guest_page(browser, house.url, both.budi, init_script=ASKED)
        offer = chat.get_by_test_id("push-offer")
        await expect(offer).to_be_visible()
        assert await chat.evaluate("window.asked") == 0
        await screenshot(chat, "offer")
        await offer.get_by_test_id("push-on").click()
        await expect(offer).to_contain_text("You can allow them in its settings")
        assert await chat.evaluate("window.asked") == 1
        await screenshot(chat, "refused")
        await offer.get_by_test_id("dismiss").click()
        await chat.reload()
        await carried_by(chat, "socket")
        await expect(offer).to_have_count(0)


async def test_a_browser_that_is_allowed_subscribes_and_gives_its_subscription_to_the_server(
    house: House, browser: Browser
) -> None:
    async with visit(house) as both:
        script = ASKED.replace('"denied"', '"granted"') + SUBSCRIBES.replace("$", json.dumps(SUBSCRIPTION))
        console = await therapist_page(browser, house.url, both.sari_token, init_script=script)
        await console.get_by_test_id("push-on").click()
        await expect(console.get_by_test_id("push-offer")).to_contain_text("Notifications are on")
        [device] = await house.services.devices.of(f"therapist:{both.sari.session['therapist']['id']}")
        assert device.subscription == {"endpoint": SUBSCRIPTION["endpoint"], "keys": SUBSCRIPTION["keys"]}
        wished = await console.evaluate("window.subscribed")
        assert wished == {"userVisibleOnly": True, "applicationServerKey": public_key_of(VAPID_PRIVATE_KEY)}


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_subscription_that_the_browser_replaces_is_given_to_the_server_while_no_page_is_open(
    house: House, browser: Browser, is_told: bool
) -> None:
    async with visit(house) as both:
        console = await therapist_page(browser, house.url, both.sari_token)
        await carried_by(console, "socket")
        context, worker = console.context, await worker_of(console.context)
        await console.evaluate("navigator.serviceWorker.ready.then(() => true)")
        await context.new_page()
        await console.close()
        endpoint = SUBSCRIPTION["endpoint"]
        before = {"oldSubscription": {"options": {"made": "-from-the-old"}}}
        if is_told:
            before["newSubscription"] = {**SUBSCRIPTION, "endpoint": f"{endpoint}-new"}
        await worker.evaluate(REPLACED, [before, SUBSCRIPTION])
        [device] = await house.services.devices.of(f"therapist:{both.sari.session['therapist']['id']}")
        assert device.subscription is not None
        assert device.subscription["endpoint"] == (f"{endpoint}-new" if is_told else f"{endpoint}-from-the-old")
