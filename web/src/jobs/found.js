/** What lies as bytes in a picture: a file under its name, and the pixels of a picture that was coded. */
import {SteganoError} from '../core/errors.js';
import {encode} from '../core/payloads.js';
import {decode} from '../core/picture/code.js';
import {PICTURE, fileName} from '../core/picture/frame.js';
import {PICTURE_SHARE, find, nothing} from '../core/picture/index.js';
import {decoder} from '../core/picture/jxl.js';
import {unpacked} from './models.js';
import {read} from './pictures.js';

let jxl = null;

const decoders = {
  async jxl(file, most) {
    jxl ??= unpacked('jxl.wasm.xz').then(decoder);
    jxl.catch(() => (jxl = null)); // perhaps there is a connection the next time
    return (await jxl)(file, most);
  },
  /** AVIF, by the browser, which rounds colours in its own way. */
  avif: (file, most) => read(new File([file], 'the message'), most),
};

/**
 * The message in a stego image, null if anybody may look and there is none.
 * @param {import('../core/bmp.js').Picture} stego @param {object} key
 * @param {boolean} asked whether it is a picture file that somebody wants opened; the stego image of a sound may hold none
 * @returns {Promise<{name: string, blob: Blob, secret: import('../core/bmp.js').Picture | null, sealed: boolean} | null>}
 */
export async function search(stego, key, asked, most) {
  const keyed = Boolean(key.passphrase || key.identities?.length);
  const found = asked ? await find(stego, key) : ((await find(stego)) ?? (keyed ? await find(stego, key) : null));
  if (!found && asked && keyed) {
    const more = 'the page looks for the way capacity only: stegano-tf reveal looks for all';
    throw new SteganoError(`${nothing().message}; ${more}`);
  }
  if (!found) return null;
  const {data, kind, sealed} = found;
  const name = fileName(found);
  const allowed = Math.min(most, PICTURE_SHARE * stego.height * stego.width);
  if (kind === PICTURE) {
    const secret = await decode(data, allowed, decoders);
    return {name, blob: new Blob([await encode(secret, 'png')], {type: 'image/png'}), secret, sealed};
  }
  return {name, blob: new Blob([data]), secret: null, sealed};
}
