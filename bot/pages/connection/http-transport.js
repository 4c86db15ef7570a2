/** Carries a connection over plain HTTP: a snapshot first, then each feed as it is read, and commands one by one. */

import { HttpCaller } from "/connection/http-caller.js";
import { Refusal } from "/connection/http.js";

/** @typedef {import("/connection/socket-transport.js").LinkListener} LinkListener */

/**
 * How the news of one feed comes: `read` resolves when the feed is over for this reader, and rejects when it breaks.
 * @typedef {object} Following
 * @property {HttpCaller} caller
 * @property {{feed: string, since: number|undefined, epoch: string|undefined}} cursor `since` undefined: from the beginning
 * @property {() => void} opened now it is certain that news comes this way
 * @property {(name: string, data: any) => void} heard
 * @typedef {(following: Following) => Promise<void>} Read
 */

/**
 * @param {"guest"|"therapist"} audience
 * @param {Read} read
 * @returns {import("/connection/socket-transport.js").Transport}
 */
export function httpTransport(audience, read) {
  return {
    async open(auth, listener) {
      const link = new HttpLink(audience, read, listener);
      link.begin(auth);
      return link;
    },
  };
}

class HttpLink {
  #caller;
  #read;
  #listener;
  /** The feeds that are being read. @type {Set<string>} */
  #feeds = new Set();
  /** What was heard before the snapshot could be told. @type {Array<[string, any]>|null} */
  #early = [];
  /** @type {string|undefined} */
  #epoch;
  #hasEntered = false;
  #isOver = false;

  /** @param {"guest"|"therapist"} audience @param {Read} read @param {LinkListener} listener */
  constructor(audience, read, listener) {
    this.#caller = new HttpCaller(audience);
    this.#read = read;
    this.#listener = listener;
  }

  /**
   * Nobody is told of a connection before every feed of the snapshot is being read.
   * @param {{token?: string}} auth
   */
  async begin(auth) {
    try {
      const session = await this.#caller.enter(auth);
      this.#hasEntered = true;
      this.#epoch = session.epoch;
      const heads = session.feeds ?? { [session.feed]: session.last_seq };
      await Promise.all(Object.entries(heads).map(([feed, since]) => this.#follow(feed, since)));
      this.#tell(session);
    } catch (error) {
      this.#close(error);
    }
  }

  /**
   * @param {string} command
   * @param {object} payload
   * @param {number} timeout_ms
   * @returns {Promise<any>} the ack, a refusing one too
   */
  async request(command, payload, timeout_ms) {
    try {
      return await this.#caller.command(command, payload, timeout_ms);
    } catch (error) {
      if (isAboutTheToken(error)) this.#close(null);
      else if (error instanceof Refusal) return { ok: false, error: { ...error, message: error.message } };
      throw error;
    }
  }

  close() {
    this.#close(null);
  }

  /** @param {import("/connection/feeds.js").Snapshot} session */
  #tell(session) {
    if (this.#isOver) return;
    this.#listener.event("session", session);
    const early = this.#early ?? [];
    this.#early = null;
    for (const [name, data] of early) this.#heard(name, data);
  }

  /**
   * @param {string} feed
   * @param {number|undefined} since
   * @returns {Promise<void>} when news surely comes; a reading that breaks closes the link
   */
  #follow(feed, since) {
    this.#feeds.add(feed);
    return new Promise((resolve) => {
      const opened = () => resolve(undefined);
      /** @param {string} name @param {any} data */
      const heard = (name, data) => this.#heard(name, data);
      const cursor = { feed, since, epoch: this.#epoch };
      this.#read({ caller: this.#caller, cursor, opened, heard })
        .then(() => this.#feeds.delete(feed))
        .catch((error) => this.#close(error))
        .finally(opened);
    });
  }

  /** @param {string} name @param {any} data */
  #heard(name, data) {
    if (this.#isOver) return;
    if (this.#early) {
      this.#early.push([name, data]);
      return;
    }
    this.#listener.event(name, data);
    const room = name === "entry" ? roomThatOpens(data) : null;
    if (room && !this.#feeds.has(room)) this.#follow(room, undefined);
  }

  /** @param {unknown} error */
  #close(error) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#caller.end();
    const isTold = error instanceof Refusal && !(this.#hasEntered && isAboutTheToken(error));
    this.#listener.closed(isTold ? error : null);
  }
}

/**
 * Tokens are replaced while a link is open: only who shows the newest one at the entrance is turned away by it.
 * @param {unknown} error
 */
function isAboutTheToken(error) {
  return error instanceof Refusal && error.code === "unauthorized";
}

/**
 * A booking that became active opens its room to the therapist: the feed of its conversation.
 * @param {import("/connection/feeds.js").Entry} entry
 * @returns {string|null}
 */
function roomThatOpens({ type, data }) {
  return type === "booking" && data.booking.status === "active" ? data.booking.feed : null;
}
