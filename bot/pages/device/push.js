/** Web Push in this browser: whether it is on, turned on after a press, and off for who signs out. */

import { notificationPermission, workers } from "/device/allowed.js";
import { registerWorker } from "/device/background.js";
import { getJson, sendJson } from "/connection/http.js";

/** @typedef {"unsupported"|"refused"|"off"|"on"} PushState */

const SUBSCRIPTIONS = "/api/users/webpush-subscription";
const READY_WITHIN_MS = 5000;

/** @returns {Promise<PushState>} `refused` by the person, for this whole website */
export async function pushState() {
  const permission = notificationPermission();
  if (permission === null) return "unsupported";
  if (permission === "denied") return "refused";
  const registration = await registered();
  if (!registration) return "unsupported";
  const isOn = permission === "granted" && (await registration.pushManager.getSubscription());
  return isOn ? "on" : "off";
}

/**
 * Asks the person, then the browser, then the server. To be called by a press: browsers want one.
 * @param {() => string|undefined} token the newest
 * @returns {Promise<PushState>}
 * @throws the server's refusal, or the browser's error where its push service cannot be reached
 */
export async function turnPushOn(token) {
  const [permission, { key }] = await Promise.all([Notification.requestPermission(), applicationKey()]);
  if (permission !== "granted") return permission === "denied" ? "refused" : "off";
  const registration = await registered();
  if (!registration) return "unsupported";
  const subscription = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  await sendJson("POST", SUBSCRIPTIONS, subscription, token());
  return "on";
}

/** Tells the server who has this browser now, as whenever a page is opened. @param {string} [token] */
export async function renewPush(token) {
  if ((await pushState()) !== "on") return;
  const subscription = await (await registered())?.pushManager.getSubscription();
  if (subscription) await sendJson("POST", SUBSCRIPTIONS, subscription, token).catch(() => {});
}

/** Nobody who signs out is told anything here any more. @param {string} token */
export async function turnPushOff(token) {
  if ((await pushState()) !== "on") return;
  const subscription = await (await registered())?.pushManager.getSubscription();
  if (!subscription) return;
  await sendJson("DELETE", SUBSCRIPTIONS, { endpoint: subscription.endpoint }, token).catch(() => {});
  await subscription.unsubscribe();
}

/** Whether this place sends Web Push at all. @returns {Promise<boolean>} */
export async function isPushOffered() {
  return applicationKey().then(
    () => true,
    () => false,
  );
}

/** @type {Promise<{key: string}>|null} */
let asked = null;

function applicationKey() {
  asked ??= getJson("/api/users/webpush-key").catch((error) => {
    asked = null;
    throw error;
  });
  return asked;
}

/** @returns {Promise<ServiceWorkerRegistration|null>} with a worker that is active */
async function registered() {
  const all = workers();
  if (!all || !(await registerWorker())) return null;
  const late = new Promise((resolve) => {
    setTimeout(resolve, READY_WITHIN_MS, null);
  });
  return Promise.race([all.ready, late]);
}
