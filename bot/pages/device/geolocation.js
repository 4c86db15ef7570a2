/** Asks the browser where the person is. */

const LOCATE_TIMEOUT_MS = 8000;

/** @returns {Promise<{latitude: number, longitude: number}|null>} null when it cannot or may not be told */
export function currentPlace() {
  return new Promise((resolve) => {
    if (!navigator.geolocation) {
      resolve(null);
      return;
    }
    // The browser's own limit does not run while it asks for permission; ours does, so that nobody waits for ever.
    setTimeout(() => resolve(null), LOCATE_TIMEOUT_MS);
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => resolve({ latitude: coords.latitude, longitude: coords.longitude }),
      () => resolve(null),
      { timeout: LOCATE_TIMEOUT_MS, maximumAge: 60000, enableHighAccuracy: true },
    );
  });
}
