/** How this device can have Janji as an app: from a store, by the browser's own installation, or not at all. */

import { read, write } from "/device/storage.js";

const DISMISSED_FOR_MS = 24 * 3600 * 1000;
const DISMISSED_KEY = "janji.app.dismissed";

/**
 * `store` leads to `url`; `install` asks the browser, which asks the person; `by_hand` is what an iPhone wants, where
 * only the person can add a page to the home screen.
 * @typedef {{kind: "store", store: "app_store"|"play_store", url: string} | {kind: "install"} | {kind: "by_hand"}} Way
 */

/** The browser's own question, kept until the person wants it. @type {any} */
let question = null;
/** @type {Set<() => void>} */
const listeners = new Set();

/** To be called when a page is opened: a browser offers its installation once, early. */
export function keepInstallation() {
  window.addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    question = event;
    for (const listener of listeners) listener();
  });
  window.addEventListener("appinstalled", () => {
    question = null;
  });
}

/**
 * Calls back when the browser has come to offer its installation.
 * @param {() => void} callback
 */
export function onInstallable(callback) {
  listeners.add(callback);
}

/**
 * @param {{app_store_url?: string|null, play_store_url?: string|null}} settings
 * @returns {Way|null} null where there is none, or Janji is installed already
 */
export function wayToInstall({ app_store_url, play_store_url }) {
  if (isInstalled()) return null;
  const system = operatingSystem();
  if (system === "ios" && app_store_url) return { kind: "store", store: "app_store", url: app_store_url };
  if (system === "android" && play_store_url) return { kind: "store", store: "play_store", url: play_store_url };
  if (question) return { kind: "install" };
  return system === "ios" && window.parent === window ? { kind: "by_hand" } : null;
}

/** @returns {Promise<boolean>} whether the person said yes */
export async function install() {
  const asked = question;
  question = null;
  if (!asked) return false;
  asked.prompt();
  const { outcome } = await asked.userChoice;
  return outcome === "accepted";
}

export function isDismissed() {
  return Date.now() - (read(DISMISSED_KEY) ?? -Infinity) < DISMISSED_FOR_MS;
}

export function dismiss() {
  write(DISMISSED_KEY, Date.now());
}

function isInstalled() {
  return window.matchMedia("(display-mode: standalone)").matches || /** @type {any} */ (navigator).standalone === true;
}

/** An iPad says that it is a Mac, and is one that can be touched. */
function operatingSystem() {
  const { userAgent, maxTouchPoints } = navigator;
  if (/iPhone|iPad|iPod/.test(userAgent) || (userAgent.includes("Macintosh") && maxTouchPoints > 1)) return "ios";
  return userAgent.includes("Android") ? "android" : "other";
}
