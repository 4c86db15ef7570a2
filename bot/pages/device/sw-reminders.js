/**
 * The service worker: shows what is pushed while nobody looks at us, opens the right page on a press, and sends what
 * was written where there was no connection and the page has been closed since. It keeps no pages and answers no fetch.
 */
"use strict";

const DATABASE = "janji";
const STORES = { outbox: "client_id", bearers: "audience" };
const SYNC = "janji.outbox";
const ANSWER_TIMEOUT_MS = 10000;
const WORTH_ANOTHER_TRY = new Set(["unavailable", "too_many_requests"]);
const PATTERN_OF_URGENT = [300, 150, 300, 150, 600];
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

worker.addEventListener("install", () => worker.skipWaiting());
worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));

/** @typedef {{booking_id?: string}} More what a page is told beside the words */
/**
 * @typedef {{title: string, body: string, url: string, collapse_key?: string, urgency?: string, more?: More}} Push
 * @typedef {{audience: string, owner: string, client_id: string, written_at: number, payload: object}} Left
 * @typedef {{audience: string, owner: string, token: string}} Bearer
 * @typedef {{outbox: Left, bearers: Bearer}} Kept
 */

// What is pushed

worker.addEventListener("push", (event) => event.waitUntil(tell(pushed(event.data))));

/**
 * What comes is ours and encrypted for us; a browser still wants something shown where it cannot be read.
 * @param {PushMessageData|null} data
 * @returns {Push}
 */
function pushed(data) {
  try {
    const { title, body, url, collapse_key, urgency, data: more } = /** @type {PushMessageData} */ (data).json();
    const words = { title: String(title || "Janji"), body: String(body ?? "") };
    return { ...words, url: ourAddress(url), collapse_key, urgency, more };
  } catch {
    return { title: "Janji", body: "", url: ourAddress("/chat") };
  }
}

/**
 * A page of ours that somebody looks at tells it itself, by its feed: nobody is told twice.
 * @param {Push} push
 */
async function tell(push) {
  const page = (await pagesAt(push.url)).find((client) => client.visibilityState === "visible");
  if (page) {
    page.postMessage({ type: "push", url: push.url, data: push.more ?? {} });
    return;
  }
  // Browsers know more of a notification than the type checker does.
  /** @type {NotificationOptions & {renotify: boolean, vibrate?: number[]}} */
  const options = {
    body: push.body,
    tag: push.collapse_key,
    renotify: Boolean(push.collapse_key),
    requireInteraction: push.urgency === "urgent",
    silent: push.urgency === "low",
    ...(push.urgency === "urgent" ? { vibrate: PATTERN_OF_URGENT } : {}),
    icon: "/icon-192.png",
    badge: "/icon-badge.png",
    data: { url: push.url, more: push.more ?? {} },
  };
  await worker.registration.showNotification(push.title, options);
}

worker.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data ?? {}));
});

/** @param {Partial<Push>} push */
async function open({ url = ourAddress("/chat"), more = {} }) {
  const [page] = await pagesAt(url);
  if (!page) {
    await worker.clients.openWindow(addressOf(url, more));
    return;
  }
  page.postMessage({ type: "open", url, data: more });
  await page.focus();
}

/** The console shows the booking that its address names. @param {string} url @param {More} more */
function addressOf(url, { booking_id }) {
  const address = new URL(url);
  if (booking_id && address.pathname === "/therapist") address.searchParams.set("booking", booking_id);
  return address.href;
}

/**
 * The open pages of the same kind, the ones that are looked at first.
 * @param {string} url
 */
async function pagesAt(url) {
  const { pathname } = new URL(url);
  const all = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  const same = all.filter((client) => new URL(client.url).pathname === pathname);
  return same.sort((one, other) => Number(isVisible(other)) - Number(isVisible(one)));
}

/** @param {WindowClient} page */
function isVisible({ visibilityState }) {
  return visibilityState === "visible";
}

/**
 * Nothing that is pushed leads anywhere but to us, under whichever of our names this browser knows us.
 * @param {string} [url]
 */
function ourAddress(url) {
  const { pathname, search } = new URL(String(url || "/chat"), worker.location.origin);
  return new URL(pathname + search, worker.location.origin).href;
}

// A subscription that the browser has replaced

worker.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(subscribeAgain(event)));

/** @param {PushSubscriptionChangeEvent} event */
async function subscribeAgain({ oldSubscription, newSubscription }) {
  const subscription =
    newSubscription ?? (oldSubscription && (await worker.registration.pushManager.subscribe(oldSubscription.options)));
  if (!subscription) return;
  for (const { token } of await all("bearers")) await post("/api/users/webpush-subscription", subscription, token);
}

// What still waits to be sent

worker.addEventListener("sync", (event) => {
  const { tag } = /** @type {Event & {tag: string}} */ (event);
  if (tag === SYNC) /** @type {ExtendableEvent} */ (event).waitUntil(sendWhatWaits());
});

/**
 * In order, each under the `client_id` of its page: the server writes it once, whoever sends it and however often. What
 * was refused for good waits for its page, which says so to the person. A rejection has the browser try again later.
 */
async function sendWhatWaits() {
  const bearers = new Map((await all("bearers")).map((bearer) => [bearer.audience, bearer]));
  const waiting = (await all("outbox")).sort((one, other) => one.written_at - other.written_at);
  for (const { audience, owner, client_id, payload } of waiting) {
    const bearer = bearers.get(audience);
    if (bearer?.owner !== owner) continue;
    const answer = await post(`/api/${audience}/message`, payload, bearer.token);
    if (answer.error && WORTH_ANOTHER_TRY.has(answer.error.code)) throw new Error(answer.error.code);
    await remove(client_id);
  }
}

/**
 * @param {string} path
 * @param {object} body
 * @param {string} token
 * @returns {Promise<{error?: {code: string}}>} the server's answer, a refusing one too; anything else is the network's
 *   and rejects
 */
async function post(path, body, token) {
  const response = await fetch(path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  });
  const answer = await response.json();
  if (response.ok || answer.error?.code) return answer;
  throw new Error(`answered with ${response.status}`);
}

// What the pages keep for us

/** @template {keyof Kept} Store @param {Store} store @returns {Promise<Kept[Store][]>} */
async function all(store) {
  return done((await transaction(store, "readonly")).objectStore(store).getAll());
}

/** @param {string} client_id */
async function remove(client_id) {
  return done((await transaction("outbox", "readwrite")).objectStore("outbox").delete(client_id));
}

/** @param {keyof Kept} store @param {IDBTransactionMode} mode */
async function transaction(store, mode) {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => {
    for (const [name, keyPath] of Object.entries(STORES)) request.result.createObjectStore(name, { keyPath });
  };
  return (await done(request)).transaction(store, mode);
}

/** @template Result @param {IDBRequest<Result>} request @returns {Promise<Result>} */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
