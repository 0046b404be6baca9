/** Pictures as files, without loss: BMP, PNG, and WebP where somebody says how. */
import * as png from 'fast-png';
import * as bmp from './bmp.js';
import {ascii, grouped, startsWith, view} from './bytes.js';
import {SteganoError} from './errors.js';

/** @typedef {import('./bmp.js').Picture} Picture */
/** @typedef {{encode(picture: Picture): Promise<Uint8Array>, decode(file: Uint8Array): Promise<Picture>}} Codec */

// A picture may take so many bytes to decode: what any small file may claim, and so many times its own size.
const [CLAIM, PER_BYTE] = [48 << 20, 9];
const PIXEL_BYTES = {png: 7, webp: 16};

const NO_PICTURE = [1, 0]; // how a file starts that is sent under its name

export const isPng = (file) => startsWith(file, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const isWebp = (file) => startsWith(file, ascii('RIFF')) && startsWith(file.subarray(8), ascii('WEBP'));

/** Width and height in the header of a PNG file. @param {Uint8Array} file */
export const pngSize = (file) => [16, 20].map((at) => (file.length < 24 ? 0 : view(file).getUint32(at)));

/** Width and height in the header of a WebP file without loss, or of its container. */
function webpSize(file) {
  if (file.length < 30) return [0, 0];
  const data = view(file);
  if (file[15] === 88) return [24, 27].map((at) => 1 + (data.getUint32(at, true) & 0xffffff)); // "VP8X"
  const bits = data.getUint32(21, true);
  return [1 + (bits & 0x3fff), 1 + ((bits >> 14) & 0x3fff)];
}

/** @param {Uint8Array} file @param {Codec} webp @returns {Promise<Picture>} */
export async function decode(file, webp) {
  if (startsWith(file, NO_PICTURE)) throw new SteganoError('holds a file, expected a picture; decode --out FOLDER writes it');
  const kind = isPng(file) ? 'png' : isWebp(file) ? 'webp' : null;
  if (!kind) return bmp.decode(file);
  const [width, height] = (kind === 'png' ? pngSize : webpSize)(file);
  if (PIXEL_BYTES[kind] * width * height > CLAIM + PER_BYTE * file.length) {
    const claim = `a picture of ${width} x ${height} pixels in ${grouped(file.length)} bytes`;
    throw new SteganoError(`${claim} is larger than they justify`);
  }
  try {
    return kind === 'png' ? decodePng(file) : await webp.decode(file);
  } catch (error) {
    throw new SteganoError(`the picture inside cannot be read: ${error.message}`, {cause: error});
  }
}

/** @param {Picture} picture @param {'bmp' | 'png' | 'webp'} kind @param {Codec} webp @returns {Promise<Uint8Array>} */
export async function encode(picture, kind, webp) {
  if (kind === 'png') return png.encode({...picture, channels: 3, depth: 8}, {zlib: {level: 6}});
  return kind === 'webp' ? webp.encode(picture) : bmp.encode(picture);
}

/** A PNG file of any kind, its levels in 8 bits and transparent pixels on white. @param {Uint8Array} file */
export const decodePng = (file) => toRgb(png.decode(file, {checkCrc: true}));

/** @param {import('fast-png').DecodedPng} picture @returns {Picture} */
function toRgb({height, width, data, depth, channels, palette, transparency}) {
  if (palette) [data, channels, depth] = [byPalette(data, width, height, depth, palette), 4, 8];
  else if (depth < 8) [data, depth] = [unpacked(data, width, height, depth, 255 / (2 ** depth - 1)), 8];
  const white = 2 ** depth - 1;
  const out = new Uint8Array(3 * height * width);
  const [grey, alpha] = [channels < 3, channels % 2 === 0];
  for (let i = 0, from = 0, to = 0; i < height * width; i++, from += channels) {
    const clear = transparency?.length && transparency.every((level, c) => data[from + c] === level);
    const cover = clear ? 0 : alpha ? level(data[from + channels - 1], white) : 255;
    for (let c = 0; c < 3; c++, to++) {
      const value = level(data[from + (grey ? 0 : c)], white);
      out[to] = cover === 255 ? value : onWhite(value, cover);
    }
  }
  return {height, width, data: out};
}

const level = (value, white) => (white === 255 ? value : Math.floor((255 * value) / white + 0.5));

/** As Pillow pastes with a mask: a rounded division by 255. */
function onWhite(value, cover) {
  const sum = value * cover + 255 * (255 - cover) + 128;
  return (sum + (sum >> 8)) >> 8;
}

/** Pixels of less than 8 bits, several of which share a byte, as one byte each. */
function unpacked(data, width, height, depth, scale) {
  const stride = Math.ceil((width * depth) / 8);
  const out = new Uint8Array(width * height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to++) {
      const bit = x * depth;
      out[to] = scale * ((data[y * stride + (bit >> 3)] >> (8 - depth - (bit & 7))) & (2 ** depth - 1));
    }
  }
  return out;
}

function byPalette(data, width, height, depth, palette) {
  const indices = depth < 8 ? unpacked(data, width, height, depth, 1) : data;
  const out = new Uint8Array(4 * width * height);
  indices.forEach((index, i) => {
    const [red, green, blue, alpha = 255] = palette[index] ?? [0, 0, 0];
    out.set([red, green, blue, alpha], 4 * i);
  });
  return out;
}
