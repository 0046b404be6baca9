/** The worker that does a whole job, so that the page stays free: send, hide, receive, and files of their results. */
import {SteganoError} from '../core/errors.js';
import {resize} from '../core/lanczos.js';
import {checkOptions, read, verify, write} from '../core/message.js';
import {psnr} from '../core/quality.js';
import {decodePng, encode} from '../core/payloads.js';
import {FILE} from '../core/picture/frame.js';
import * as bytes from '../core/picture/index.js';
import {checkRecipients, keygen, parseIdentities} from '../core/seal.js';
import {spellings} from '../core/passphrase.js';
import {Sound, isWav, readWav} from '../core/sound.js';
import {search} from './found.js';
import {load, models, presetOf} from './models.js';
import {bitmap, checkPixels, difference, isJpeg, read as readPicture, webp} from './pictures.js';
import {outline, spectrogram} from './sounds.js';

const MIN_SIDE = 16;
const LOSSY =
  'is a JPEG file: its pixels are not those that were saved. Only bytes that were hidden to survive this are in it: stegano-tf reveal reads them';

let results = {}; // the last pictures by name, for those who want them as files

const sidesOf = ({height, width}, name) => {
  if (Math.min(height, width) >= MIN_SIDE) return;
  throw new SteganoError(`${name} has ${width}x${height} pixels, expected at least ${MIN_SIDE}x${MIN_SIDE}`);
};

const crop = (picture, height, width) => {
  if (picture.height === height && picture.width === width) return picture;
  const data = new Uint8Array(3 * height * width);
  for (let y = 0; y < height; y++) {
    data.set(picture.data.subarray(3 * y * picture.width, 3 * (y * picture.width + width)), 3 * y * width);
  }
  return {height, width, data};
};

/** Sound files: WAV here, and what the page has decoded already. */
const toSound = async ({file, decoded}) => {
  if (decoded) return interleaved(decoded);
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (!isWav(bytes)) throw new SteganoError('is not a sound file or not whole; expected WAV or FLAC');
    return readWav(bytes);
  } catch (error) {
    throw named(file.name, error);
  }
};

/** What the browser's own decoder made of a file: floats that were integers of so many bits. */
const interleaved = ({channels: parts, depth, rate}) => {
  const channels = parts.length;
  const samples = new (depth > 16 ? Int32Array : Int16Array)(channels * parts[0].length);
  const scale = 2 ** (depth - 1);
  parts.forEach((part, number) => {
    for (let i = 0, at = number; i < part.length; i++, at += channels) samples[at] = Math.round(part[i] * scale);
  });
  return new Sound(samples, {channels, rate, depth});
};

const named = (name, error) =>
  error instanceof SteganoError ? new SteganoError(`${name}: ${error.message}`, {cause: error}) : error;

/** What everybody can hear and see of a sound. */
const shown = async (sound) => {
  const samples = sound.channel(0);
  const facts = {rate: sound.rate, channels: sound.channels, seconds: sound.frames / sound.rate};
  return {...facts, outline: outline(samples), spectrogram: await spectrogram(samples)};
};

async function send({cover: coverFile, secret: secretFile, preset, form, payload, lock, carrier: recording, most}, report) {
  const started = performance.now();
  if (lock?.passphrase !== undefined) spellings(lock.passphrase);
  if (lock?.recipients) checkRecipients(lock.recipients);
  const carrier = recording ? await toSound(recording) : null;
  checkOptions({form, payload, lock, carrier});
  const [cover, original] = [await readPicture(coverFile, most), await readPicture(secretFile, most)];
  sidesOf(cover, `${coverFile.name}: the cover`);
  const networks = await load(preset, report);
  const [height, width] = networks.region(cover.height, cover.width);
  const secret = resize(original, height, width);
  const hidden = await networks.run('hide', {cover: crop(cover, height, width), secret}, report);
  const stego = {...cover, data: cover.data.slice()};
  for (let y = 0; y < height; y++) {
    stego.data.set(hidden.data.subarray(3 * y * width, 3 * (y + 1) * width), 3 * y * cover.width);
  }
  report({stage: 'writing', done: 0, total: 1});
  const sending = {form, payload, lock, carrier, secretSize: [original.height, original.width]};
  const wav = await write(stego, {...sending, network: networks.preset.network}, webp).catch((error) => {
    throw carrier ? named(recording.file.name, error) : error;
  });

  // What the receiver will have: from the bytes of the sound, unless only somebody else can open it.
  report({stage: 'checking', done: 0, total: 1});
  const sound = readWav(wav);
  const opens = !lock?.recipients;
  if (!opens) await verify(sound);
  const back = opens ? (await read(sound, {...lock, bare: form === 'bare'}, webp)).picture : stego;
  if (back.data.some((value, i) => value !== stego.data[i])) {
    throw new SteganoError('the sound cannot be sent: another picture is read back from it');
  }
  const revealed = await networks.run('reveal', {stego: crop(back, height, width)}, report);
  const friend = resize(revealed, original.height, original.width);
  results = {stego, secret: friend};
  return {
    file: new Blob([wav], {type: 'audio/wav'}),
    checked: opens ? 'sound' : 'picture',
    size: [cover.height, cover.width],
    psnr: {cover: psnr(cover, stego), secret: psnr(original, friend)},
    sound: await shown(sound),
    pictures: {
      cover: await bitmap(cover),
      stego: await bitmap(stego),
      difference: await difference(cover, stego),
      secret: await bitmap(friend),
    },
    milliseconds: performance.now() - started,
  };
}

/** Any file in a picture, as bytes. */
async function hide({cover: coverFile, secret: file, lock, most}, report) {
  const started = performance.now();
  report({stage: 'hide', done: 0, total: 1});
  bytes.checkLock(lock);
  const cover = await readPicture(coverFile, most);
  if (!file.size) throw new SteganoError(`${file.name}: is empty, expected a file of at least one byte`);
  try {
    bytes.checkRoom(cover, file);
    const data = new Uint8Array(await file.arrayBuffer());
    const {stego, holds} = await bytes.hide(cover, {data, name: file.name, kind: FILE}, lock);
    report({stage: 'checking', done: 0, total: 1});
    const png = await encode(stego, 'png', webp);
    if (!(await holds(decodePng(png)))) {
      throw new SteganoError('what was hidden cannot be read back; another cover may help');
    }
    return {
      file: new Blob([png], {type: 'image/png'}),
      bytes: data.length,
      psnr: psnr(cover, stego),
      pictures: {cover: await bitmap(cover), stego: await bitmap(stego), difference: await difference(cover, stego)},
      milliseconds: performance.now() - started,
    };
  } catch (error) {
    throw named(coverFile.name, error);
  }
}

async function receive({given, key, preset = null, most}, report) {
  const started = performance.now();
  const {file} = given;
  report({stage: 'reading', done: 0, total: 1});
  if (given.picture && !preset && (await isJpeg(file))) throw new SteganoError(`${file.name}: ${LOSSY}`);
  const source = given.picture ? await readPicture(file, most) : await toSound(given);
  try {
    if (key.identityText) key.identities = parseIdentities(key.identityText);
    const opened = given.picture ? {picture: source, form: 'picture', sealed: false} : await read(source, key, webp);
    const {picture: stego, ...facts} = opened;
    checkPixels('the stego image', stego.height, stego.width, most);
    const found = facts.network || preset ? null : await search(stego, key, given.picture, most);
    const {secret, ...more} = found ?? (await revealed(stego, facts, preset, most, report));
    results = {stego, secret};
    return {
      ...facts,
      ...more,
      size: [stego.height, stego.width],
      sealed: facts.sealed || found?.sealed,
      sound: given.picture ? null : await shown(source),
      pictures: {stego: await bitmap(stego), secret: secret && (await bitmap(secret))},
      milliseconds: performance.now() - started,
    };
  } catch (error) {
    throw named(file.name, error);
  }
}

/** The secret that networks get out of a stego image. */
async function revealed(stego, facts, preset, most, report) {
  sidesOf(stego, 'the stego image');
  const chosen = preset ?? (facts.network ? await presetOf(facts.network) : (await models()).default);
  const networks = await load(chosen, report);
  const {network} = networks.preset;
  if (facts.network && facts.network !== network) {
    throw new SteganoError(`was hidden by network ${facts.network}, but '${chosen}' is ${network}`);
  }
  const [height, width] = networks.region(stego.height, stego.width);
  const picture = await networks.run('reveal', {stego: crop(stego, height, width)}, report);
  const [tall, wide] = secretSize(stego, facts.secretSize, most);
  return {
    secret: resize(picture, tall, wide),
    preset: chosen,
    secretSize: [tall, wide],
    stated: facts.secretSize ?? [tall, wide],
    guessed: !facts.network && !preset,
  };
}

/** Height and width to which a secret is scaled back: anybody can write any numbers into a sound. */
function secretSize(stego, stated, most) {
  const carried = stego.height * stego.width;
  const allowed = Math.min(bytes.PICTURE_SHARE * carried, most);
  let [height, width] = stated ?? [stego.height, stego.width];
  if (height * width > allowed) {
    const scale = Math.sqrt(allowed / (height * width));
    height = Math.min(allowed, Math.max(1, Math.floor(height * scale)));
    width = Math.min(Math.floor(allowed / height), Math.max(1, Math.floor(width * scale)));
  }
  return [height, width];
}

const tasks = {
  send,
  hide,
  receive,
  keygen: () => keygen(),
  file: async ({name}) => new Blob([await encode(results[name], 'png', webp)], {type: 'image/png'}),
};

const bitmapsIn = (value) =>
  value instanceof ImageBitmap ? [value] : value?.constructor === Object ? Object.values(value).flatMap(bitmapsIn) : [];

onmessage = async ({data: {id, what, ...task}}) => {
  try {
    const result = await tasks[what](task, (progress) => postMessage({id, progress}));
    postMessage({id, result}, bitmapsIn(result));
  } catch (error) {
    const {message, name} = error;
    postMessage({id, error: {message, name, expected: error instanceof SteganoError}});
  }
};
