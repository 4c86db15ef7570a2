/** Keeps one conversation with the server alive: reconnects, resumes where it was, and asks until it is answered. */

import { Feeds } from "/feeds.js";
import { Refusal } from "/http.js";
import { Clock } from "/time.js";
import { t } from "/words.js";

const ANSWER_TIMEOUT_MS = 10000;
const SESSION_TIMEOUT_MS = 12000;
const FIRST_RETRY_MS = 400;
const LONGEST_RETRY_MS = 5000;
const OFFLINE_AFTER_MS = 15000;
const TRIES_WITHOUT_ANSWER = 3;

/** @typedef {"connected"|"reconnecting"|"offline"} Status */

/**
 * @typedef {object} ConnectionOptions
 * @property {import("/socket-transport.js").Transport} transport
 * @property {(feeds: Feeds) => any} auth what to connect with, asked at each attempt
 * @property {(session: any) => Record<string, number>} headsOf the last entry of each feed in a snapshot
 * @property {(session: any, news: {entries: any[], fresh: boolean}) => void} onSession fresh: forget what was shown before
 * @property {(entry: import("/feeds.js").Entry) => void} onEntry each entry once, in its feed's order
 * @property {(status: Status) => void} onStatus
 * @property {(name: string, data: any) => void} [onSignal] what is not kept: typing, presence
 * @property {(refusal: Refusal) => boolean} [onRefused] the server does not let us in; true to stop trying
 */

/** A name for a command that stays the same however often it is sent. */
export function newClientId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Connection {
  clock = new Clock();
  #feeds = new Feeds();
  #options;
  /** @type {import("/socket-transport.js").Link|null} */
  #link = null;
  #attempt = 0;
  #failures = 0;
  #ready = false;
  #fresh = true;
  #stopped = true;
  #retryTimer = 0;
  #sessionTimer = 0;
  #offlineTimer = 0;
  /** @type {Array<() => void>} */
  #waiting = [];
  /** @type {Status|null} */
  #status = null;

  /** @param {ConnectionOptions} options */
  constructor(options) {
    this.#options = options;
    window.addEventListener("offline", () => this.#reopen());
    window.addEventListener("online", () => this.#reopen());
    window.addEventListener("pageshow", (event) => event.persisted && this.#reopen());
    document.addEventListener("visibilitychange", () => !document.hidden && !this.#ready && this.#reopen());
  }

  get isReady() {
    return this.#ready;
  }

  start() {
    this.#stopped = false;
    this.#open();
  }

  stop() {
    this.#stopped = true;
    this.#drop();
    clearTimeout(this.#offlineTimer);
  }

  /** Connects again; `fresh` asks for everything from the beginning, as after a change of language or of person. */
  restart({ fresh = false } = {}) {
    if (fresh) {
      this.#feeds.clear();
      this.#fresh = true;
    }
    this.#reopen();
  }

  /**
   * Sends a command until it is answered: after a broken connection again, under the same `client_id`.
   * @param {string} command
   * @param {Record<string, any>} payload
   * @param {{named?: boolean}} [options] named: false for the few commands that carry no `client_id`
   * @returns {Promise<any>} the ack
   * @throws {Refusal} the server's, or our own when a live connection stays silent
   */
  async send(command, payload, { named = true } = {}) {
    const body = named ? { client_id: newClientId(), ...payload } : payload;
    for (let silences = 0; silences < TRIES_WITHOUT_ANSWER;) {
      const link = await this.#whenReady();
      const ack = await link.request(command, body, ANSWER_TIMEOUT_MS).catch(() => null);
      if (ack?.ok) return ack;
      if (ack) throw new Refusal(ack.error);
      if (this.#link === link) {
        silences += 1;
        this.#reopen();
      }
    }
    throw new Refusal({ message: t("The server did not answer. Please try again.") });
  }

  #whenReady() {
    if (this.#ready && this.#link) return Promise.resolve(this.#link);
    return new Promise((resolve) => {
      this.#waiting.push(() => resolve(this.#link));
    });
  }

  #reopen() {
    if (this.#stopped) return;
    this.#failures = 0;
    this.#drop();
    this.#open();
  }

  #drop() {
    this.#attempt += 1;
    this.#ready = false;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#sessionTimer);
    this.#link?.close();
    this.#link = null;
  }

  async #open() {
    const attempt = this.#attempt;
    const isCurrent = () => attempt === this.#attempt && !this.#stopped;
    this.#showWaiting();
    this.#sessionTimer = window.setTimeout(() => isCurrent() && this.#lost(null), SESSION_TIMEOUT_MS);
    const listener = {
      event: (name, data) => isCurrent() && this.#heard(name, data),
      closed: (refusal) => isCurrent() && this.#lost(refusal),
    };
    try {
      const link = await this.#options.transport.open(this.#options.auth(this.#feeds), listener);
      if (isCurrent()) this.#link = link;
      else link.close();
    } catch {
      if (isCurrent()) this.#lost(null);
    }
  }

  #lost(refusal) {
    this.#drop();
    if (refusal && this.#options.onRefused?.(refusal)) {
      this.stop();
      return;
    }
    this.#showWaiting();
    const backoff_ms = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures);
    const asked_ms = (refusal?.retry_after_s ?? 0) * 1000;
    this.#failures += 1;
    this.#retryTimer = window.setTimeout(() => this.#open(), Math.max(asked_ms, backoff_ms * (0.5 + Math.random())));
  }

  #heard(name, data) {
    if (name === "session") this.#resume(data);
    else if (name !== "entry") this.#options.onSignal?.(name, data);
    else if (this.#ready) this.#read(data);
  }

  #resume(session) {
    clearTimeout(this.#sessionTimer);
    clearTimeout(this.#offlineTimer);
    this.#offlineTimer = 0;
    if (session.server_time) this.clock.set(session.server_time);
    if (!this.#fresh && (session.resync || this.#feeds.isNewEpoch(session))) {
      this.restart({ fresh: true });
      return;
    }
    const fresh = this.#fresh;
    this.#fresh = false;
    const { entries, complete } = this.#feeds.adopt(session, this.#options.headsOf(session));
    this.#failures = 0;
    this.#ready = true;
    this.#tell("connected");
    this.#options.onSession(session, { entries, fresh });
    if (!complete) this.#reopen();
    else for (const wake of this.#waiting.splice(0)) wake();
  }

  #read(entry) {
    const verdict = this.#feeds.take(entry);
    if (verdict === "gap") this.#reopen();
    else if (verdict === "new") this.#options.onEntry(entry);
  }

  #showWaiting() {
    if (!navigator.onLine) this.#tell("offline");
    else if (this.#status !== "offline") this.#tell("reconnecting");
    this.#offlineTimer ||= window.setTimeout(() => this.#tell("offline"), OFFLINE_AFTER_MS);
  }

  #tell(status) {
    if (status === this.#status) return;
    this.#status = status;
    this.#options.onStatus(status);
  }
}
