/** Sounds on the page: reading what only a page can decode, and showing them. */
import {make, picture} from './dom.js';
import {STRINGS} from './strings.js';

const KINDS = [
  ['ID3', 'MP3'],
  ['\xff\xfb', 'MP3'],
  ['\xff\xf3', 'MP3'],
  ['OggS', 'Ogg'],
  ['\xff\xf1', 'AAC'],
];
const STREAMED = 24 << 20;
const HEADER = 42; // bytes of a FLAC file's marker and stream information

/** Whether a file is a picture, by its first bytes or by its name. @param {File} file */
export async function isPicture(file) {
  const start = String.fromCharCode(...new Uint8Array(await file.slice(0, 8).arrayBuffer()));
  return start.startsWith('\x89PNG') || file.type.startsWith('image/');
}

/** What the job worker needs of a sound file: WAV it reads itself, FLAC only a page can decode. @param {File} file */
export async function prepare(file) {
  const start = new Uint8Array(await file.slice(0, HEADER).arrayBuffer());
  const text = String.fromCharCode(...start);
  if (text.startsWith('fLaC')) {
    const decoded = await decodeFlac(file, start);
    return {given: {file, decoded}, transfer: decoded.channels.map(({buffer}) => buffer)};
  }
  const [, lossy] = KINDS.find(([magic]) => text.startsWith(magic)) ?? [];
  if (lossy || text.slice(4, 8) === 'ftyp') throw new Error(STRINGS.lossy(file.name, lossy ?? 'MP4'));
  return {given: {file}, transfer: []};
}

/** The samples, at the file's own rate: at any other they would be resampled. */
async function decodeFlac(file, start) {
  const rate = (start[18] << 12) | (start[19] << 4) | (start[20] >> 4);
  const channels = ((start[20] >> 1) & 7) + 1;
  const depth = (((start[20] & 1) << 4) | (start[21] >> 4)) + 1;
  // Samples that compress well cost a FLAC file nothing: as much is believed as by the command.
  const frames = (start[21] & 15) * 2 ** 32 + new DataView(start.buffer).getUint32(22);
  const most = STREAMED + 8 * file.size;
  if (frames * channels > most) throw new Error(STRINGS.claims(file.name, frames * channels, most, file.size));
  try {
    const context = new OfflineAudioContext(channels, 1, rate);
    const buffer = await context.decodeAudioData(await file.arrayBuffer());
    const parts = Array.from({length: channels}, (_, number) => buffer.getChannelData(number).slice());
    return {channels: parts, depth, rate};
  } catch (error) {
    throw new Error(STRINGS.no_sound(file.name), {cause: error});
  }
}

/** A player with outline and spectrogram. @param {Blob} blob @param {object} sound what the job says of it */
export function soundView(blob, sound) {
  const player = make('audio', {controls: true, src: URL.createObjectURL(blob), 'aria-label': STRINGS.player});
  player.volume = 0.2;
  const line = make('canvas', {width: 960, height: 96, role: 'img', 'aria-label': STRINGS.outline, className: 'outline'});
  const spectrum = picture(sound.spectrogram, STRINGS.spectrogram);
  spectrum.className = 'spectrogram';
  requestAnimationFrame(() => drawOutline(line, sound.outline));
  return make('div', {className: 'sound'}, line, spectrum, player, make('small', {}, STRINGS.loud));
}

function drawOutline(canvas, peaks) {
  const context = canvas.getContext('2d');
  context.fillStyle = getComputedStyle(canvas).color;
  const [columns, middle] = [peaks.length / 2, canvas.height / 2];
  const step = canvas.width / columns;
  for (let x = 0; x < columns; x++) {
    const [low, high] = [peaks[2 * x], peaks[2 * x + 1]];
    context.fillRect(x * step, middle * (1 - high), step - 0.5, Math.max(1, middle * (high - low)));
  }
}
