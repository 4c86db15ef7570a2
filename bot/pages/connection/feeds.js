/** Where a reader stands in each feed: lets every entry through once and in order, and notices when one is missing. */

/** @typedef {{feed: string, seq: number, id: string, at: string, type: string, data: any}} Entry */

/**
 * What the snapshots of both sides have in common.
 * @typedef {{epoch?: string, entries?: Entry[], resync?: boolean, server_time?: string}} Snapshot
 */

export class Feeds {
  /** @type {string|null} */
  #epoch = null;
  /** @type {Map<string, number>} */
  #last = new Map();

  /** @param {string} feed @returns {number} the last entry known of a feed, 0 before any */
  since(feed) {
    return this.#last.get(feed) ?? 0;
  }

  /** @returns {Record<string, number>} every feed's last known entry */
  all() {
    return Object.fromEntries(this.#last);
  }

  /** What a reconnect says beside its cursors: the epoch that they belong to, once a snapshot has told it. */
  numbering() {
    return this.#epoch === null ? {} : { epoch: this.#epoch };
  }

  clear() {
    this.#last.clear();
  }

  /**
   * Takes a snapshot's entries.
   * @param {Snapshot} session
   * @param {Record<string, number>} heads the last entry of each feed at the server
   * @returns {{entries: Entry[], complete: boolean}} those not seen before; complete when nothing is left to fetch
   */
  adopt(session, heads) {
    this.#epoch = session.epoch ?? null;
    const entries = (session.entries ?? []).filter((entry) => entry.seq > this.since(entry.feed));
    for (const entry of entries) this.#last.set(entry.feed, entry.seq);
    /** @param {string} feed */
    const behind = (feed) => entries.some((entry) => entry.feed === feed) && this.since(feed) < heads[feed];
    const complete = !Object.keys(heads).some(behind);
    if (complete) for (const [feed, head] of Object.entries(heads)) this.#last.set(feed, Math.max(head, this.since(feed)));
    return { entries, complete };
  }

  /**
   * Whether a snapshot begins a new numbering, so that what is known must be dropped.
   * @param {Snapshot} session
   */
  isNewEpoch(session) {
    return this.#epoch !== null && session.epoch !== undefined && session.epoch !== this.#epoch;
  }

  /**
   * @param {Entry} entry
   * @returns {"new"|"seen"|"gap"} a feed heard of for the first time may begin anywhere
   */
  take(entry) {
    const last = this.#last.get(entry.feed);
    if (last !== undefined && entry.seq <= last) return "seen";
    if (last !== undefined && entry.seq > last + 1) return "gap";
    this.#last.set(entry.feed, entry.seq);
    return "new";
  }
}
