/** Picture files to pixels, and pixels to what the page shows, in a worker. */
import {literal, startsWith} from '../core/bytes.js';
import {SteganoError} from '../core/errors.js';
import {decodePng, isPng, pngSize} from '../core/payloads.js';

/** @typedef {import('../core/bmp.js').Picture} Picture */

const VIEW = 2048; // pixels of the longer side

/** Any picture file that this browser knows. @param {File} file @returns {Promise<Picture>} */
export async function read(file, most) {
  const start = new Uint8Array(await file.slice(0, 8).arrayBuffer());
  if (!start.length) throw new SteganoError(`${file.name}: is empty, expected a picture file`);
  try {
    // PNG without a canvas: some browsers add noise there.
    if (!isPng(start)) return await byBrowser(file, most);
    const data = new Uint8Array(await file.arrayBuffer());
    checkPixels(file.name, ...pngSize(data).reverse(), most);
    return decodePng(data);
  } catch (error) {
    // A decoder's errors are EncodingError or InvalidStateError; of others the page says more.
    if (error instanceof SteganoError || /NotReadable|NotFound|Range/.test(error.name)) throw error;
    const found = `starts with ${literal(start)}, expected a whole picture file (PNG, JPEG, ...)`;
    throw new SteganoError(`${file.name}: ${found}`, {cause: error});
  }
}

/** Whether a file is a JPEG file, which has other pixels than what was saved as it. @param {File} file */
export const isJpeg = async (file) =>
  startsWith(new Uint8Array(await file.slice(0, 3).arrayBuffer()), [0xff, 0xd8, 0xff]);

async function byBrowser(blob, most = Infinity) {
  const bitmap = await createImageBitmap(blob, {colorSpaceConversion: 'none', premultiplyAlpha: 'none'});
  const {height, width} = bitmap;
  checkPixels(blob.name, height, width, most);
  const context = new OffscreenCanvas(width, height).getContext('2d', {willReadFrequently: true});
  context.fillStyle = 'white';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return fromRgba(context.getImageData(0, 0, width, height));
}

export function checkPixels(name, height, width, most) {
  if (height * width <= most) return;
  throw new SteganoError(`${name}: has ${width}x${height} = ${height * width} pixels, expected at most ${most}`);
}

const fromRgba = ({height, width, data: rgba}) => {
  const data = new Uint8Array(3 * height * width);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = rgba[from];
    data[to + 1] = rgba[from + 1];
    data[to + 2] = rgba[from + 2];
  }
  return {height, width, data};
};

/** @param {Picture} picture @param {(index: number) => number} [of] what becomes of the value at an index */
function toImage({height, width, data}, of = (index) => data[index]) {
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    image.data[to] = of(from);
    image.data[to + 1] = of(from + 1);
    image.data[to + 2] = of(from + 2);
    image.data[to + 3] = 255;
  }
  return image;
}

/** What the page can draw at once, without its thread waiting: large pictures are scaled for their view. */
function shown(image, resizeQuality) {
  const scale = VIEW / Math.max(image.width, image.height);
  const size = scale < 1 && {resizeWidth: Math.round(scale * image.width), resizeHeight: Math.round(scale * image.height)};
  return createImageBitmap(image, {...size, resizeQuality});
}

/** @param {Picture} picture @returns {Promise<ImageBitmap>} */
export const bitmap = (picture) => shown(toImage(picture), 'high');

/** How two pictures differ, ten times as much, around grey. @param {Picture} first @param {Picture} second */
export const difference = (first, second) =>
  shown(toImage(first, (index) => 128 + 10 * (second.data[index] - first.data[index])), 'pixelated');

/** WebP without loss, by the browser. @type {import('../core/payloads.js').Codec} */
export const webp = {
  decode: (file) => byBrowser(new Blob([file], {type: 'image/webp'})),
  async encode(picture) {
    const canvas = new OffscreenCanvas(picture.width, picture.height);
    canvas.getContext('2d').putImageData(toImage(picture), 0, 0);
    const blob = await canvas.convertToBlob({type: 'image/webp', quality: 1});
    const file = new Uint8Array(await blob.arrayBuffer());
    const back = blob.type === 'image/webp' && (await webp.decode(file));
    if (!back || back.data.some((value, i) => value !== picture.data[i])) {
      throw new SteganoError('this browser writes no WebP without loss; send it as png');
    }
    return file;
  },
};
