/** Messages on their way: kept by the browser until the server has them, sent in order, each under one `client_id`. */

import { newClientId } from "/connection.js";
import { refusalOf } from "/http.js";
import { forget, keysOf, onChangeElsewhere, read, write } from "/keep.js";

const WORTH_ANOTHER_TRY = new Set(["unavailable", "too_many_requests"]);
const TRY_AGAIN_S = 3;

/** @typedef {{client_id: string, written_at: number, payload: any}} Waiting */

export class Outbox {
  #prefix;
  #send;
  #onChange;
  #onRefused;
  #busy = false;

  /**
   * @param {object} options
   * @param {string} options.owner whose messages; nobody else's are sent
   * @param {(payload: any) => Promise<any>} options.send
   * @param {(waiting: Waiting[]) => void} options.onChange
   * @param {(waiting: Waiting, refusal: import("/http.js").Refusal, again: boolean) => void} options.onRefused
   *   again: it stays here and will be tried once more by itself
   */
  constructor({ owner, send, onChange, onRefused }) {
    this.#prefix = `janji.outbox.${owner}.`;
    this.#send = send;
    this.#onChange = onChange;
    this.#onRefused = onRefused;
    onChangeElsewhere((key) => key.startsWith(this.#prefix) && this.#changed());
  }

  /** @returns {Waiting[]} oldest first */
  waiting() {
    const items = keysOf(this.#prefix).map(read).filter(Boolean);
    return items.sort((one, other) => one.written_at - other.written_at);
  }

  /** @returns {Waiting} */
  add(payload) {
    const client_id = newClientId();
    const last = this.waiting().at(-1);
    const written_at = Math.max(Date.now(), (last?.written_at ?? 0) + 1);
    const item = { client_id, written_at, payload: { client_id, ...payload } };
    write(this.#prefix + client_id, item);
    this.#changed();
    this.deliver();
    return item;
  }

  /** The server has it: its ack or its entry came. */
  done(client_id) {
    if (!read(this.#prefix + client_id)) return;
    forget(this.#prefix + client_id);
    this.#changed();
  }

  /** Sends what waits, one after the other. Safe to call at any time. */
  async deliver() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let item = this.waiting()[0]; item; item = this.waiting()[0]) await this.#deliverOne(item);
    } finally {
      this.#busy = false;
    }
  }

  async #deliverOne(item) {
    try {
      await this.#send(item.payload);
      this.done(item.client_id);
    } catch (error) {
      const refusal = refusalOf(error);
      const again = WORTH_ANOTHER_TRY.has(refusal.code);
      this.#onRefused(item, refusal, again);
      if (again) await pause(refusal.retry_after_s ?? TRY_AGAIN_S);
      else this.done(item.client_id);
    }
  }

  #changed() {
    this.#onChange(this.waiting());
  }
}

function pause(seconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
  });
}
