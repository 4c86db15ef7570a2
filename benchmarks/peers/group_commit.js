// Group commit: what gathers while a write is on its way goes into the next one, so that many share one durable write.

const IN_FLIGHT = Number(process.env.IN_FLIGHT ?? 2);
const LARGEST = 500;

export class GroupCommit {
  #collection;
  #waiting = [];
  #inFlight = 0;
  #isScheduled = false;

  constructor(collection) {
    this.#collection = collection;
  }

  /** Settles when the document is durable, or when it is not going to be. */
  add(document) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ document, resolve, reject });
      // Whatever arrives in this turn of the event loop comes along.
      if (!this.#isScheduled) {
        this.#isScheduled = true;
        setImmediate(() => this.#fill());
      }
    });
  }

  #fill() {
    this.#isScheduled = false;
    while (this.#waiting.length > 0 && this.#inFlight < IN_FLIGHT) {
      this.#write(this.#waiting.splice(0, LARGEST));
    }
  }

  async #write(batch) {
    this.#inFlight += 1;
    try {
      await this.#collection.insertMany(
        batch.map(({ document }) => document),
        { ordered: false },
      );
      for (const { resolve } of batch) resolve();
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      this.#inFlight -= 1;
      this.#fill();
    }
  }
}
