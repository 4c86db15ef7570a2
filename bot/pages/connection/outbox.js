/** Messages on their way: kept by the browser until the server has them, sent in order, each under one `client_id`. */

import { askWorkerToSend, leaveWithWorker, takeFromWorker } from "/device/background.js";
import { newClientId } from "/connection/connection.js";
import { refusalOf } from "/connection/http.js";
import { forget, keysOf, onChangeElsewhere, read, write } from "/device/storage.js";

const WORTH_ANOTHER_TRY = new Set(["unavailable", "too_many_requests"]);
const TRY_AGAIN_S = 3;
/** What has not been sent by then may outlive this page. */
const SLOW_AFTER_MS = 2000;

/**
 * `trouble` says why it is still here: one that is final waits for the person, any other is tried again by itself.
 * @typedef {{message: string, retry_after_s: number|null, isFinal: boolean}} Trouble
 * @typedef {{client_id: string, written_at: number, payload: any, trouble?: Trouble}} Waiting
 */

export class Outbox {
  #audience;
  #owner;
  #prefix;
  #send;
  #onChange;
  #busy = false;

  /**
   * @param {object} options
   * @param {import("/device/background.js").Audience} options.audience
   * @param {string} options.owner whose messages; nobody else's are sent
   * @param {(payload: any) => Promise<any>} options.send
   * @param {(waiting: Waiting[]) => void} options.onChange
   */
  constructor({ audience, owner, send, onChange }) {
    this.#audience = audience;
    this.#owner = owner;
    this.#prefix = `janji.outbox.${owner}.`;
    this.#send = send;
    this.#onChange = onChange;
    onChangeElsewhere((/** @type {string} */ key) => key.startsWith(this.#prefix) && this.#changed());
  }

  /** @returns {Waiting[]} oldest first */
  waiting() {
    const items = keysOf(this.#prefix).map(read).filter(Boolean);
    return items.sort((one, other) => one.written_at - other.written_at);
  }

  /** @param {{text: string, booking_id?: string}} payload */
  add(payload) {
    const client_id = newClientId();
    const last = this.waiting().at(-1);
    const written_at = Math.max(Date.now(), (last?.written_at ?? 0) + 1);
    this.#keep({ client_id, written_at, payload: { client_id, ...payload } });
    this.#insure(client_id);
    this.deliver();
  }

  /**
   * The server has it, as its ack or its entry says, or the person gives it up.
   * @param {string} client_id
   */
  done(client_id) {
    if (!read(this.#prefix + client_id)) return;
    forget(this.#prefix + client_id);
    takeFromWorker(client_id);
    this.#changed();
  }

  /**
   * The person wants one to be tried again that was refused.
   * @param {string} client_id
   */
  tryAgain(client_id) {
    const { trouble: _, ...item } = read(this.#prefix + client_id) ?? {};
    if (!item.payload) return;
    this.#keep(item);
    this.#insure(client_id);
    this.deliver();
  }

  /** Sends what waits, one after the other. Safe to call at any time. */
  async deliver() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let item = this.#next(); item; item = this.#next()) await this.#deliverOne(item);
    } finally {
      this.#busy = false;
    }
  }

  #next() {
    return this.waiting().find((item) => !item.trouble?.isFinal);
  }

  /** @param {Waiting} item */
  async #deliverOne(item) {
    try {
      await this.#send(item.payload);
      this.done(item.client_id);
    } catch (error) {
      const { code, message, retry_after_s } = refusalOf(error);
      const isFinal = !WORTH_ANOTHER_TRY.has(code);
      // Its entry may have come before the answer: then it is not here any more.
      if (!read(this.#prefix + item.client_id)) return;
      this.#keep({ ...item, trouble: { message, retry_after_s, isFinal } });
      if (isFinal) takeFromWorker(item.client_id);
      else await pause(retry_after_s ?? TRY_AGAIN_S);
    }
  }

  /**
   * The page may be closed before it is sent: then the worker sends the same, and the server writes it once.
   * @param {string} client_id
   */
  #insure(client_id) {
    const { written_at, payload } = read(this.#prefix + client_id);
    leaveWithWorker({ audience: this.#audience, owner: this.#owner, client_id, written_at, payload });
    if (!navigator.onLine) askWorkerToSend();
    else setTimeout(() => read(this.#prefix + client_id) && askWorkerToSend(), SLOW_AFTER_MS);
  }

  /** @param {Waiting} item */
  #keep(item) {
    write(this.#prefix + item.client_id, item);
    this.#changed();
  }

  #changed() {
    this.#onChange(this.waiting());
  }
}

/** @param {number} seconds */
function pause(seconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
  });
}
