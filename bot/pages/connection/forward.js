/** A number that only grows, told to the server as it does: the newest one, and at most once a second. */

const LEAST_PAUSE_MS = 1000;

export class Forward {
  #tell;
  #wanted = 0;
  #told = 0;
  #told_at = 0;
  #timer = 0;

  /** @param {(seq: number) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /**
   * After a snapshot, which says what the server knows: what was told into a broken connection is told again.
   * @param {number} known
   */
  begin(known) {
    this.#told = known;
    this.#plan();
  }

  /** @param {number} seq */
  want(seq) {
    this.#wanted = Math.max(this.#wanted, seq);
    this.#plan();
  }

  forget() {
    this.#wanted = 0;
    this.#told = 0;
  }

  /** Never at once: of everything that one snapshot brings only the last is told. */
  #plan() {
    if (this.#timer || this.#wanted <= this.#told) return;
    const wait_ms = Math.max(0, this.#told_at + LEAST_PAUSE_MS - Date.now());
    this.#timer = window.setTimeout(() => this.#tellNow(), wait_ms);
  }

  #tellNow() {
    this.#timer = 0;
    if (this.#wanted <= this.#told) return;
    this.#told = this.#wanted;
    this.#told_at = Date.now();
    this.#tell(this.#told);
  }
}
