/** Keeps the status page fresh while somebody looks at it: the server has written it, only its words change. */

const REFRESH_MS = 10000;
const ANSWER_TIMEOUT_MS = 5000;

/**
 * Puts each named text where it belongs; what did not change is left alone, so that nothing is read out twice.
 * @param {HTMLElement} place
 * @param {{state: string}} view
 */
function fill(place, view) {
  place.dataset.state = view.state;
  for (const [field, text] of Object.entries(view)) {
    const element = place.querySelector(`[data-field="${field}"]`);
    if (element && element.textContent !== text) element.textContent = text;
  }
}

/** @param {{state: string, title: string, parts: {name: string, state: string}[]}} view */
function show(view) {
  const main = /** @type {HTMLElement} */ (document.querySelector("main"));
  fill(main, view);
  for (const { name, ...part } of view.parts)
    fill(/** @type {HTMLElement} */ (main.querySelector(`[data-part="${name}"]`)), part);
  document.title = `${view.title} – Janji`;
}

async function refresh() {
  if (document.hidden) return;
  const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  const address = `/api/status?locale=${document.documentElement.lang}`;
  const response = await fetch(address, { signal }).catch(() => null);
  // Who cannot be reached now is asked again; until then the page says of when its words are.
  if (response?.ok) show(await response.json());
}

setInterval(refresh, REFRESH_MS);
document.addEventListener("visibilitychange", refresh);
