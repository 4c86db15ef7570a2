/**
 * What a browser may refuse to a page by mere access: Firefox throws where a frame on another website may keep nothing.
 * Everything that only some pages have is reached by here, and is null where it is not to be had.
 */

/** @returns {ServiceWorkerContainer|null} */
export function workers() {
  try {
    return navigator.serviceWorker ?? null;
  } catch {
    return null;
  }
}

/** @returns {NotificationPermission|null} */
export function notificationPermission() {
  try {
    return "PushManager" in window && "Notification" in window ? Notification.permission : null;
  } catch {
    return null;
  }
}
