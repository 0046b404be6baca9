/** The page's reader against tests/vectors: every sound that needs no browser gives its picture or its own refusal. */
import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import test from 'node:test';
import {hex, sha256} from '../src/core/bytes.js';
import {SteganoError} from '../src/core/errors.js';
import {read} from '../src/core/message.js';
import {isWav, readWav} from '../src/core/sound.js';

const FOLDER = new URL('../../tests/vectors/', import.meta.url);
const {vectors, identity, passphrase} = JSON.parse(await readFile(new URL('vectors.json', FOLDER)));
// Words of searches that the page leaves to the command: the refusal is the same, the reason is shorter.
const OTHER_WORDS = {'no_magic.wav': 'holds no message', 'no_sound.wav': 'is not a sound file'};
// Lossy: not read; WebP: needs a browser; stealth: the command.
const ELSEWHERE = (file) => !file.endsWith('.wav') || ['webp.wav', 'stealth.wav'].includes(file);

for (const vector of vectors.filter(({file}) => !ELSEWHERE(file))) {
  test(vector.file, async () => {
    const file = new Uint8Array(await readFile(new URL(vector.file, FOLDER)));
    const work = async () => {
      if (!isWav(file)) throw new SteganoError('is not a sound file');
      // Only where it is needed: to look for a message with a passphrase takes seconds.
      const locked = /pass|seal|bare/.test(vector.file);
      const key = {passphrase: locked ? vector.passphrase ?? passphrase : null, identities: [identity], bare: vector.bare};
      return read(readWav(file), key, null);
    };
    if (vector.outcome !== 'picture') {
      const words = new RegExp(OTHER_WORDS[vector.file] ?? vector.words);
      await assert.rejects(work, (error) => error instanceof SteganoError && words.test(error.message) || assert.fail(error));
      return;
    }
    const {picture, secretSize, network} = await work();
    assert.deepEqual([picture.height, picture.width], vector.size);
    assert.equal(hex(await sha256(picture.data)), vector.rgb_sha256);
    assert.deepEqual(secretSize ?? null, vector.secret_size);
    assert.equal(network ?? null, vector.network);
  });
}
