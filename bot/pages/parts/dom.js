/** Builds elements from plain values: text only ever goes in as text, and styles never as attributes. */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node|string|number|null|undefined|false|Array<any>} Child */
/** @typedef {string|number|boolean|null|undefined} Value */

/**
 * @param {string} tag
 * @param {Record<string, any>} [props] `class`, `testid`, `on` {event: listener}, `data` and `aria` {name: value}; everything else is an attribute.
 *   `null`, `undefined` and `false` leave the attribute out.
 * @param {...Child} children
 * @returns {any} the element
 */
export function h(tag, props = {}, ...children) {
  return furnish(document.createElement(tag), props, children);
}

/**
 * The same for an SVG element.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...Child} children
 * @returns {any}
 */
export function svg(tag, props = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), props, children);
}

/** @param {HTMLElement|SVGElement} element @param {Record<string, any>} props @param {Child[]} children */
function furnish(element, { on = {}, data = {}, aria = {}, testid = "", ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  for (const [name, value] of Object.entries(aria)) setAria(element, name, value);
  for (const [name, value] of Object.entries(data)) element.dataset[name] = String(value);
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  if (testid) element.dataset.testid = testid;
  append(element, children);
  return element;
}

/** @param {Element} element @param {string} name @param {Value} value */
function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  element.setAttribute(name, value === true ? "" : String(value));
}

/**
 * Unlike an attribute, an ARIA state of `false` is a statement and is written.
 * @param {Element} element
 * @param {string} name
 * @param {Value} value
 */
export function setAria(element, name, value) {
  if (value === null || value === undefined) element.removeAttribute(`aria-${name}`);
  else element.setAttribute(`aria-${name}`, String(value));
}

/** @param {Element} element @param {Child[]} children */
export function append(element, children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/**
 * @param {Element|null} element never null but to the type checker, when a page looks up a place of its own
 * @param {...Child} children
 */
export function replaceChildren(element, ...children) {
  const place = /** @type {Element} */ (element);
  place.replaceChildren();
  append(place, children);
}

/** True while the person is writing something, so that nothing may take the focus away. */
export function isTyping() {
  const field = document.activeElement;
  if (!(field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement)) return false;
  return !["radio", "checkbox", "button"].includes(field.type);
}

let lastId = 0;

/**
 * An id for label and description references.
 * @param {string} name
 */
export function newId(name) {
  lastId += 1;
  return `${name}-${lastId}`;
}
