/** One transport on its way to carry the connection: tried again and again, with more and more time between tries. */

const FIRST_PAUSE_MS = 400;

/**
 * @typedef {object} RoadListener
 * @property {number} session_ms how long a try may take
 * @property {() => any} auth what to connect with, asked at each try
 * @property {(road: Road, session: any) => void} opened the snapshot is here: from now on this road carries
 * @property {(road: Road, name: string, data: any) => void} heard whatever comes after the snapshot
 * @property {(road: Road, refusal: import("/connection/http.js").Refusal|null) => void} failed the try, or the open road
 */

export class Road {
  name;
  /** @type {import("/connection/socket-transport.js").Link|null} */
  link = null;
  #transport;
  #listener;
  #failures = 0;
  #try = 0;
  #timer = 0;
  #isPausing = false;

  /**
   * @param {import("/connection/connection.js").Rung} rung
   * @param {RoadListener} listener
   */
  constructor({ name, transport }, listener) {
    this.name = name;
    this.#transport = transport;
    this.#listener = listener;
  }

  /**
   * Tries as soon as its failures allow it: at once where there was none.
   * @param {{longest_ms: number, least_ms?: number}} pause
   */
  tryAgain({ longest_ms, least_ms = 0 }) {
    const pause_ms = this.#failures ? Math.min(longest_ms, FIRST_PAUSE_MS * 2 ** (this.#failures - 1)) : 0;
    this.drop();
    this.#isPausing = true;
    this.#timer = window.setTimeout(() => this.#open(), Math.max(least_ms, pause_ms * (0.5 + Math.random())));
  }

  /** There is reason to hope: the pause, if it is one, is cut short. */
  hurry() {
    this.#failures = 0;
    if (this.#isPausing) this.tryAgain({ longest_ms: 0 });
  }

  /** Gives up what it has and what it is trying. */
  drop() {
    this.#try += 1;
    this.#isPausing = false;
    clearTimeout(this.#timer);
    this.link?.close();
    this.link = null;
  }

  /** Its snapshot is of no use. */
  giveUp() {
    this.#fail(null);
  }

  async #open() {
    this.drop();
    const number = this.#try;
    const isCurrent = () => number === this.#try;
    this.#timer = window.setTimeout(() => isCurrent() && this.#fail(null), this.#listener.session_ms);
    /** @type {import("/connection/socket-transport.js").LinkListener} */
    const listener = {
      event: (name, data) => isCurrent() && this.#heard(name, data),
      closed: (refusal) => isCurrent() && this.#fail(refusal),
    };
    try {
      const link = await this.#transport.open(this.#listener.auth(), listener);
      if (isCurrent()) this.link = link;
      else link.close();
    } catch {
      if (isCurrent()) this.#fail(null);
    }
  }

  /** @param {string} name @param {any} data */
  #heard(name, data) {
    if (name === "session") {
      clearTimeout(this.#timer);
      this.#failures = 0;
      this.#listener.opened(this, data);
    } else this.#listener.heard(this, name, data);
  }

  /** @param {import("/connection/http.js").Refusal|null} refusal */
  #fail(refusal) {
    this.drop();
    this.#failures += 1;
    this.#listener.failed(this, refusal);
  }
}
