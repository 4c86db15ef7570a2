/** Notices that somebody writes: says so at most every 3 s while keys are pressed, and once when it is over. */

const REPEATED_AFTER_MS = 3000;
const OVER_AFTER_MS = 5000;

export class Typing {
  #tell;
  #told_at = 0;
  #timer = 0;

  /** @param {(on: boolean) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /** @param {HTMLTextAreaElement} field */
  watch(field) {
    field.addEventListener("input", () => (field.value.trim() ? this.#goOn() : this.stop()));
    field.addEventListener("blur", () => this.stop());
  }

  stop() {
    clearTimeout(this.#timer);
    if (!this.#told_at) return;
    this.#told_at = 0;
    this.#tell(false);
  }

  #goOn() {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.stop(), OVER_AFTER_MS);
    if (Date.now() - this.#told_at < REPEATED_AFTER_MS) return;
    this.#told_at = Date.now();
    this.#tell(true);
  }
}
