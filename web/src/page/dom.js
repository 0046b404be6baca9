/** Elements in few words. */

/** @param {string} selector @returns {HTMLElement} */
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** @param {string} name @param {object} [attributes] properties, or attributes if there is no such property */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in element && key !== 'list') element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A canvas that shows a bitmap, which it takes. @param {ImageBitmap} bitmap */
export function picture(bitmap, label) {
  const {width, height} = bitmap;
  const canvas = make('canvas', {width, height, role: 'img', 'aria-label': label});
  canvas.getContext('bitmaprenderer').transferFromImageBitmap(bitmap);
  return canvas;
}

/** Offers bytes as a file. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  make('a', {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
