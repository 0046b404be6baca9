/** A picture that was coded to be hidden: docs/FORMAT.md, section 8.2. */
import {grouped, roundHalfEven, startsWith, view} from '../bytes.js';
import {SteganoError} from '../errors.js';
import {resize} from '../lanczos.js';

const [HEADER, ONE] = [10, 256];

/** @typedef {import('../bmp.js').Picture} Picture */
/** @typedef {(file: Uint8Array, most: number) => Promise<Picture>} Decoder  refuses more than `most` pixels */

/**
 * @param {Uint8Array} data @param {number} most pixels @param {{jxl: Decoder, avif: Decoder}} decoders
 * @returns {Promise<Picture>}
 */
export async function decode(data, most, decoders) {
  if (data.length <= HEADER) {
    throw new SteganoError(`holds a picture of ${data.length} bytes, expected more than ${HEADER}`);
  }
  const [height, width] = [0, 4].map((at) => view(data).getUint32(at, true));
  const step = view(data).getUint16(8, true);
  if (height * width === 0 || height * width > most || step < ONE) {
    const expected = `expected at most ${grouped(most)} pixels`;
    throw new SteganoError(`holds a picture of ${width}x${height}, step ${step}; ${expected}`);
  }
  const coded = data.subarray(HEADER);
  const kind = startsWith(coded, [0xff, 0x0a]) ? 'jxl' : 'avif';
  if (kind === 'avif') checkAvif(coded, most);
  const picture = await decoders[kind](coded, most);
  const level = Uint8Array.from({length: 256}, (_, v) => Math.min(255, roundHalfEven((v * step) / ONE)));
  return resize({...picture, data: picture.data.map((value) => level[value])}, height, width);
}

/** Raises SteganoError unless every size that an AVIF file states, in boxes `ispe`, has at most so many pixels. */
function checkAvif(file, most) {
  const text = new TextDecoder('latin1').decode(file);
  const sizes = [...text.matchAll(/ispe[^]{12}/g)].map(({index}) => [8, 12].map((at) => view(file).getUint32(index + at)));
  if (sizes.length && sizes.every(([width, height]) => width * height <= most)) return;
  const found = sizes.map((size) => size.join('x')).join(', ') || 'no size';
  throw new SteganoError(`holds an AVIF picture of ${found}, expected at most ${grouped(most)} pixels`);
}
