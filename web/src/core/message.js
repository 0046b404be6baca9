/** Stego images to sounds and back: what the package's audio layer does, composed of the modules here. */
import {startsWith} from './bytes.js';
import {SteganoError} from './errors.js';
import * as bare from './forms/bare.js';
import * as carried from './forms/carried.js';
import {find} from './forms/index.js';
import * as frame from './frame.js';
import * as payloads from './payloads.js';
import {seal, unseal} from './seal.js';
import {fromBytes, writeWav} from './sound.js';

/**
 * @typedef {object} Sending
 * @property {'plain' | 'raw' | 'carried' | 'bare'} [form]
 * @property {'bmp' | 'png' | 'webp'} [payload]
 * @property {{passphrase?: string, recipients?: string[]} | null} [lock]
 * @property {import('./sound.js').Sound | null} [carrier]
 * @property {[number, number]} secretSize
 * @property {string} network
 */

/**
 * A picture as a WAV file.
 * @param {import('./bmp.js').Picture} picture @param {Sending} sending @param {payloads.Codec} webp
 * @returns {Promise<Uint8Array>}
 */
export async function write(picture, {form = 'plain', payload = 'bmp', lock = null, carrier = null, ...header}, webp) {
  checkOptions({form, payload, lock, carrier});
  const inside = await payloads.encode(picture, payload, webp);
  if (form === 'raw') return writeWav(fromBytes(inside));
  let whole = await frame.encode({payload: inside, ...header});
  const sealed = lock && (await seal(whole, lock));
  if (form === 'bare') return writeWav(bare.samples(bare.toNoise(sealed)));
  if (sealed) whole = await frame.encode({payload: sealed, sealed: true});
  if (form === 'plain') return writeWav(fromBytes(whole));
  return writeWav(await carried.write(carrier, whole, lock?.passphrase ?? null), carrier);
}

/** Raises SteganoError if options exclude each other. */
export function checkOptions({form, payload, lock, carrier}) {
  if (form === 'raw' && lock) throw new SteganoError('raw bmp cannot be sealed');
  if (form === 'raw' && payload !== 'bmp') throw new SteganoError(`raw bmp takes payload bmp, not ${payload}`);
  if (form === 'bare' && !lock?.passphrase) throw new SteganoError('bare must be sealed with a passphrase');
  if (form === 'carried' && !carrier) throw new SteganoError('a carrier is missing, expected a recording');
}

/**
 * The picture in a sound, and what is known of it.
 * @param {import('./sound.js').Sound} sound
 * @param {{passphrase?: string | null, identities?: string[], bare?: boolean}} key @param {payloads.Codec} webp
 */
export async function read(sound, key, webp) {
  const {form, message, ...facts} = await find(sound, key);
  if (form === 'raw') return {form, picture: await payloads.decode(message, webp), sealed: false, ...facts};
  let found = form === 'bare' ? {sealed: true, payload: message, after: 0} : await frame.decode(message);
  const {sealed} = found;
  if (sealed) {
    try {
      found = await opened(found.payload, key);
    } catch (error) {
      if (form !== 'bare' || !key.passphrase || !(error instanceof SteganoError)) throw error;
      // Nobody learns from the words whether there is a message.
      throw new SteganoError('cannot be opened: wrong passphrase, damaged, or no message at all', {cause: error});
    }
  }
  const {payload, secretSize = null, network = null} = found;
  return {form, picture: await payloads.decode(payload, webp), sealed, secretSize, network, ...facts};
}

/** Raises what `read` would raise of a sound, as far as that is known without opening a seal. */
export async function verify(sound) {
  await frame.decode((await find(sound)).message);
}

async function opened(sealed, key) {
  const plaintext = await unseal(sealed, key);
  if (!startsWith(plaintext, frame.MAGIC)) return {payload: plaintext};
  const inner = await frame.decode(plaintext);
  if (inner.sealed) throw new SteganoError('is sealed twice, expected a picture inside the seal');
  return inner;
}
