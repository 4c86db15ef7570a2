/**
 * The ladder of transports: the best one is tried for ever, and others stand in for it while it does not work.
 * A better road takes over with its own snapshot, asked for from the cursor: nothing is lost or doubled by the change.
 */

import { forget, read, write } from "/device/storage.js";
import { Road } from "/connection/road.js";

const LONGEST_PAUSE_MS = 3000;
/** How far those who are asked to move spread out; ours says how far each goes. */
const SPREAD_MS = 4000;
/** A page that lately needed a stand-in does not wait long for the best transport when it is loaded again. */
const STAND_IN_KEY = "janji.stand-in";
const REMEMBERED_MS = 24 * 3600 * 1000;
const SHORT_PATIENCE_MS = 1000;

/**
 * @typedef {object} LadderOptions
 * @property {import("/connection/connection.js").Rung[]} rungs the best first
 * @property {number} patience_ms how long the best may be missing before another stands in
 * @property {Patience} patience
 * @property {() => any} auth what to connect with, asked at each try
 * @property {(session: any) => boolean} isBehind a snapshot is older than what the road that carries has brought since:
 *   it would turn the page back, so another one is asked for
 * @property {(name: string, data: any) => void} onEvent from the road that carries; its `session` first
 * @property {() => void} onLost nothing carries any more
 * @property {(refusal: import("/connection/http.js").Refusal) => boolean} onRefused true to stop trying
 */

export class Ladder {
  #options;
  /** @type {Road} */
  #best;
  /** @type {Road[]} */
  #standIns;
  /** Which of them is tried first: the one that worked last. */
  #turn = 0;
  /** @type {Road|null} */
  #carrying = null;
  #isPatient = true;
  #patienceTimer = 0;
  #movingTimer = 0;
  #moveAt_ms = 0;
  #isStopped = true;

  /** @param {LadderOptions} options */
  constructor(options) {
    this.#options = options;
    /** @type {import("/connection/road.js").RoadListener} */
    const listener = {
      session_ms: options.patience.session_s * 1000,
      auth: options.auth,
      opened: (road, session) => this.#opened(road, session),
      heard: (road, name, data) => road === this.#carrying && options.onEvent(name, data),
      failed: (road, refusal) => this.#failed(road, refusal),
    };
    [this.#best, ...this.#standIns] = options.rungs.map((rung) => new Road(rung, listener));
  }

  /** The link that carries now, if any. */
  get link() {
    return this.#carrying?.link ?? null;
  }

  get isStopped() {
    return this.#isStopped;
  }

  /** The name of the rung that carries now. */
  get rung() {
    return this.#carrying?.name ?? null;
  }

  start() {
    this.#isStopped = false;
    const isRemembered = Date.now() - (read(STAND_IN_KEY) ?? 0) < REMEMBERED_MS;
    this.#waitForTheBest(isRemembered ? SHORT_PATIENCE_MS : this.#options.patience_ms);
    this.#best.hurry();
    this.#best.tryAgain({ longest_ms: LONGEST_PAUSE_MS });
  }

  stop() {
    this.#isStopped = true;
    clearTimeout(this.#patienceTimer);
    this.#patienceTimer = 0;
    this.#isPatient = true;
    this.#stay();
    this.#dropAll();
  }

  /** Begins anew at once: what carried is not to be trusted, or the network has changed. */
  again() {
    if (this.#isStopped) return;
    this.#stay();
    this.#dropAll();
    for (const road of [this.#best, ...this.#standIns]) road.hurry();
    this.#best.tryAgain({ longest_ms: LONGEST_PAUSE_MS });
    if (this.#isPatient) this.#waitForTheBest(this.#options.patience_ms);
    else this.#standIn();
  }

  /**
   * The server is going away: elsewhere we are welcome after a moment, each client after one of its own.
   * @param {number} retry_in_ms
   */
  move(retry_in_ms) {
    if (this.#movingTimer || !this.#carrying) return;
    const road = this.#carrying;
    const wait_ms = Number.isFinite(retry_in_ms) ? Math.min(retry_in_ms, SPREAD_MS) : Math.random() * SPREAD_MS;
    this.#moveAt_ms = Date.now() + wait_ms;
    this.#movingTimer = window.setTimeout(() => {
      this.#stay();
      if (this.#carrying === road) this.again();
    }, wait_ms);
  }

  #stay() {
    clearTimeout(this.#movingTimer);
    this.#movingTimer = 0;
    this.#moveAt_ms = 0;
  }

  #dropAll() {
    this.#carrying = null;
    for (const road of [this.#best, ...this.#standIns]) road.drop();
  }

  /** @param {Road} road @param {import("/connection/feeds.js").Snapshot} session */
  #opened(road, session) {
    if (this.#carrying === this.#best && road !== this.#best) {
      road.drop();
      return;
    }
    if (this.#carrying && this.#options.isBehind(session)) {
      road.giveUp();
      return;
    }
    this.#carrying = road;
    for (const other of this.#standIns) if (other !== road) other.drop();
    if (road === this.#best) this.#foundTheBest();
    else write(STAND_IN_KEY, Date.now());
    this.#options.onEvent("session", session);
  }

  /** @param {Road} road @param {import("/connection/http.js").Refusal|null} refusal */
  #failed(road, refusal) {
    if (refusal && this.#options.onRefused(refusal)) {
      this.stop();
      return;
    }
    const isLost = road === this.#carrying;
    if (isLost) this.#carrying = null;
    const least_ms = Math.max((refusal?.retry_after_s ?? 0) * 1000, isLost ? this.#moveAt_ms - Date.now() : 0);
    if (road === this.#best) {
      const longest_ms = this.#carrying ? this.#options.patience.probe_every_s * 1000 : LONGEST_PAUSE_MS;
      road.tryAgain({ longest_ms, least_ms });
      if (isLost) this.#waitForTheBest(this.#options.patience_ms);
    } else {
      if (!isLost) this.#turn += 1;
      else this.#best.hurry();
      this.#standIn(least_ms);
    }
    if (isLost) this.#options.onLost();
  }

  #standIn(least_ms = 0) {
    if (!this.#standIns.length) return;
    const road = this.#standIns[this.#turn % this.#standIns.length];
    road.tryAgain({ longest_ms: LONGEST_PAUSE_MS, least_ms });
  }

  /** @param {number} patience_ms */
  #waitForTheBest(patience_ms) {
    if (this.#patienceTimer) return;
    this.#patienceTimer = window.setTimeout(() => {
      this.#patienceTimer = 0;
      this.#isPatient = false;
      if (!this.#carrying) this.#standIn();
    }, patience_ms);
  }

  #foundTheBest() {
    clearTimeout(this.#patienceTimer);
    this.#patienceTimer = 0;
    this.#isPatient = true;
    forget(STAND_IN_KEY);
  }
}
