/** Carries a connection over Socket.IO, by WebSocket only. */

import { Refusal } from "/connection/http.js";
import { t } from "/parts/words.js";

const OPEN_TIMEOUT_MS = 10000;

/**
 * What a connection needs of any transport: `open` tries once, tells the listener what happens and returns the link.
 * @typedef {{event: (name: string, data: any) => void, closed: (refusal: Refusal|null) => void}} LinkListener
 * @typedef {{request: (command: string, payload: any, timeout_ms: number) => Promise<any>, close: () => void}} Link
 * @typedef {{open: (auth: any, listener: LinkListener) => Promise<Link>}} Transport
 */

/**
 * @param {"/guest"|"/therapist"} namespace
 * @returns {Transport} a link tells `closed` once and is spent then: reconnecting is the connection's own affair
 */
export function socketTransport(namespace) {
  let failures = 0;
  return {
    async open(auth, listener) {
      const { io } = await loadClient(failures).catch((error) => {
        failures += 1;
        throw error;
      });
      const socket = io(namespace, {
        auth,
        transports: ["websocket"],
        forceNew: true,
        reconnection: false,
        timeout: OPEN_TIMEOUT_MS,
      });
      return linkOf(socket, listener);
    },
  };
}

/**
 * Browsers remember a module that could not be loaded, by its address: another try needs another one.
 * @param {number} failures
 */
function loadClient(failures) {
  const address = "/vendor/socket.io.esm.min.js";
  return import(failures ? `${address}?try=${failures}` : address);
}

/** @param {import("socket.io-client").Socket} socket @param {LinkListener} listener @returns {Link} */
function linkOf(socket, listener) {
  let over = false;
  /** @param {Refusal|null} refusal */
  const close = (refusal) => {
    if (over) return;
    over = true;
    socket.disconnect();
    listener.closed(refusal);
  };
  socket.onAny((name, data) => !over && listener.event(name, data));
  socket.on("disconnect", () => close(null));
  socket.on("connect_error", (error) => close(connectRefusal(error)));
  return {
    request: (command, payload, timeout_ms) => socket.timeout(timeout_ms).emitWithAck(command, payload),
    close: () => close(null),
  };
}

/**
 * A server that refuses says why in `data`; a network that fails says nothing.
 * @param {Error & {data?: any}} error
 */
function connectRefusal(error) {
  const reason = error.data?.error ?? error.data;
  if (!reason?.code) return null;
  return new Refusal({ message: t("The connection was refused."), ...reason });
}
