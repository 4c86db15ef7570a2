/* Says what to do when the page's own parts could not be loaded; a plain script, so that it runs when modules do not. */
(() => {
  "use strict";
  const SLOW_AFTER_MS = 12000;
  const say = () => {
    const place = document.getElementById("opening");
    if (!place) return;
    place.replaceChildren(
      Object.assign(document.createElement("p"), {
        textContent: "This page could not be loaded completely. Check your connection.",
      }),
      Object.assign(document.createElement("button"), {
        className: "btn btn-primary",
        type: "button",
        textContent: "Load again",
        onclick: () => window.location.reload(),
      }),
    );
  };
  window.addEventListener("error", (event) => event.target instanceof HTMLScriptElement && say(), true);
  setTimeout(say, SLOW_AFTER_MS);
})();
