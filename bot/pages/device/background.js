/** What lives on while no page is open: the service worker, and what it must know to send what still waits. */

import { workers } from "/device/allowed.js";

const WORKER = "/sw-reminders.js";
const DATABASE = "janji";
/** Read by the worker, which has no other way to what a page keeps; it names the same. */
const STORES = { outbox: "client_id", bearers: "audience" };
const SYNC = "janji.outbox";

/** @typedef {"guest"|"therapist"} Audience */
/** @typedef {{audience: Audience, owner: string, client_id: string, written_at: number, payload: any}} Left */

/** @returns {Promise<ServiceWorkerRegistration|null>} null where this browser, or this frame, has none */
export async function registerWorker() {
  try {
    return (await workers()?.register(WORKER)) ?? null;
  } catch {
    return null;
  }
}

/**
 * Hears what the worker tells an open page: that a push has come, or that a notification was pressed.
 * @param {(message: {type: "push"|"open", url: string, data: any}) => void} callback
 */
export function onWorkerMessage(callback) {
  workers()?.addEventListener("message", ({ data }) => {
    if (data?.type === "push" || data?.type === "open") callback(data);
  });
}

/**
 * Who is asked to be believed when the worker sends: the newest token of this browser.
 * @param {Audience} audience
 * @param {string} owner
 * @param {string} token
 */
export function rememberBearer(audience, owner, token) {
  change("bearers", (store) => store.put({ audience, owner, token }));
}

/** @param {Audience} audience */
export function forgetBearer(audience) {
  change("bearers", (store) => store.delete(audience));
}

/** Leaves a message with the worker, in case this page is closed before it has been sent. @param {Left} left */
export function leaveWithWorker(left) {
  change("outbox", (store) => store.put(left));
}

/** Has the browser wake the worker as soon as there is a connection, whether or not a page is open then. */
export async function askWorkerToSend() {
  try {
    // A worker that is still being installed takes no sync.
    const registration = /** @type {any} */ (await workers()?.ready);
    await registration?.sync?.register(SYNC);
  } catch {
    // The browser sends nothing in the background: the next page that is opened does.
  }
}

/** @param {string} client_id */
export function takeFromWorker(client_id) {
  change("outbox", (store) => store.delete(client_id));
}

/** @type {Promise<IDBDatabase>|null} */
let opening = null;

function database() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      for (const [name, keyPath] of Object.entries(STORES)) request.result.createObjectStore(name, { keyPath });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

/**
 * Without a database of its own (a private window, a frame) a page does as before: it sends what waits itself.
 * @param {keyof typeof STORES} name
 * @param {(store: IDBObjectStore) => void} write
 */
async function change(name, write) {
  try {
    const transaction = (await database()).transaction(name, "readwrite");
    write(transaction.objectStore(name));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = reject;
    });
  } catch {
    // Nothing is lost: what waits stands in the storage of the page.
  }
}
