/** In which form a sound holds a message: asked in the order of stegano_tf/audio/forms. */
import {ascii, hex, startsWith} from '../bytes.js';
import {SteganoError} from '../errors.js';
import {MAGIC} from '../frame.js';
import {toBytes} from '../sound.js';
import * as bare from './bare.js';
import * as carried from './carried.js';
import * as marked from './marked.js';
import * as modem from './modem.js';

const BMP = ascii('BM');

/**
 * The message in a sound: a frame, or in the raw form a BMP file, or in the bare form an age file.
 * @param {import('../sound.js').Sound} sound
 * @param {{passphrase?: string | null, bare?: boolean}} key
 * @returns {Promise<{form: string, message: Uint8Array, bits?: number, damage?: string}>}
 */
export async function find(sound, key = {}) {
  const channels = Array.from({length: sound.channels}, (_, number) => sound.channel(number));
  if (channels.some(marked.startsWithMark)) return marked.search(sound);
  const bytes = channels.map(toBytes);
  for (const [form, magic] of [['plain', MAGIC], ['raw', BMP]]) {
    const message = bytes.find((channel) => startsWith(channel, magic));
    if (message) return {form, message};
  }
  if (key.bare) return {form: 'bare', message: bare.fromNoise(bytes[0])};
  const found =
    modem.search(channels) ?? (await carried.search(sound, key.passphrase ?? null)) ?? marked.search(sound);
  if (found) return found;
  const begins = bytes[0]?.length ? hex(bytes[0].subarray(0, MAGIC.length), ' ') : 'nothing';
  const expected = `expected ${hex(MAGIC, ' ')} or ${hex(BMP, ' ')}`;
  const hidden = 'one that a passphrase hides is seen with that passphrase only';
  throw new SteganoError(`holds no message: begins with ${begins}, ${expected}; ${hidden}`);
}
