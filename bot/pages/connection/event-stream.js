/** Reads server-sent events from the body of a response, so that the request can carry a token in its header. */

/** @typedef {{name: string, data: string[]}} StreamEvent */

/**
 * The events of a stream, as the HTML standard defines them, with their data read as JSON.
 * @param {ReadableStream<Uint8Array>} body
 * @param {() => void} onSign called with every sign of life, comments included
 * @returns {AsyncGenerator<{event: string, data: any}>} until the stream ends; rejects when it breaks
 */
export async function* eventsOf(body, onSign) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let event = newEvent();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      onSign();
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines.map(withoutReturn)) {
        if (line) take(event, line);
        else {
          if (event.data.length) yield { event: event.name, data: JSON.parse(event.data.join("\n")) };
          event = newEvent();
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** @returns {StreamEvent} */
function newEvent() {
  return { name: "message", data: [] };
}

/** @param {string} line */
function withoutReturn(line) {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}

/**
 * Comments, ids and the time to retry are not needed: the entries have their own numbers, and we our own patience.
 * @param {StreamEvent} event
 * @param {string} line
 */
function take(event, line) {
  const [, name, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line) ?? [];
  if (name === "event") event.name = value;
  else if (name === "data") event.data.push(value);
}
