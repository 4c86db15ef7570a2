/** The title and the icon of the tab: how much is new there, seen from another one. */

/** @param {number} count what waits to be looked at */
export function showNews(count) {
  document.title = count ? `(${count}) Janji` : "Janji";
  const link = /** @type {HTMLLinkElement|null} */ (document.querySelector('link[rel="icon"]'));
  const address = count ? "/icon-news.svg" : "/icon.svg";
  if (link && link.getAttribute("href") !== address) link.setAttribute("href", address);
}
