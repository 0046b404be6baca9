/** The salt of a picture and the keys of the messages in it. docs/FORMAT.md, sections 8.3 and 8.4. */
import {x25519} from '@noble/curves/ed25519.js';
import {hkdf} from '@noble/hashes/hkdf.js';
import {hmac} from '@noble/hashes/hmac.js';
import {sha256} from '@noble/hashes/sha2.js';
import {bech32} from '@scure/base';
import {ascii, join} from '../bytes.js';
import {SteganoError} from '../errors.js';
import {spellings, stretch} from '../passphrase.js';

export const [GROUP, SALT, TAG] = [8, 32, 16]; // samples; bytes
const [LABEL, WAY] = ['stegano_tf picture 1 ', 'capacity'];

/** 32 bytes that HKDF draws from a key, others for every label. @param {Uint8Array} key @param {string} label */
export const part = (key, label) => hkdf(sha256, key, undefined, ascii(LABEL + label), 32);

/** @param {Uint8Array} key @param {Uint8Array} data */
export const tag = (key, data) => hmac(sha256, part(key, 'tag'), data).subarray(0, TAG);

/** Data as noise, or back: AES-256 in counter mode, from 0. @param {Uint8Array} key @param {Uint8Array} data */
export async function masked(key, data) {
  const aes = await crypto.subtle.importKey('raw', part(key, 'mask'), 'AES-CTR', false, ['encrypt']);
  const counter = {name: 'AES-CTR', counter: new Uint8Array(16), length: 128};
  return new Uint8Array(await crypto.subtle.encrypt(counter, aes, data));
}

/** Which groups of so many are the salt's: raises SteganoError if there are too few. @param {number} samples */
export function saltGroups(samples) {
  const count = Math.floor(samples / GROUP);
  if (count < 2 * SALT) {
    throw new SteganoError(`has ${samples / 3} pixels, expected at least ${Math.ceil((GROUP * 2 * SALT) / 3)}`);
  }
  return Array.from({length: SALT}, (_, i) => Math.floor(((2 * i + 1) * count) / (2 * SALT)));
}

/** @param {Uint8Array} samples */
export const readSalt = (samples) =>
  Uint8Array.from(saltGroups(samples.length), (group) =>
    samples.subarray(GROUP * group, GROUP * (group + 1)).reduce((byte, sample) => (byte << 1) | (sample & 1), 0),
  );

/** Gives samples another salt: about half of those that hold it change by 1, up or down at random. */
export function writeSalt(samples, salt) {
  saltGroups(samples.length).forEach((group, i) => {
    const ups = crypto.getRandomValues(new Uint8Array(GROUP));
    for (let bit = 0, at = GROUP * group; bit < GROUP; bit++, at++) {
      if ((samples[at] & 1) === ((salt[i] >> (7 - bit)) & 1)) continue;
      samples[at] += samples[at] === 0 || (samples[at] !== 255 && ups[bit] & 1) ? 1 : -1;
    }
  });
}

const ofRoot = (root) => part(root, WAY);
const ofPassphrase = async (passphrase, salt) =>
  ofRoot(await stretch(spellings(passphrase)[0], join(ascii(LABEL), salt)));
const ofExchange = (shared, salt, recipient) => ofRoot(part(join(shared, salt, recipient), 'recipient'));
const bytesOf = (text) => bech32.decodeToBytes(text.trim()).bytes;

/** The key of what anybody may read. */
export const anybody = () => ofRoot(new Uint8Array(32));

/**
 * The key under which to hide, and the salt that the picture must get first, if its own does not serve.
 * @param {{passphrase?: string, recipients?: string[]} | null} lock that `check` takes @param {Uint8Array} salt the cover's
 * @returns {Promise<{key: Uint8Array, salt: Uint8Array}>}
 */
export async function toHide(lock, salt) {
  if (!lock?.recipients) {
    // There is none yet, or the cover is black.
    if (salt.every((byte) => byte === 0)) salt = crypto.getRandomValues(new Uint8Array(SALT));
    return {key: lock ? await ofPassphrase(lock.passphrase, salt) : anybody(), salt};
  }
  const recipient = bytesOf(lock.recipients[0]);
  const secret = x25519.utils.randomSecretKey();
  salt = x25519.getPublicKey(secret).slice();
  // X25519 takes no account of the highest bit, which would be 0 in every such salt.
  salt[31] |= crypto.getRandomValues(new Uint8Array(1))[0] & 0x80;
  return {key: ofExchange(x25519.getSharedSecret(secret, recipient), salt, recipient), salt};
}

/** Raises SteganoError for a lock that hides nothing: not one recipient. */
export function check(lock) {
  const {length} = lock?.recipients ?? [1];
  if (length === 1) return;
  const found = `${length} recipients: a message in a picture has one`;
  throw new SteganoError(`${found}; hide one for each of them, or send sound`);
}

/**
 * The keys that a passphrase and identities lead to.
 * @param {{passphrase?: string | null, identities?: string[]}} key @param {Uint8Array} salt
 */
export async function* toFind({passphrase, identities = []}, salt) {
  if (passphrase) yield ofPassphrase(passphrase, salt);
  for (const identity of identities) {
    const secret = bytesOf(identity);
    let shared;
    try {
      shared = x25519.getSharedSecret(secret, salt);
    } catch {
      continue; // a picture all black has a salt that is no public key
    }
    yield ofExchange(shared, salt, x25519.getPublicKey(secret));
  }
}
