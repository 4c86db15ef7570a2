/** Keeps one conversation with the server alive: resumes where it was, and asks until it is answered. */

import { Feeds } from "/connection/feeds.js";
import { Refusal } from "/connection/http.js";
import { Ladder } from "/connection/ladder.js";
import { Clock } from "/parts/time.js";
import { t } from "/parts/words.js";

const TRIES_WITHOUT_ANSWER = 3;

/** @typedef {"connected"|"reconnecting"|"offline"} Status */
/** @typedef {{name: string, transport: import("/connection/socket-transport.js").Transport}} Rung */

/**
 * @typedef {object} ConnectionOptions
 * @property {Rung[]} rungs the transports, best first
 * @property {number} fallback_after_s how long the first may be missing before another one stands in
 * @property {Patience} patience
 * @property {(feeds: Feeds) => any} auth what to connect with, asked at each attempt
 * @property {(session: any) => Record<string, number>} headsOf the last entry of each feed in a snapshot
 * @property {(session: any, news: {entries: any[], fresh: boolean}) => void} onSession fresh: forget what was shown before
 * @property {(entry: import("/connection/feeds.js").Entry) => void} onEntry each entry once, in its feed's order
 * @property {(status: Status, rung: string|null) => void} onStatus the rung is the one that carries
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
  #ladder;
  #ready = false;
  #fresh = true;
  #offlineTimer = 0;
  /** @type {Array<() => void>} */
  #waiting = [];
  /** Signals that this server does not know. @type {Set<string>} */
  #unknown = new Set();
  #told = "";

  /** @param {ConnectionOptions} options */
  constructor(options) {
    this.#options = options;
    this.#ladder = new Ladder({
      rungs: options.rungs,
      patience_ms: options.fallback_after_s * 1000,
      patience: options.patience,
      auth: () => options.auth(this.#feeds),
      isBehind: (session) => this.#isBehind(session),
      onEvent: (name, data) => this.#heard(name, data),
      onLost: () => this.#lost(),
      onRefused: (refusal) => this.#refused(refusal),
    });
    window.addEventListener("offline", () => this.#reopen());
    window.addEventListener("online", () => this.#reopen());
    window.addEventListener("pageshow", (event) => event.persisted && this.#reopen());
    document.addEventListener("visibilitychange", () => !document.hidden && !this.#ready && this.#reopen());
  }

  get isReady() {
    return this.#ready;
  }

  start() {
    this.#ladder.start();
    this.#showWaiting();
  }

  stop() {
    this.#ready = false;
    this.#ladder.stop();
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
      const ack = await link.request(command, body, this.#options.patience.command_s * 1000).catch(() => null);
      if (ack?.ok) return ack;
      if (ack) throw new Refusal(ack.error);
      if (this.#ladder.link === link) {
        silences += 1;
        this.#reopen();
      }
    }
    throw new Refusal({ message: t("The server did not answer. Please try again.") });
  }

  /**
   * Tells what matters only now, and only if there is a connection. A server that does not know it is not told again.
   * @param {string} name
   * @param {any} data
   * @returns {Promise<boolean>} false when a live connection gave no answer
   */
  async signal(name, data) {
    const link = this.#ready && !this.#unknown.has(name) ? this.#ladder.link : null;
    if (!link) return true;
    const ack = await link.request(name, data, this.#options.patience.signal_s * 1000).catch(() => null);
    if (ack?.error?.code === "invalid") this.#unknown.add(name);
    return ack !== null || this.#ladder.link !== link;
  }

  #whenReady() {
    const link = this.#ready ? this.#ladder.link : null;
    if (link) return Promise.resolve(link);
    return new Promise((resolve) => {
      this.#waiting.push(() => resolve(this.#whenReady()));
    });
  }

  #reopen() {
    this.#ready = false;
    this.#ladder.again();
    this.#showWaiting();
  }

  #lost() {
    this.#ready = false;
    this.#showWaiting();
  }

  /** @param {Refusal} refusal */
  #refused(refusal) {
    const isFinal = this.#options.onRefused?.(refusal) ?? false;
    if (isFinal) this.stop();
    return isFinal;
  }

  /** @param {string} name @param {any} data */
  #heard(name, data) {
    if (name === "session") this.#resume(data);
    else if (name === "going_away") this.#ladder.move(data?.retry_in_ms);
    else if (name !== "entry") this.#options.onSignal?.(name, data);
    else if (this.#ready) this.#read(data);
  }

  /** @param {import("/connection/feeds.js").Snapshot} session */
  #isBehind(session) {
    if (this.#beginsAnew(session)) return false;
    return Object.entries(this.#options.headsOf(session)).some(([feed, head]) => head < this.#feeds.since(feed));
  }

  /** @param {import("/connection/feeds.js").Snapshot} session */
  #beginsAnew(session) {
    return this.#fresh || session.resync || this.#feeds.isNewEpoch(session);
  }

  /**
   * A snapshot: the first one, or the one with which another road or another process takes over.
   * @param {import("/connection/feeds.js").Snapshot} session
   */
  #resume(session) {
    clearTimeout(this.#offlineTimer);
    this.#offlineTimer = 0;
    this.#unknown.clear();
    if (session.server_time) this.clock.set(session.server_time);
    if (!this.#fresh && this.#beginsAnew(session)) {
      this.restart({ fresh: true });
      return;
    }
    const fresh = this.#fresh;
    this.#fresh = false;
    const { entries, complete } = this.#feeds.adopt(session, this.#options.headsOf(session));
    this.#ready = true;
    this.#tell("connected");
    this.#options.onSession(session, { entries, fresh });
    if (!complete) this.#reopen();
    else for (const wake of this.#waiting.splice(0)) wake();
  }

  /** @param {import("/connection/feeds.js").Entry} entry */
  #read(entry) {
    const verdict = this.#feeds.take(entry);
    if (verdict === "gap") this.#reopen();
    else if (verdict === "new") this.#options.onEntry(entry);
  }

  #showWaiting() {
    if (this.#ladder.isStopped) return;
    if (!navigator.onLine) this.#tell("offline");
    else if (!this.#told.startsWith("offline")) this.#tell("reconnecting");
    this.#offlineTimer ||= window.setTimeout(() => this.#tell("offline"), this.#options.patience.offline_after_s * 1000);
  }

  /** @param {Status} status */
  #tell(status) {
    const told = [status, this.#ladder.rung].join(" ");
    if (told === this.#told) return;
    this.#told = told;
    this.#options.onStatus(status, this.#ladder.rung);
  }
}
