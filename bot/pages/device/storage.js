/** Small values kept by the browser; where it forbids that (a frame without storage), kept while the page lives. */

const memory = new Map();

function storage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

/** @param {string} key @returns {any} the value, or null where there is none or it cannot be read */
export function read(key) {
  try {
    const text = storage()?.getItem(key) ?? memory.get(key);
    return text === undefined || text === null ? null : JSON.parse(text);
  } catch {
    return memory.has(key) ? JSON.parse(memory.get(key)) : null;
  }
}

/** @param {string} key @param {unknown} value */
export function write(key, value) {
  const text = JSON.stringify(value);
  memory.set(key, text);
  try {
    storage()?.setItem(key, text);
  } catch {
    // Full or forbidden: the copy in memory serves this page.
  }
}

/** @param {string} key */
export function forget(key) {
  memory.delete(key);
  try {
    storage()?.removeItem(key);
  } catch {
    // Forbidden: there was nothing to remove.
  }
}

/** @param {string} prefix @returns {string[]} the keys that begin with the prefix */
export function keysOf(prefix) {
  const found = new Set([...memory.keys()].filter((key) => key.startsWith(prefix)));
  try {
    const store = storage();
    for (let index = 0; store && index < store.length; index += 1) {
      const key = store.key(index);
      if (key?.startsWith(prefix)) found.add(key);
    }
  } catch {
    // Forbidden: memory is all there is.
  }
  return [...found];
}

/**
 * Calls back with the key when another tab of this site changed it.
 * @param {(key: string) => void} callback
 */
export function onChangeElsewhere(callback) {
  window.addEventListener("storage", (event) => {
    if (event.key === null) return;
    memory.delete(event.key);
    callback(event.key);
  });
}
