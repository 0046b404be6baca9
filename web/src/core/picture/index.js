/** Any file into a picture and out of it, by the way `capacity`: what stegano_tf/message/hiding.py does. */
import {equal, grouped} from '../bytes.js';
import {SteganoError} from '../errors.js';
import {checkRecipients, seal, unseal} from '../seal.js';
import {spellings} from '../passphrase.js';
import {pack, padded, parse} from './frame.js';
import * as keys from './keys.js';
import {embed, extract, room} from './lattice.js';

export const PICTURE_SHARE = 16; // pixels of a secret for each one of the picture that holds it

/** @typedef {import('../bmp.js').Picture} Picture */

/** Raises SteganoError if nothing can be hidden for such a lock. */
export function checkLock(lock) {
  keys.check(lock);
  if (lock?.passphrase !== undefined) spellings(lock.passphrase);
  if (lock?.recipients) checkRecipients(lock.recipients);
}

/** Raises SteganoError if a file is too large for a cover. @param {Picture} cover @param {{name: string, size: number}} file */
export function checkRoom({data}, {name, size}) {
  const most = room(data.length);
  if (size <= most) return;
  const found = `has room for ${grouped(most)} bytes, expected ${grouped(size)} for ${name}`;
  throw new SteganoError(`${found}; stegano-tf hide makes a picture as good as the room allows`);
}

/**
 * A picture that holds a file.
 * @param {Picture} cover @param {import('./frame.js').Secret} secret
 * @param {{passphrase?: string, recipients?: string[]} | null} lock
 * @returns {Promise<{stego: Picture, holds: (picture: Picture) => Promise<boolean>}>} `holds` says whether the message
 *   can be read from a picture, without what opens it
 */
export async function hide(cover, secret, lock = null) {
  checkLock(lock);
  const stego = {...cover, data: cover.data.slice()};
  const before = keys.readSalt(stego.data);
  const {key, salt} = await keys.toHide(lock, before);
  if (!equal(salt, before)) keys.writeSalt(stego.data, salt);
  const frame = await pack(secret);
  const message = lock ? await sealed(frame, lock, stego.data.length) : frame;
  await embed(stego.data, key, message);
  const holds = async ({data}) =>
    equal(keys.readSalt(data), salt) && equal((await extract(data, key).catch(() => null)) ?? [], message);
  return {stego, holds};
}

/**
 * The message in a picture, null if nothing says that there is one. Those come first that a passphrase or an identity
 * leads to.
 * @param {Picture} picture @param {{passphrase?: string | null, identities?: string[]}} key
 * @returns {Promise<(import('./frame.js').Secret & {sealed: boolean}) | null>}
 */
export async function find({data}, key = {}) {
  let salt;
  try {
    salt = keys.readSalt(data);
  } catch {
    return null; // too small a picture for a message
  }
  for await (const candidate of keys.toFind(key, salt)) {
    const message = await extract(data, candidate);
    if (message) return {...(await parse(await unseal(message, key))), sealed: true};
  }
  const message = await extract(data, keys.anybody());
  return message && {...(await parse(message)), sealed: false};
}

/** What to say of a picture in which a key found nothing: always the same. */
export const nothing = () => new SteganoError('holds no message for this passphrase or identity, or none at all');

const [HEADERS, CHUNK, USUAL] = [{passphrase: 150, recipient: 512}, 1 << 16, 2.5];

/** How many bytes a frame may have so that it fits into so many bytes when it is sealed. */
function most(bytes, lock) {
  const rest = bytes - HEADERS[lock.recipients ? 'recipient' : 'passphrase'] - 16;
  return Math.max(0, rest - 16 * Math.ceil(rest / (CHUNK + 16))); // chunks have tags of 16 bytes
}

async function sealed(frame, lock, samples) {
  const usual = most(room(samples, USUAL), lock);
  return seal(padded(frame, usual < frame.length ? most(room(samples), lock) : usual), lock, 1);
}
