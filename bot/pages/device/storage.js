/**
 * Small values kept by the browser. Where it forbids that to a frame on another website, that website keeps them for us,
 * through our widget; where nobody does, they are kept while the page lives.
 */

/** @type {Map<string, string>} */
const memory = new Map();
/** @type {((kept: Record<string, string>) => void)|null} */
let keeper = null;

/** Whether this browser keeps anything for this page. */
export function isForgetful() {
  try {
    const store = window.localStorage;
    store.setItem("janji.probe", "1");
    store.removeItem("janji.probe");
    return false;
  } catch {
    return true;
  }
}

/**
 * From now on somebody else keeps what this browser does not.
 * @param {unknown} kept what they have kept from before
 * @param {(kept: Record<string, string>) => void} keep
 */
export function leanOn(kept, keep) {
  for (const [key, text] of Object.entries(kept ?? {}))
    if (typeof text === "string" && !memory.has(key)) memory.set(key, text);
  keeper = keep;
}

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
    return JSON.parse(storage()?.getItem(key) ?? memory.get(key) ?? "null");
  } catch {
    return JSON.parse(memory.get(key) ?? "null");
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
  keeper?.(Object.fromEntries(memory));
}

/** @param {string} key */
export function forget(key) {
  memory.delete(key);
  try {
    storage()?.removeItem(key);
  } catch {
    // Forbidden: there was nothing to remove.
  }
  keeper?.(Object.fromEntries(memory));
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
