/** Tells the server when this tab goes into the background and when it is back, and makes sure that it is still heard. */

export class TabPresence {
  #connection;

  /** @param {import("/connection/connection.js").Connection} connection */
  constructor(connection) {
    this.#connection = connection;
    document.addEventListener("visibilitychange", () => this.#tell(document.hidden));
    window.addEventListener("pagehide", () => this.#tell(true));
  }

  /**
   * After a snapshot. Who comes by a socket counts as being there; over HTTP what was said last still holds.
   * @param {string|null} rung
   */
  begin(rung) {
    if (document.hidden || rung !== "socket") this.#tell(document.hidden);
  }

  /**
   * A connection that slept with the device may be dead without knowing it.
   * @param {boolean} away
   */
  async #tell(away) {
    const isAlive = await this.#connection.signal("presence", { away });
    if (!isAlive && !away) this.#connection.restart();
  }
}
