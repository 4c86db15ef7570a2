/** Asks the HTTP side of the server as the bearer of a token, until it is ended: then everything under way is aborted. */

import { Refusal } from "/connection/http.js";
import { currentLocale } from "/parts/words.js";

const SESSION_TIMEOUT_MS = 10000;

export class HttpCaller {
  #audience;
  #locale = currentLocale();
  #token = "";
  #isOver = false;
  /** @type {Set<AbortController>} */
  #underWay = new Set();

  /** @param {"guest"|"therapist"} audience */
  constructor(audience) {
    this.#audience = audience;
  }

  /**
   * Comes in, and keeps the token for everything after.
   * @param {{token?: string}} auth
   * @returns {Promise<any>} the snapshot
   * @throws {Refusal} the server's; any other error is the network's
   */
  async enter(auth) {
    const session = await this.#json(`/api/${this.#audience}/session`, auth, SESSION_TIMEOUT_MS);
    this.#token = session.token ?? auth.token;
    return session;
  }

  /**
   * @param {string} name
   * @param {object} payload
   * @param {number} timeout_ms
   * @returns {Promise<any>} the ack
   * @throws {Refusal} the server's; any other error is the network's
   */
  command(name, payload, timeout_ms) {
    return this.#json(`/api/${this.#audience}/${name}`, payload, timeout_ms);
  }

  /**
   * Reads what an address gives.
   * @template T
   * @param {string} path
   * @param {Record<string, any>} query what is undefined is left out
   * @param {number} patience_ms after that it is aborted
   * @param {(response: Response, extend: (patience_ms: number) => void) => Promise<T>} use may extend the patience
   * @returns {Promise<T>}
   */
  read(path, query, patience_ms, use) {
    const known = Object.entries(query).filter(([, value]) => value !== undefined);
    const address = `${path}?${new URLSearchParams(known.map(([name, value]) => [name, String(value)]))}`;
    return this.#fetch(address, {}, patience_ms, use);
  }

  end() {
    this.#isOver = true;
    for (const request of this.#underWay) request.abort();
  }

  /**
   * A page that is being left still sends what was said last.
   * @param {string} path
   * @param {object} body
   * @param {number} timeout_ms
   */
  #json(path, body, timeout_ms) {
    const headers = { "Content-Type": "application/json" };
    const init = { method: "POST", body: JSON.stringify(body), headers, keepalive: true };
    return this.#fetch(path, init, timeout_ms, answerOf);
  }

  /**
   * @template T
   * @param {string} address
   * @param {Omit<RequestInit, "headers"> & {headers?: Record<string, string>}} init
   * @param {number} patience_ms
   * @param {(response: Response, extend: (patience_ms: number) => void) => Promise<T>} use
   * @returns {Promise<T>}
   */
  async #fetch(address, { headers = {}, ...init }, patience_ms, use) {
    const request = new AbortController();
    if (this.#isOver) request.abort();
    let timer = setTimeout(() => request.abort(), patience_ms);
    /** @param {number} ms */
    const extend = (ms) => {
      clearTimeout(timer);
      timer = setTimeout(() => request.abort(), ms);
    };
    this.#underWay.add(request);
    try {
      return await use(await fetch(address, { ...init, headers: this.#headers(headers), signal: request.signal }), extend);
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(request);
    }
  }

  /** @param {Record<string, string>} more */
  #headers(more) {
    /** @type {Record<string, string>} */
    const bearer = this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
    return { "Accept-Language": this.#locale, ...bearer, ...more };
  }
}

/**
 * The JSON of a good response.
 * @param {Response} response
 * @throws {Refusal} the server's own; something between us and it says nothing that a person could use
 */
export async function answerOf(response) {
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  if (body?.error?.code) throw new Refusal(body.error);
  throw new Error(`answered with ${response.status}`);
}
